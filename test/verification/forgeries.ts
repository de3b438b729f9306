/** Ways to forge the audit trail or to change rows past it, and the trace that each must leave. */

import { forgedErasures } from './forged-erasures.ts';

/** A role of the migrating login, or the superuser with the usual triggers silent. */
type Forger =
  | 'llama_owner'
  | 'maintenance_owner'
  | 'audit_sealer'
  | 'audit_writer'
  | 'admin_role'
  | 'superuser'
  | 'replica';

export interface Forgery {
  readonly name: string;
  /** Statements with the role that runs them. `{p}`, `{m}`, `{n}`: last, this and next month; `{leaf:p}`: its partition. */
  readonly steps: readonly (readonly [Forger, string])[];
  /** SQLSTATE of the refusal of the last step. @default - no step is refused */
  readonly refused?: string;
  /** Kinds of findings of llama-db audit verify. @default - none */
  readonly tampering?: readonly string[];
  /** Kinds of its remarks. @default - none are required */
  readonly remarks?: readonly string[];
  /** Ids of checks of llama-db verify that fail, of severity high or critical unless it is a remark. @default - none */
  readonly checks?: readonly string[];
  /** An audit row that matches this condition. @default - none is required */
  readonly row?: string;
  /** Whether the new rows are sealed before the verification. @default false */
  readonly seal?: boolean;
}

const month = 'llama.audit_seals AS s WHERE s.month = ';
/** A closing whose content is right. */
const closing = (of: string, more = '') =>
  `SELECT llama.append_audit_seal('closing', ${of}, min(s.first_sequence), max(s.last_sequence), sum(s.row_count)::bigint,
          sha256(string_agg(s.content_hash, ''::bytea ORDER BY s.number))${more})
     FROM ${month}${of} AND s.kind = 'rows'`;
/** A closing with its own time, hashed as append_audit_seal does. */
const closingAt = (of: string, instant: string) => `
  WITH c AS (SELECT min(s.first_sequence) AS f, max(s.last_sequence) AS l, sum(s.row_count)::bigint AS n,
                    sha256(string_agg(s.content_hash, ''::bytea ORDER BY s.number)) AS h
               FROM ${month}${of} AND s.kind = 'rows'),
       p AS (SELECT number + 1 AS number, hash FROM llama.audit_seals ORDER BY number DESC LIMIT 1)
  INSERT INTO llama.audit_seals
  SELECT p.number, 'closing', ${of}, c.f, c.l, c.n, c.h, p.hash,
         sha256(convert_to(jsonb_build_array(p.number, 'closing', to_char(${of}::date, 'YYYY-MM-DD'), c.f, c.l, c.n, encode(c.h, 'hex'),
           encode(p.hash, 'hex'), extract(epoch FROM (${instant})::timestamptz)::text, 400, null)::text, 'UTF8')),
         ${instant}, 400, NULL FROM c, p`;
const removed = (leaf: string): readonly (readonly [Forger, string])[] => [
  ['llama_owner', `ALTER TABLE llama.audit_trail DETACH PARTITION ${leaf}`],
  ['llama_owner', `DROP TABLE ${leaf}`],
];
/** To replace a function, its owner needs CREATE on the schema, which only the owner of the schema can give. */
const creating: readonly [Forger, string] = [
  'llama_owner',
  'GRANT CREATE ON SCHEMA llama TO audit_sealer, audit_writer',
];
const freely = `CREATE OR REPLACE FUNCTION llama.audit_retention_of(month date) RETURNS integer LANGUAGE sql STABLE
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT 1'`;
const unfloored = `ALTER TABLE llama.partitioned_tables DROP CONSTRAINT partitioned_tables_audit_floor`;
const shorter = (days: number) =>
  `UPDATE llama.partitioned_tables SET retention_days = ${days} WHERE table_name = 'audit_trail'`;
const forgedRow = (columns = '', values = '') =>
  `INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key${columns})
   VALUES ('alpha', 'storage_records', 'SELECT', 'forged'${values})`;
const record = (relation: string) =>
  `INSERT INTO ${relation} (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
   VALUES ('alpha', 'forged', '{}', 'm', 'd')`;
