/** The registry of encrypted columns, and encrypted values inside and outside of it: docs/encryption.md. */
import type pg from 'pg';
import { isConnectionError } from '../../database/diagnosis.ts';
import { encryptedTables } from '../../database/keys/columns.ts';
import { findStrays, sampleTimeout } from '../../database/keys/strays.ts';
import { attempt, rolledBack } from '../../database/transaction.ts';
import { type CheckInput, checksOf, type Finding, type Outcome } from '../check.ts';
import { foreignGrants, granted, modelOf, owner, schema } from '../model.ts';
import { counted, judge, skip } from '../outcome.ts';

const registry = `${schema}.encrypted_columns`;
const missing = skip(`${registry} does not exist`);
const source = 'docs/encryption.md; migrations/0014_encrypted_columns.sql';

/** Pages that a sample reads of each table, approximately. */
const samplePages = 200;

/** Days after which no value may use a retired key: rotation runs weekly. */
const movedWithinDays = 21;

export const checks = checksOf('encryption', [
  {
    id: 'ENC-014',
    name: 'registered-columns-countable',
    loses: 'data',
    title: 'Every registered column exists, is guarded, and shows all values to administrators',
    inspects: `${registry}, which has the columns of storage_records; columns, primary keys, triggers, policies and grants of its tables`,
    why: 'Rotation cannot retire the data key of values that it cannot find, read or change. A column without its guard accepts plaintext and values without a key.',
    remedy:
      'After a rename, SELECT llama.register_encrypted_column with the former names. For a dropped column, SELECT llama.forget_encrypted_column.',
    source,
    run: (input) =>
      withRegistry(input, async (client) => {
        const { rows } = await client.query<{ object: string; problems: string[] }>(registryQuery);
        const { rows: lost } = await client.query<{ object: string }>(
          `SELECT 'storage_records.' || own.name AS object FROM unnest(ARRAY['mapped_data', 'metadata']) AS own (name)
            WHERE NOT EXISTS (SELECT FROM ${registry} AS r WHERE r.table_name = 'storage_records' AND r.column_name = own.name)`,
        );
        return judge(counted(rows.length, 'registered column'), [
          ...rows.flatMap(({ object, problems }): Finding[] =>
            problems.length > 0 ? [{ object, detail: problems.join('; ') }] : [],
          ),
          ...lost.map(({ object }) => ({ object, detail: 'is not registered any more' })),
        ]);
      }),
  },
  {
    id: 'ENC-015',
    name: 'no-stray-ciphertext',
    loses: 'data',
    title: 'No encrypted value is outside the registered columns',
    inspects: `a sample (about ${samplePages} pages per table) of every column that can hold text or bytes, except in the audit trail`,
    why: 'Rotation encrypts only the values of registered columns again, and then destroys the old key. Other values become unreadable.',
    remedy: 'Register the column (llama.register_encrypted_column), or delete the copied values.',
    source,
    run: (input) =>
      withRegistry(input, async (client) => {
        const { found, columns, unread } = await findStrays(client, { pages: samplePages });
        return judge(counted(columns, 'column'), [
          ...found.map(({ table, column, keyId, values }) => ({
            object: `${table}.${column}`,
            detail: `${counted(values, 'value')} of data key ${keyId} in the sample`,
          })),
          // ENC-017 reports the tables that no role sees.
          ...unread
            .filter(({ failed }) => failed)
            .map(({ table, why }) => ({ object: table, detail: `the sample could not be read: ${why}` })),
        ]);
      }),
  },
  {
    id: 'ENC-016',
    name: 'values-name-usable-keys',
    loses: 'data',
    title: 'Every encrypted value has a usable data key',
    inspects: `a sample (about ${samplePages} pages per table) of every registered column, and the data keys of its values`,
    why: 'A value whose key is unknown or destroyed is lost. A value whose key was retired weeks ago is lost when that key is destroyed.',
    remedy: 'Restore llama.data_keys from the time of the data. For retired keys, run llama-db keys rotate.',
    source,
    run: (input) =>
      withRegistry(input, async (client) => {
        const { seen, findings } = await inspectValues(client);
        return judge(`${counted(seen, 'value')} of a sample`, findings);
      }),
  },
  {
    id: 'ENC-017',
    name: 'tables-searchable-for-ciphertext',
    loses: 'upkeep',
    title: 'Every table can be searched for encrypted values',
    inspects: 'privileges and policies of every table with a column that can hold text or bytes',
    why: 'llama-db keys rotate destroys no key while a table that it cannot read may contain values of it. ENC-015 cannot read such a table either.',
    remedy:
      'GRANT SELECT to admin_role, with a policy that shows every row. Archive and drop a detached month.',
    source,
    run: (input) =>
      withRegistry(input, async (client) => {
        const { tables, unread } = await findStrays(client, { pages: 0 });
        return judge(
          counted(tables, 'table'),
          unread.map(({ table, why }) => ({ object: table, detail: why })),
        );
      }),
  },
  {
    id: 'ENC-018',
    name: 'registry-least-privilege',
    loses: 'data',
    title: 'Only the owner may change the registry of encrypted columns',
    inspects: `privileges on ${registry}, and on the functions that write it`,
    why: 'A column that is removed from the registry loses its values when their key is destroyed.',
    remedy: `REVOKE … ON ${registry} FROM the role; REVOKE EXECUTE ON FUNCTION … FROM the role.`,
    source,
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const table = model.named(registry);
      if (!table) return missing;
      const readers: Readonly<Record<string, readonly string[]>> = {
        application_role: ['table_name', 'column_name'],
      };
      const whole = table.grants.filter(
        ({ grantee, privilege }) =>
          grantee !== table.owner && !(grantee === 'admin_role' && privilege === 'SELECT'),
      );
      const columns = snapshot.columnGrants.filter(
        ({ relation, grantee, privilege, column }) =>
          relation === table.oid &&
          grantee !== table.owner &&
          !(privilege === 'SELECT' && readers[grantee]?.includes(column)),
      );
      const routines = snapshot.functions.filter(
        ({ schema: at, name }) =>
          at === schema && ['register_encrypted_column', 'forget_encrypted_column'].includes(name),
      );
      return judge(`${registry} and ${counted(routines.length, 'function')}`, [
        ...granted(registry, whole),
        ...columns.flatMap((grant) => granted(`${registry}.${grant.column}`, [grant])),
        ...routines.flatMap((routine) =>
          granted(`${schema}.${routine.name}`, foreignGrants(routine.grants, routine.owner)),
        ),
      ]);
    },
  },
]);

