/** Limits of roles, what Azure records, and whether the server keeps its house. */
import { checksOf, type Finding } from '../check.ts';
import { counted, judge, skip } from '../outcome.ts';

const limits = [
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'transaction_timeout',
];

export const checks = checksOf('settings', [
  {
    id: 'SET-020',
    name: 'roles-keep-limits',
    severity: 'high',
    title: 'No role lifts the limits for itself',
    inspects: `what ALTER ROLE and ALTER DATABASE set ${limits.join(', ')} to`,
    why: 'The limits of the server hold for whoever sets none: one ALTER ROLE … SET statement_timeout = 0 and a login waits, or holds on, for ever.',
    remedy: 'ALTER ROLE … RESET; whoever needs longer says so in the session.',
    source: 'strong_migrations (timeouts on the user); postgresai G003',
    run: ({ snapshot }) => {
      const set = snapshot.roleSettings.filter(({ name }) => limits.includes(name));
      return judge(
        counted(set.length, 'setting'),
        set
          .filter(({ value }) => /^0\D*$/.test(value))
          .map(({ role, name }) => ({
            object: role ? `role ${role}` : 'database',
            detail: `sets ${name} to no limit`,
          })),
      );
    },
  },
  {
    id: 'SET-021',
    name: 'query-store-keeps-no-values',
    severity: 'high',
    title: 'The query store keeps no values',
    inspects:
      'parameter pg_qs.parameters_capture_mode, where queries are recorded (pg_qs.query_capture_mode)',
    why: "Everybody may read the query store's views: a first sample of bound values shows tenants' rows to all of them.",
    remedy: 'pg_qs.parameters_capture_mode = capture_parameterless_only.',
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
                detail: `is ${mode}: bound values are kept`,
              },
            ]
          : [],
      );
    },
  },
  {
    id: 'SET-022',
    name: 'vacuum-keeps-up',
    severity: 'medium',
    title: 'Vacuum keeps up',
    inspects: 'n_dead_tup against n_live_tup of tables and leaves with more than 10,000 dead rows',
    why: 'Dead rows are read past by every scan and take the disk that new ones need.',
    remedy:
      'VACUUM the table; find what holds vacuum back (an old transaction, a slot), or lower its autovacuum_vacuum_scale_factor.',
    source: 'splinter 0020; pgdoctor table-vacuum-health',
    run: ({ snapshot: { activity } }) =>
      judge(
        counted(activity.tables.length, 'table with dead rows', 'tables with dead rows'),
        activity.tables.flatMap(({ name, live, dead }): readonly Finding[] =>
          dead > 10_000 && dead > 0.4 * (live + dead)
            ? [{ object: name, detail: `${Math.round(dead)} dead rows beside ${Math.round(live)} live ones` }]
            : [],
        ),
      ),
  },
  {
    id: 'SET-023',
    name: 'data-checksums-enabled',
    severity: 'medium',
    title: 'Pages carry checksums',
    inspects: 'parameter data_checksums',
    why: 'Without them a page that the disk damaged is read, copied to the standby and backed up like any other.',
    remedy: 'Azure switches them on when a server is created: ask its support.',
    source: 'PostgreSQL manual, Data Checksums',
    run: ({ snapshot }) => {
      const value = snapshot.settings.get('data_checksums')?.value;
      if (!snapshot.server.isAzure && value === 'off') {
        return skip("the server is not Azure's: whoever made it left checksums out");
      }
      return judge(
        `data_checksums = ${value}`,
        value === 'on' ? [] : [{ object: 'parameter data_checksums', detail: `is ${value}` }],
      );
    },
  },
]);