/** Numbers the rows of the trail and its seals anew, as an owner of all objects can. */
const anew = `TRUNCATE llama.audit_seals; UPDATE llama.audit_sealing SET noted_sequence = NULL`;
const unguarded = (table: string, sql: string) =>
  `ALTER TABLE ${table} DISABLE TRIGGER ALL; ${sql}; ALTER TABLE ${table} ENABLE TRIGGER ALL;
   DO $$ DECLARE t record; BEGIN FOR t IN SELECT tgname FROM pg_trigger WHERE tgrelid = '${table}'::regclass AND NOT tgisinternal
     LOOP EXECUTE format('ALTER TABLE ${table} ENABLE ALWAYS TRIGGER %I', t.tgname); END LOOP; END $$`;
const view = (table: string) =>
  `ALTER TABLE llama.${table} RENAME TO ${table}_real; CREATE VIEW llama.${table} AS
   SELECT * FROM llama.${table}_real; GRANT SELECT ON llama.${table}, llama.${table}_real TO admin_role`;

const early: readonly Forgery[] = [
  {
    name: 'the owner closes last month',
    steps: [['llama_owner', 'SELECT llama.close_audit_partition({p})']],
    refused: '55000',
  },
  {
    name: 'the owner closes the running month',
    steps: [['llama_owner', 'SELECT llama.close_audit_partition({m})']],
    refused: '55000',
  },
  { name: 'the owner sets the retention to a day', steps: [['llama_owner', shorter(1)]], refused: '23514' },
  {
    name: 'the owner lowers the retention to the floor and closes',
    steps: [
      ['llama_owner', shorter(90)],
      ['llama_owner', 'SELECT llama.close_audit_partition({p})'],
    ],
    refused: '55000',
  },
  {
    name: 'the owner drops the floor, sets a day and closes',
    steps: [
      ['llama_owner', `${unfloored}; ${shorter(1)}`],
      ['llama_owner', 'SELECT llama.close_audit_partition({p})'],
    ],
    refused: '55000',
  },
  {
    name: 'the floor is dropped and the retention is a day',
    steps: [['llama_owner', `${unfloored}; ${shorter(1)}`]],
    seal: true,
    remarks: ['shorter retention'],
    checks: ['PAR-012'],
    row: `table_name = 'partitioned_tables' AND new_values ->> 'retention_days' = '1' AND old_values ->> 'retention_days' = '400'`,
  },
  {
    name: 'the retention is lowered and restored',
    steps: [['llama_owner', `${shorter(90)}; ${shorter(400)}`]],
    row: `table_name = 'partitioned_tables' AND new_values ->> 'retention_days' = '90'`,
  },
  {
    name: 'the sealer closes last month, and it is dropped',
    steps: [['audit_sealer', closing('{p}')], ...removed('{leaf:p}')],
    tampering: ['early closing', 'missing partition'],
    checks: ['AUD-012', 'AUD-020'],
  },
  {
    name: 'the sealer closes last month with a retention of a day',
    steps: [['audit_sealer', closing('{p}', ', 1')], ...removed('{leaf:p}')],
    tampering: ['early closing', 'missing partition'],
    checks: ['AUD-012', 'AUD-020'],
  },
  {
    name: 'the sealer closes last month, and its partition stays',
    steps: [['audit_sealer', closing('{p}', ', 400')]],
    tampering: ['early closing'],
    checks: ['AUD-020'],
  },
  {
    name: 'the sealer closes the running month, and it is dropped',
    steps: [['audit_sealer', closing('{m}')], ...removed('{leaf:m}')],
    tampering: ['early closing', 'missing partition'],
    checks: ['AUD-012', 'AUD-020', 'PAR-001'],
  },
  {
    name: 'a closing of the future, and the month is dropped',
    steps: [['audit_sealer', closingAt('{p}', `now() + interval '3 years'`)], ...removed('{leaf:p}')],
    tampering: ['early closing', 'wrong time', 'missing partition'],
    checks: ['AUD-012', 'AUD-020'],
  },
  {
    name: 'a closing of the past',
    steps: [['audit_sealer', closingAt('{p}', `now() - interval '1 hour'`)]],
    tampering: ['early closing', 'wrong time'],
    checks: ['AUD-020'],
  },
  {
    name: 'the function that judges is replaced, the owner closes, and the retention is restored',
    steps: [
      ['llama_owner', `${unfloored}; ${shorter(1)}`],
      creating,
      ['audit_sealer', freely],
      ['audit_sealer', closing('{p}', ', 1')],
      ['llama_owner', shorter(400)],
      ...removed('{leaf:p}'),
    ],
    tampering: ['early closing', 'missing partition'],
    checks: ['AUD-012', 'AUD-020'],
  },
  {
    name: 'last month is detached and dropped',
    steps: removed('{leaf:p}'),
    tampering: ['missing partition'],
    checks: ['AUD-012'],
  },
  {
    name: 'an empty partition takes the place of last month',
    steps: [
      ...removed('{leaf:p}'),
      ['llama_owner', `SELECT llama.create_monthly_partition('audit_trail', {p})`],
    ],
    tampering: ['removed row'],
    checks: ['AUD-011'],
  },
  {
    name: 'a partition is emptied behind a disabled trigger',
    steps: [['llama_owner', `${unguarded('{leaf:p}', 'TRUNCATE {leaf:p}')}`]],
    tampering: ['removed row'],
    checks: ['AUD-011'],
  },
  {
    name: 'rows of a sealed month are deleted',
    steps: [['replica', `DELETE FROM llama.audit_trail WHERE "timestamp" < {m}`]],
    tampering: ['removed row'],
    checks: ['AUD-011'],
  },
];