/** Runs `work` as the owner, who may read the registry and assume the roles that see the rows. */
async function withRegistry(
  { client, snapshot }: CheckInput,
  work: (client: pg.Client) => Promise<Outcome>,
): Promise<Outcome> {
  if (!modelOf(snapshot).named(registry)) return missing;
  return rolledBack(client, async () => {
    await client.query(`SET LOCAL ROLE ${owner}`);
    return work(client);
  });
}

/** ENC-010 inspects the guards of storage_records. */
const registryQuery = `
  SELECT e.table_name || '.' || e.column_name AS object,
         array_remove(CASE WHEN c.oid IS NULL THEN ARRAY['table ' || e.stored_table || ' does not exist'] ELSE ARRAY[
           CASE WHEN a.attnum IS NULL THEN 'column ' || e.stored_column || ' of ' || e.stored_table || ' does not exist' END,
           CASE WHEN r.attnum IS NULL THEN 'record column ' || e.record_column || ' of ' || e.stored_table || ' does not exist'
                WHEN NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary AND r.attnum = ANY (i.indkey))
                THEN 'the primary key does not contain record column ' || e.record_column END,
           CASE WHEN a.atttypid NOT IN ('text'::regtype, 'varchar'::regtype, 'jsonb'::regtype, 'bytea'::regtype)
                THEN 'has type ' || a.atttypid::regtype END,
           CASE WHEN c.relpersistence <> 'p' THEN 'its table is not logged' END,
           CASE WHEN c.oid <> 'llama.storage_records'::regclass AND NOT EXISTS (
                       SELECT FROM pg_trigger AS t
                        WHERE t.tgrelid = c.oid AND t.tgfoid = to_regprocedure('llama.guard_sealed_value()')
                          AND a.attnum = t.tgattr[0] AND t.tgtype & 20 = 20
                          AND strpos(pg_get_triggerdef(t.oid), 'llama.has_data_key(') > 0)
                THEN 'has no guard for INSERT and UPDATE' END,
           (SELECT 'its guard is disabled on ' || string_agg(t.tgrelid::regclass::text, ', ')
              FROM pg_trigger AS t
             WHERE (t.tgrelid = c.oid OR t.tgrelid IN (SELECT p.relid FROM pg_partition_tree(c.oid) AS p))
               AND t.tgfoid = to_regprocedure('llama.guard_sealed_value()') AND t.tgenabled NOT IN ('O', 'A')),
           CASE WHEN NOT llama.sees_every_row('admin_role', c.oid) THEN 'a policy hides rows from admin_role' END,
           CASE WHEN NOT (has_table_privilege('admin_role', c.oid, 'SELECT')
                          AND has_column_privilege('admin_role', c.oid, a.attnum, 'UPDATE'))
                THEN 'admin_role may not SELECT from its table and UPDATE it' END
         ] END, NULL) AS problems
    FROM llama.encrypted_columns AS e
    LEFT JOIN pg_class AS c ON c.oid = to_regclass(e.stored_table)
    LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = e.stored_column AND a.attnum > 0
    LEFT JOIN pg_attribute AS r ON r.attrelid = c.oid AND r.attname = e.record_column AND r.attnum > 0
   ORDER BY 1`;

