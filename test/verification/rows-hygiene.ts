import type { Snapshot } from '../../verification/snapshot/snapshot.ts';
import { deployment, withSettings } from './fixture.ts';
import type { Row } from './rows.ts';

const owned = (sql: string) => `SET LOCAL ROLE llama_owner; ${sql}; RESET ROLE`;

function activity(change: Partial<Snapshot['activity']>): Pick<Row, 'bend'> {
  return { bend: (snapshot) => ({ ...snapshot, activity: { ...snapshot.activity, ...change } }) };
}

/** Habits that weaken the database over time. */
export const hygieneRows: readonly Row[] = [
  {
    breaks: 'ISO-013',
    sql: 'CREATE POLICY second ON llama.model_metrics FOR SELECT TO analytics_role USING (metric_value >= 0)',
  },
  {
    breaks: 'ISO-014',
    sql: `CREATE POLICY looking ON llama.model_metrics AS RESTRICTIVE FOR SELECT TO analytics_role
      USING (EXISTS (SELECT FROM llama.detector_executions AS e WHERE e.tenant_id = model_metrics.tenant_id))`,
  },
  {
    breaks: 'ISO-015',
    also: ['ROL-015'],
    sql: `CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
      GRANT USAGE ON FOREIGN SERVER far TO llama_owner;
      ${owned('CREATE FOREIGN TABLE llama.elsewhere (n bigint) SERVER far; GRANT SELECT ON llama.elsewhere TO application_role')}`,
  },
  { breaks: 'ISO-041', sql: 'ALTER TABLE llama.tenant_configs ADD COLUMN api_key text' },
  {
    breaks: 'IDX-009',
    because: 'statistics of a month cannot be created',
    ...activity({
      indexUse: [{ name: 'llama.idx_storage_records_metadata_gin', scans: 0, tableReads: 5000 }],
    }),
  },
  { breaks: 'SCM-010', sql: 'ALTER TABLE llama.tenant_configs ADD COLUMN kind regclass' },
  {
    breaks: 'SCM-011',
    because: 'a numbered integer column',
    sql: owned('CREATE TABLE llama.counted (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)'),
  },
  {
    breaks: 'SCM-011',
    because: 'bigserial',
    sql: owned('CREATE TABLE llama.counted (n bigserial PRIMARY KEY)'),
  },
  {
    breaks: 'SCM-012',
    sql: `ALTER TABLE llama.tenant_configs ADD COLUMN ${'a_name_that_is_far_too_long_to_type_'.repeat(3)} text`,
  },
  { breaks: 'SET-020', sql: 'ALTER ROLE verify_app SET statement_timeout = 0' },
  {
    breaks: 'SET-021',
    because: 'only Azure has the query store',
    bend: (snapshot) => withSettings(snapshot, { 'pg_qs.parameters_capture_mode': 'capture_first_sample' }),
  },
  {
    breaks: 'SET-022',
    because: 'dead rows count only after a commit',
    ...activity({ tables: [{ name: 'llama.tenant_configs', live: 20_000, dead: 60_000 }] }),
  },
  {
    breaks: 'SET-023',
    because: 'initdb decides on checksums',
    bend: (snapshot) => withSettings(snapshot, { data_checksums: 'off' }),
  },
  {
    breaks: 'CON-008',
    deployment: { parameters: { ...deployment.parameters, 'pgbouncer.default_pool_size': '500' } },
  },
  {
    breaks: 'SCH-005',
    because: 'the server has no pg_cron',
    bend: (snapshot) =>
      'jobs' in snapshot.cron
        ? {
            ...snapshot,
            cron: { ...snapshot.cron, oldestRun: new Date(snapshot.server.now.getTime() - 90 * 86_400_000) },
          }
        : snapshot,
  },
];