const truncations: readonly Forgery[] = [
  ...[
    ...['storage_records', 'tenant_configs', 'model_metrics', 'detector_executions', 'data_keys'],
    ...['encrypted_columns', 'partitioned_tables', 'releases', 'schema_migrations', 'pgmigrations'],
    ...['audit_sealing', 'audit_trail', 'audit_seals'],
  ].map(
    (table): Forgery => ({
      name: `the owner truncates ${table}`,
      steps: [['llama_owner', `TRUNCATE llama.${table} CASCADE`]],
      refused: '42501',
    }),
  ),
  ...['storage_records', 'tenant_configs', 'data_keys', 'releases', 'partitioned_tables'].map(
    (table): Forgery => ({
      name: `a superuser truncates ${table} as a replica does`,
      steps: [['replica', `TRUNCATE llama.${table}`]],
      refused: '42501',
    }),
  ),
  {
    name: 'the owner truncates a leaf',
    steps: [['llama_owner', 'TRUNCATE {records:m}']],
    refused: '42501',
  },
  {
    name: 'the guard of a table is disabled',
    steps: [
      [
        'llama_owner',
        'ALTER TABLE llama.tenant_configs DISABLE TRIGGER refuse_truncate; TRUNCATE llama.tenant_configs',
      ],
    ],
    checks: ['AUD-025'],
  },
  {
    name: 'the guard of a leaf is dropped',
    steps: [['llama_owner', 'DROP TRIGGER refuse_truncate ON {records:m}']],
    checks: ['AUD-025'],
  },
  {
    name: 'the guard is enabled again, but not as before',
    steps: [
      [
        'llama_owner',
        `ALTER TABLE llama.tenant_configs DISABLE TRIGGER refuse_truncate; TRUNCATE llama.tenant_configs;
         ALTER TABLE llama.tenant_configs ENABLE TRIGGER refuse_truncate`,
      ],
    ],
    checks: ['AUD-026'],
  },
  {
    name: 'a new table has no guard',
    steps: [['llama_owner', 'CREATE TABLE llama.unguarded (tenant_id text PRIMARY KEY)']],
    checks: ['AUD-025'],
  },
];