async function inspectValues(
  client: pg.Client,
): Promise<{ readonly seen: number; readonly findings: readonly Finding[] }> {
  await client.query('SET LOCAL ROLE admin_role');
  const { tables } = await encryptedTables(client);
  const findings: Finding[] = [];
  let seen = 0;
  for (const { relation, columns } of tables) {
    const { rows: sizes } = await client.query<{ pages: number }>(
      `SELECT (pg_relation_size($1::regclass) + coalesce((SELECT sum(pg_relation_size(p.relid)) FROM pg_partition_tree($1::regclass) AS p), 0))::float8
              / current_setting('block_size')::int AS pages`,
      [relation],
    );
    const share = Math.min(100, (100 * samplePages) / Math.max(sizes[0]?.pages ?? 1, 1));
    for (const { table, column, stored } of columns) {
      const sample = `SELECT r.tenant_id AS tenant, count(*)::int AS seen,
                count(*) FILTER (WHERE k.key_id IS NULL OR (k.wrapped IS NULL AND k.state <> 'erased'))::int AS lost,
                count(*) FILTER (WHERE k.state = 'retired' AND k.state_since < now() - interval '${movedWithinDays} days')::int AS late
           FROM ${relation} AS r TABLESAMPLE SYSTEM (${share})
          CROSS JOIN LATERAL (SELECT llama.data_key_of(r.${stored}) AS key_id OFFSET 0) AS v
           LEFT JOIN llama.data_keys AS k ON k.tenant_id = r.tenant_id AND k.key_id = v.key_id
          WHERE v.key_id IS NOT NULL
          GROUP BY 1 ORDER BY 1`;
      const read = await attempt(client, async () => {
        await client.query(`SET LOCAL statement_timeout = '${sampleTimeout}'`);
        return client.query<{ tenant: string; seen: number; lost: number; late: number }>(sample);
      });
      if ('refused' in read) {
        if (isConnectionError(read.refused)) throw read.refused;
        const detail = `the sample could not be read: ${read.refused.message}`;
        findings.push({ object: `${table}.${column}`, detail });
        continue;
      }
      for (const { tenant, lost, late, ...row } of read.value.rows) {
        seen += row.seen;
        const object = `${table}.${column} of tenant ${tenant}`;
        if (lost > 0)
          findings.push({ object, detail: `${counted(lost, 'value')} whose data key does not exist` });
        if (late > 0)
          findings.push({
            object,
            detail: `${counted(late, 'value')} under a key that was retired weeks ago`,
          });
      }
    }
  }
  return { seen, findings };
}
