/** The query store, vacuum and checksums. */
import { checksOf, type Finding } from '../check.ts';
import { counted, judge, skip } from '../outcome.ts';

/** Dead rows below which a table is no problem. */
const deadRows = 10_000;
/** Share of dead rows that vacuum should never let a table reach. */
const deadShare = 0.4;

export const checks = checksOf('settings', [
  {
    id: 'SET-021',
    name: 'query-store-keeps-no-values',
    loses: 'barrier',
    title: 'The query store keeps no bound values',
    inspects: 'parameter pg_qs.parameters_capture_mode, if queries are recorded (pg_qs.query_capture_mode)',
    why: 'PUBLIC may read the views of the query store: the first sample of bound values shows rows of tenants to every role.',
    remedy: 'Set pg_qs.parameters_capture_mode to capture_parameterless_only.',
    source: 'Microsoft Learn, Query store (its views are readable by PUBLIC)',
    run: ({ snapshot }) => {
      const mode = snapshot.settings.get('pg_qs.parameters_capture_mode')?.value;
      if (mode === undefined) return skip('this server has no query store');
      const recording = snapshot.settings.get('pg_qs.query_capture_mode')?.value ?? 'none';
      return judge(
        `pg_qs.query_capture_mode = ${recording}, pg_qs.parameters_capture_mode = ${mode}`,
        recording.toLowerCase() !== 'none' && mode.toLowerCase() === 'capture_first_sample'
          ? [
              {
                object: 'parameter pg_qs.parameters_capture_mode',
                detail: `is ${mode}, which keeps bound values`,
              },
            ]
          : [],
      );
    },
  },
  {
    id: 'SET-022',
    name: 'vacuum-keeps-up',
    loses: 'time',
    title: 'Vacuum keeps up with dead rows',
    inspects: `n_dead_tup and n_live_tup of tables and leaves with more than ${deadRows.toLocaleString('en')} dead rows`,
    why: 'Every scan reads dead rows, and they occupy the disk space that new rows need.',
    remedy:
      'VACUUM the table. Find what blocks vacuum (an old transaction, a slot), or lower autovacuum_vacuum_scale_factor of the table.',
    source: 'splinter 0020; pgdoctor table-vacuum-health',
    run: ({ snapshot: { activity } }) =>
      judge(
        counted(activity.tables.length, 'table with dead rows', 'tables with dead rows'),
        activity.tables.flatMap(({ name, live, dead }): readonly Finding[] =>
          dead > deadRows && dead > deadShare * (live + dead)
            ? [{ object: name, detail: `has ${Math.round(dead)} dead and ${Math.round(live)} live rows` }]
            : [],
        ),
      ),
  },
  {
    id: 'SET-023',
    name: 'data-checksums-enabled',
    loses: 'recovery',
    title: 'Data checksums are enabled',
    inspects: 'parameter data_checksums',
    why: 'Without checksums a page that the disk damaged is read, copied to the standby and backed up like any other.',
    remedy: 'Azure enables them when it creates a server: ask Azure support.',
    source: 'PostgreSQL manual, Data Checksums',
    run: ({ snapshot }) => {
      const value = snapshot.settings.get('data_checksums')?.value;
      if (!snapshot.server.isAzure && value === 'off') {
        return skip("the server is not Azure's and was created without checksums");
      }
      return judge(
        `data_checksums = ${value}`,
        value === 'on' ? [] : [{ object: 'parameter data_checksums', detail: `is ${value}` }],
      );
    },
  },
]);