const forged = `table_name = 'storage_records' AND operation = 'INSERT' AND new_values ->> 'source_data_hash' = 'forged'`;
const writes: readonly Forgery[] = [
  {
    name: 'the owner writes to a leaf',
    steps: [['llama_owner', record('{records:m}')]],
    refused: '42501',
  },
  {
    name: 'the owner writes to the table',
    steps: [['llama_owner', record('llama.storage_records')]],
    refused: '42501',
  },
  {
    name: 'MERGE',
    steps: [
      [
        'admin_role',
        `MERGE INTO llama.storage_records AS r USING (SELECT 'alpha' AS t) AS s ON r.tenant_id = s.t AND r.source_data_hash = 'forged'
         WHEN NOT MATCHED THEN INSERT (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
           VALUES ('alpha', 'forged', '{}', 'm', 'd')`,
      ],
    ],
    row: forged,
  },
  {
    name: 'an insert into a leaf as a replica does',
    steps: [['replica', record('{records:m}')]],
    row: forged,
  },
  {
    name: 'an update of a leaf as a replica does',
    steps: [['replica', "UPDATE {records:m} SET source_data_hash = 'forged'"]],
    row: `table_name = 'storage_records' AND operation = 'UPDATE' AND new_values ->> 'source_data_hash' = 'forged'`,
  },
  {
    name: 'a delete of a configuration as a replica does',
    steps: [['replica', 'DELETE FROM llama.tenant_configs']],
    row: `table_name = 'tenant_configs' AND operation = 'DELETE'`,
  },
  {
    name: 'a trigger for replicas is disabled',
    steps: [['llama_owner', 'ALTER TABLE llama.storage_records DISABLE TRIGGER audit_replica']],
    checks: ['AUD-026'],
  },
  {
    name: 'a trigger for replicas is disabled on a leaf',
    steps: [['llama_owner', 'ALTER TABLE {records:m} DISABLE TRIGGER audit_replica_update']],
    checks: ['AUD-026'],
  },
  { name: 'an insert as a replica does', steps: [['replica', record('llama.storage_records')]], row: forged },
  {
    name: 'an update of a kept record as a replica does',
    steps: [
      ['replica', `UPDATE llama.storage_records SET source_data_hash = 'forged' WHERE tenant_id = 'alpha'`],
    ],
    row: `table_name = 'storage_records' AND operation = 'UPDATE' AND new_values ->> 'source_data_hash' = 'forged'`,
  },
  {
    name: 'a delete as a replica does',
    steps: [['replica', 'DELETE FROM llama.storage_records']],
    row: `table_name = 'storage_records' AND operation = 'DELETE'`,
  },
  {
    name: 'an update by tableoid that moves the record to another month',
    steps: [
      [
        'superuser',
        `UPDATE llama.storage_records SET "timestamp" = {p} WHERE tableoid = '{records:m}'::regclass`,
      ],
    ],
    row: `table_name = 'storage_records' AND operation = 'DELETE'`,
  },
  {
    name: 'a trigger of a table is disabled',
    steps: [['llama_owner', 'ALTER TABLE llama.model_metrics DISABLE TRIGGER ALL']],
    checks: ['AUD-001'],
  },
  {
    name: 'a trigger of a leaf is disabled',
    steps: [['llama_owner', 'ALTER TABLE {records:m} DISABLE TRIGGER USER']],
    checks: ['AUD-025', 'AUD-002'],
  },
  {
    name: 'a trigger of the trail swallows rows',
    steps: [
      [
        'llama_owner',
        `CREATE FUNCTION llama.swallow() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
           AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER swallow BEFORE INSERT ON {leaf:m} FOR EACH ROW EXECUTE FUNCTION llama.swallow()`,
      ],
    ],
    checks: ['AUD-050'],
  },
];

const readings: readonly Forgery[] = [
  ...[
    [
      'a restrictive policy',
      'CREATE POLICY hide ON llama.audit_trail AS RESTRICTIVE FOR SELECT TO admin_role',
    ],
    ['a restrictive policy for PUBLIC', 'CREATE POLICY hide ON llama.audit_trail AS RESTRICTIVE'],
    ['a changed policy', 'ALTER POLICY admin_read_audit ON llama.audit_trail'],
  ].map(
    ([how, statement]): Forgery => ({
      name: `${how} hides a forged row`,
      steps: [
        ['audit_writer', forgedRow()],
        ['llama_owner', `${statement} USING (record_key <> 'forged')`],
      ],
      tampering: ['filtered reading'],
      checks: ['AUD-023'],
    }),
  ),
  {
    name: 'a policy hides seals',
    steps: [['llama_owner', 'ALTER POLICY admin_read_seals ON llama.audit_seals USING (number < 3)']],
    tampering: ['filtered reading', 'other chain'],
    checks: ['AUD-023'],
  },
  {
    name: 'a policy hides releases',
    steps: [
      [
        'llama_owner',
        `ALTER TABLE llama.releases ENABLE ROW LEVEL SECURITY; CREATE POLICY hide ON llama.releases TO admin_role USING (false)`,
      ],
    ],
    tampering: ['filtered reading', 'forged release'],
    checks: ['AUD-023', 'AUD-022'],
  },
  {
    name: 'a view takes the place of the trail',
    steps: [['llama_owner', view('audit_trail')]],
    tampering: ['filtered reading'],
    checks: ['AUD-023'],
  },
  {
    name: 'a view takes the place of the seals',
    steps: [['llama_owner', view('audit_seals')]],
    // The view reads as the owner, which sees no row.
    tampering: ['filtered reading', 'other chain'],
    checks: ['AUD-023'],
  },
  {
    name: 'a rule swallows audit rows',
    steps: [['llama_owner', 'CREATE RULE swallow AS ON INSERT TO llama.audit_trail DO INSTEAD NOTHING']],
    tampering: ['filtered reading'],
    checks: ['AUD-023'],
  },
];

const chains: readonly Forgery[] = [
  {
    name: 'the chain is made anew',
    steps: [['replica', anew]],
    seal: true,
    tampering: ['other chain'],
    checks: ['AUD-021'],
  },
  {
    name: 'a row is changed and the chain is made anew',
    steps: [['replica', `UPDATE llama.audit_trail SET user_id = 'another'; ${anew}`]],
    seal: true,
    tampering: ['other chain'],
    checks: ['AUD-021'],
  },
  {
    name: 'the end of the chain is cut off',
    steps: [['replica', 'DELETE FROM llama.audit_seals WHERE number > 2']],
    tampering: ['other chain'],
    checks: ['AUD-021'],
  },
  {
    name: 'a release gets another head',
    steps: [['llama_owner', 'UPDATE llama.releases SET audit_head = NULL']],
    refused: '42501',
  },
  {
    name: 'a release gets another head behind disabled triggers',
    steps: [['llama_owner', unguarded('llama.releases', 'UPDATE llama.releases SET audit_head = NULL')]],
    tampering: ['forged release'],
    checks: ['AUD-022'],
  },
  {
    name: 'a release gets another outcome behind disabled triggers',
    steps: [['llama_owner', unguarded('llama.releases', "UPDATE llama.releases SET outcome = 'findings'")]],
    tampering: ['forged release'],
    checks: ['AUD-022'],
  },
  {
    name: 'a release is removed behind disabled triggers',
    steps: [['llama_owner', unguarded('llama.releases', 'DELETE FROM llama.releases')]],
    tampering: ['forged release'],
    checks: ['AUD-022'],
  },
  {
    name: 'a release is invented behind disabled triggers',
    steps: [
      [
        'llama_owner',
        unguarded(
          'llama.releases',
          `INSERT INTO llama.releases (environment, migrations_digest, settings_digest, executor, outcome, checks_passed, checks_failed, checks_skipped)
           VALUES ('test', 'x', 'x', 'nobody', 'verified', 1, 0, 0)`,
        ),
      ],
    ],
    tampering: ['forged release'],
    checks: ['AUD-022'],
  },
  {
    name: 'the releases are dropped',
    steps: [['llama_owner', 'DROP TABLE llama.releases']],
    tampering: ['forged release'],
    checks: ['AUD-022', 'DRI-001'],
  },
  {
    name: 'the releases are out of reach',
    steps: [['llama_owner', 'REVOKE SELECT ON llama.releases FROM admin_role']],
    tampering: ['filtered reading'],
    checks: ['AUD-023'],
  },
  {
    name: 'the trail is out of reach',
    steps: [['llama_owner', 'REVOKE SELECT ON llama.audit_trail FROM admin_role']],
    tampering: ['filtered reading'],
    checks: ['AUD-023'],
  },
  {
    name: 'the seals are out of reach',
    steps: [['llama_owner', 'REVOKE SELECT ON llama.audit_seals FROM admin_role']],
    tampering: ['filtered reading'],
    checks: ['AUD-023'],
  },
  {
    name: 'a partition with other rows takes the place of last month',
    steps: [
      [
        'llama_owner',
        `ALTER TABLE llama.audit_trail DETACH PARTITION {leaf:p}; ALTER TABLE {leaf:p} RENAME TO kept_aside;
         SELECT llama.create_monthly_partition('audit_trail', {p}); ALTER TABLE {leaf:p} NO FORCE ROW LEVEL SECURITY;
         INSERT INTO {leaf:p} (tenant_id, table_name, operation, record_key, "timestamp", sequence)
         SELECT 'alpha', 'storage_records', 'SELECT', n::text, {p}::timestamptz + interval '9 days', n FROM generate_series(1, 3) AS n;
         ALTER TABLE {leaf:p} FORCE ROW LEVEL SECURITY`,
      ],
    ],
    tampering: ['changed row'],
    checks: ['AUD-011'],
  },
  {
    name: 'a release with a malformed head',
    steps: [
      [
        'llama_owner',
        `INSERT INTO llama.releases (environment, migrations_digest, settings_digest, executor, outcome, checks_passed, checks_failed, checks_skipped, audit_head)
         VALUES ('test', 'x', 'x', 'nobody', 'verified', 1, 0, 0, 'nonsense')`,
      ],
    ],
    tampering: ['forged release'],
    checks: ['AUD-022'],
    row: `table_name = 'releases' AND new_values ->> 'audit_head' = 'nonsense'`,
  },
  {
    name: 'a seal covers numbers that are sealed already',
    steps: [['audit_sealer', `SELECT llama.append_audit_seal('rows', {m}, 2, 2, 0, sha256(''))`]],
    tampering: ['overlapping seal', 'inserted row'],
    checks: ['AUD-011'],
  },
];

const rows: readonly Forgery[] = [
  {
    name: 'a column is added to the trail',
    steps: [['llama_owner', 'ALTER TABLE llama.audit_trail ADD COLUMN note text']],
    tampering: ['unsealed column'],
    checks: ['AUD-024'],
  },
  {
    name: 'a column of the trail is dropped',
    steps: [['llama_owner', 'ALTER TABLE llama.audit_trail DROP COLUMN user_agent']],
    tampering: ['unsealed column'],
    checks: ['AUD-024'],
  },
  {
    name: 'a row of last month is invented',
    steps: [['audit_writer', forgedRow(', "timestamp"', ", {p}::timestamptz + interval '1 day'")]],
    seal: true,
    remarks: ['backdated rows'],
    checks: ['AUD-027'],
  },
  {
    name: 'a row of next month is invented',
    steps: [['audit_writer', forgedRow(', "timestamp"', ", {n}::timestamptz + interval '1 day'")]],
    seal: true,
    remarks: ['postdated rows'],
    checks: ['AUD-027'],
  },
  {
    name: 'a row gets a sealed number',
    steps: [['audit_writer', forgedRow(', sequence', ', 2')]],
    tampering: ['inserted row'],
    checks: [],
  },
  {
    name: 'a sealed row is changed',
    steps: [['replica', "UPDATE llama.audit_trail SET authenticated_as = 'somebody:else'"]],
    tampering: ['changed row'],
    checks: ['AUD-011'],
  },
  {
    name: 'sealed rows get another process',
    steps: [['replica', 'UPDATE llama.audit_trail SET backend_pid = 1']],
    tampering: ['changed row'],
    checks: ['AUD-011'],
  },
  {
    name: 'a function of the sealer is replaced without CREATE on the schema',
    steps: [['audit_sealer', freely]],
    refused: '42501',
  },
  {
    name: 'the function that writes the trail does nothing',
    steps: [
      creating,
      [
        'audit_writer',
        `CREATE OR REPLACE FUNCTION llama.write_platform_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
           SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS 'BEGIN RETURN NULL; END'`,
      ],
    ],
    checks: ['DRI-006'],
  },
  {
    name: 'future leaves of the trail get no guard',
    steps: [
      [
        'llama_owner',
        "UPDATE llama.partitioned_tables SET append_only = false WHERE table_name = 'audit_trail'",
      ],
    ],
    checks: ['AUD-004'],
    row: `table_name = 'partitioned_tables' AND new_values ->> 'append_only' = 'false'`,
  },
  {
    name: 'a tenant erases at once',
    steps: [
      ['admin_role', "UPDATE llama.tenant_configs SET storage_retention_days = 0 WHERE tenant_id = 'alpha'"],
    ],
    checks: ['PAR-013'],
    row: `table_name = 'tenant_configs' AND operation = 'UPDATE' AND new_values ->> 'storage_retention_days' = '0'`,
  },
];

export const forgeries: readonly Forgery[] = [
  ...early,
  ...truncations,
  ...writes,
  ...readings,
  ...chains,
  ...rows,
  ...forgedErasures,
];
