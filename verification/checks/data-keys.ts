/** Data keys and the values that they encrypt: docs/encryption.md. */
import type pg from 'pg';
import { rolledBack } from '../../database/transaction.ts';
import { type CheckInput, checksOf, type Finding, type Outcome } from '../check.ts';
import { auditTable, fires, granted, modelOf, owner, schema, signatureOf } from '../model.ts';
import { counted, judge, listed, skip } from '../outcome.ts';

const keysTable = `${schema}.data_keys`;
const recordsTable = `${schema}.storage_records`;
/** Age at which a wrapped key counts as old: a version of the wrapping key lives for two years. */
const wrappedDays = 700;
/** Days that data keys may stay with an old version of the wrapping key. */
const oldVersionDays = 30;
/** Age at which an active key should have been rotated; the schedule rotates every year. */
const activeDays = 400;
/** Days that a replaced key may still be in use. */
const retiringDays = 90;
/** Three quarters of the 2^32 values that a key may encrypt with random nonces. */
const reservedValues = 3 * 2 ** 30;
/** Tenants that one finding list names at most. */
const listedTenants = 100;
/** Pages that a sample reads of all partitions together, approximately. */
const samplePages = 200;

const missing = skip(`${keysTable} does not exist`);
const source = 'docs/encryption.md; migrations/0013_data_keys.sql';

/** Columns that the creator of a key writes; the table sets state, dates and counts itself. */
const created = [
  'tenant_id',
  'key_id',
  'purpose',
  'algorithm',
  'wrapping_key',
  'wrapping_key_version',
  'wrapped',
] as const;

/** Privileges by role, with their columns for INSERT and UPDATE. */
const allowed: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  application_role: {
    SELECT: [],
    INSERT: created,
    UPDATE: ['state', 'values_reserved'],
  },
  admin_role: {
    SELECT: [],
    INSERT: created,
    UPDATE: ['state', 'values_reserved', 'algorithm', 'wrapping_key', 'wrapping_key_version', 'wrapped'],
  },
};

/** Bytes of a wrapped data key: one block of the RSA key, or nonce, payload and tag. */
const wrappedLengths: Readonly<Record<string, readonly number[]>> = {
  'RSA-OAEP-256': [256, 384, 512],
  A256GCM: [12 + 65 + 16],
};

interface KeyRow {
  readonly tenant: string;
  readonly key: string;
  readonly algorithm: string;
  readonly wrappingKey: string;
  readonly length: number | null;
}

export const checks = checksOf('encryption', [
  {
    id: 'ENC-005',
    name: 'data-keys-least-privilege',
    severity: 'critical',
    title: 'Only the application and administrators may use data keys, and no role may delete one',
    inspects: `privileges on ${keysTable} and its columns`,
    why: 'Without its data key all data of a tenant is lost. A role that may overwrite wrapped keys can substitute a key that it knows.',
    remedy: `REVOKE … ON ${keysTable} FROM the role.`,
    source,
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const table = model.named(keysTable);
      if (!table) return missing;
      const whole = table.grants.filter(
        ({ grantee, privilege }) => grantee !== table.owner && allowed[grantee]?.[privilege]?.length !== 0,
      );
      const columns = snapshot.columnGrants.filter(
        ({ relation, grantee, privilege, column }) =>
          relation === table.oid &&
          grantee !== table.owner &&
          !allowed[grantee]?.[privilege]?.includes(column),
      );
      return judge(keysTable, [
        ...granted(keysTable, whole),
        ...columns.flatMap((grant) => granted(`${keysTable}.${grant.column}`, [grant])),
      ]);
    },
  },
  {
    id: 'ENC-006',
    name: 'data-keys-use-wrapping-key',
    severity: 'high',
    title: 'Every data key is wrapped by the wrapping key of the environment',
    inspects: `algorithm, length and wrapping key of every row of ${keysTable} that is not destroyed`,
    why: 'The application cannot unwrap a data key that another key wraps. A wrapping key in a local file opens it to anyone who has the file.',
    remedy: 'Run llama-db keys rewrap --from <the other wrapping key>.',
    source,
    run: (input) => withKeys(input, wrappedAsConfigured),
  },
  {
    id: 'ENC-007',
    name: 'data-keys-avoid-expiring-version',
    severity: 'medium',
    title: 'No data key depends on a wrapping-key version that is about to expire',
    inspects: `wrapped_at in ${keysTable}, against the newest version in use and the lifetime of a version (two years)`,
    why: 'Key Vault creates a new version every year and lets old ones expire. Data keys that depend on an old version fail as soon as somebody disables it.',
    remedy: 'Run llama-db keys rewrap.',
    source,
    run: (input) =>
      withKeys(input, async ({ client }) => {
        const { rows } = await client.query<{ version: string; keys: number; old: boolean }>(
          `WITH newest AS (
             SELECT DISTINCT ON (wrapping_key) wrapping_key, wrapping_key_version,
                    (SELECT min(f.wrapped_at) FROM ${keysTable} f WHERE f.wrapped IS NOT NULL
                      AND (f.wrapping_key, f.wrapping_key_version) = (k.wrapping_key, k.wrapping_key_version)) AS since
               FROM ${keysTable} k WHERE wrapped IS NOT NULL ORDER BY wrapping_key, wrapped_at DESC)
           SELECT k.wrapping_key_version AS version, count(*)::int AS keys,
                  bool_or(k.wrapped_at < now() - interval '${wrappedDays} days') AS old
             FROM ${keysTable} k JOIN newest n USING (wrapping_key)
            WHERE k.wrapped IS NOT NULL
              AND (k.wrapped_at < now() - interval '${wrappedDays} days'
                   OR (k.wrapping_key_version <> n.wrapping_key_version AND n.since < now() - interval '${oldVersionDays} days'))
            GROUP BY 1 ORDER BY 1`,
        );
        return rows.map(({ version, keys, old }) => ({
          object: `version ${version} of the wrapping key`,
          detail: `still wraps ${counted(keys, 'data key')} ${old ? `after ${wrappedDays} days` : `${oldVersionDays} days after a newer version appeared`}`,
        }));
      }),
  },
  {
    id: 'ENC-008',
    name: 'data-keys-rotated-in-time',
    severity: 'medium',
    title: 'Data keys are rotated in time',
    inspects: `created_at and values_reserved of active keys, state_since of replaced ones in ${keysTable}`,
    why: 'With random nonces a key may encrypt 2^32 values, and a leaked key exposes everything that it encrypted.',
    remedy: 'Schedule llama-db keys rotate once a week.',
    source: `${source}; NIST SP 800-38D, 8.3`,
    run: (input) =>
      withKeys(input, async ({ client }) => {
        const { rows } = await client.query<{ tenant: string; reason: string }>(
          `SELECT tenant_id AS tenant, CASE
                    WHEN state = 'retiring' THEN 'its replaced key is still in use after ${retiringDays} days'
                    WHEN values_reserved >= ${reservedValues} THEN 'its key has reserved three quarters of its values'
                    ELSE 'its key is older than ${activeDays} days' END AS reason
             FROM ${keysTable}
            WHERE purpose = 'encryption'
              AND ((state = 'active' AND (created_at < now() - interval '${activeDays} days' OR values_reserved >= ${reservedValues}))
                   OR (state = 'retiring' AND state_since < now() - interval '${retiringDays} days'))
            ORDER BY 1 LIMIT ${listedTenants}`,
        );
        return rows.map(({ tenant, reason }) => ({ object: `tenant ${tenant}`, detail: reason }));
      }),
  },
  {
    id: 'ENC-009',
    name: 'encrypted-rows-hold-ciphertext',
    severity: 'critical',
    title: 'Every record that is marked as encrypted is encrypted',
    inspects: `a sample of ${recordsTable} (about ${samplePages} pages): rows with encrypted, and the form of their values`,
    why: 'A column that claims encryption over readable data misleads everybody.',
    remedy: 'Encrypt the rows (sealRecord).',
    source,
    run: (input) =>
      withSample(input, 'r.encrypted', async (client, sample) => {
        const { rows } = await client.query<{ tenant: string; readable: number; seen: number }>(
          `WITH seen AS (${sample})
           SELECT tenant_id AS tenant, count(*)::int AS seen,
                  count(*) FILTER (WHERE content_key IS NULL OR (metadata_readable AND metadata_key IS NULL))::int AS readable
             FROM seen GROUP BY 1 ORDER BY 1`,
        );
        return {
          seen: rows.reduce((sum, { seen }) => sum + seen, 0),
          findings: rows
            .filter(({ readable }) => readable > 0)
            .map(({ tenant, readable }) => ({
              object: `tenant ${tenant}`,
              detail: `${counted(readable, 'record')} marked as encrypted but readable`,
            })),
        };
      }),
  },
  {
    id: 'ENC-010',
    name: 'encryption-triggers-in-place',
    severity: 'high',
    title: 'Triggers keep the column encrypted true and data-key states final',
    inspects: `the triggers of ${recordsTable} and ${keysTable} that call guard_sealed_record, guard_data_key, guard_erasure, guard_key_end and refuse_key_loss`,
    why: 'These triggers keep the column encrypted consistent with the row and reject values whose key is unknown or destroyed. They also keep destroyed keys destroyed, erased tenants without keys, and a key alive while a value names it.',
    remedy: 'ALTER TABLE … ENABLE TRIGGER, or create them as migrations 0013 and 0014 do.',
    source,
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const guards = [
        { table: keysTable, calls: 'guard_key_end', on: ['update'] },
        { table: recordsTable, calls: 'guard_sealed_record', on: ['insert', 'update'] },
        { table: keysTable, calls: 'guard_data_key', on: ['insert', 'update'] },
        { table: keysTable, calls: 'guard_erasure', on: ['update'] },
        { table: keysTable, calls: 'refuse_key_loss', on: ['delete', 'truncate'] },
      ] as const;
      return judge(
        counted(guards.length, 'guard'),
        guards.flatMap(({ table, calls, on }) => {
          const relation = model.named(table);
          const triggers = relation
            ? model.triggersOf(relation).filter((trigger) => model.routine(trigger.function)?.name === calls)
            : [];
          const open = on.filter((command) => !triggers.some((trigger) => fires(trigger, command)));
          return listed(table, `has no enabled trigger ${calls} for`, open);
        }),
      );
    },
  },
  {
    id: 'ENC-019',
    name: 'erased-tenants-stay-erased',
    severity: 'critical',
    title: 'No erased tenant has a data key',
    inspects: `${keysTable}, and the erasures in ${auditTable}`,
    why: 'The erasure of a tenant was promised for good. A key that is restored makes everything readable again that backups and the trail still hold.',
    remedy:
      'Find out in the audit trail who restored the key, then run llama-db keys erase for the tenant again. After a restore from an earlier backup, erase again what was erased since.',
    source,
    run: (input) =>
      withKeys(input, async ({ client }) => {
        const { rows } = await client.query<{ tenant: string; detail: string }>(
          `SELECT k.tenant_id AS tenant,
                  'has erased data keys, and ' || count(*) FILTER (WHERE k.wrapped IS NOT NULL) || ' that still open something' AS detail
             FROM ${keysTable} AS k GROUP BY 1
           HAVING bool_or(k.state = 'erased') AND bool_or(k.wrapped IS NOT NULL)
           UNION ALL
           SELECT a.tenant_id, 'was erased at ' || to_char(min(a."timestamp"), 'YYYY-MM-DD HH24:MI') || ', and data key ' || a.record_id
                               || CASE WHEN k.key_id IS NULL THEN ' has no row any more' ELSE ' is ' || k.state END
             FROM ${auditTable} AS a
             LEFT JOIN ${keysTable} AS k ON k.tenant_id = a.tenant_id AND k.key_id = a.record_id
            WHERE a.table_name = 'data_keys' AND (a.new_values ->> 'state') = 'erased' AND k.state IS DISTINCT FROM 'erased'
            GROUP BY a.tenant_id, a.record_id, k.key_id, k.state
           ORDER BY 1, 2 LIMIT ${listedTenants}`,
        );
        return rows.map(({ tenant, detail }) => ({ object: `tenant ${tenant}`, detail }));
      }),
  },
  {
    id: 'ENC-011',
    name: 'encrypting-tenants-have-key',
    severity: 'medium',
    title: 'Every tenant with encryption enabled and records has a data key',
    inspects: `tenant_configs.encryption_enabled, records and ${keysTable}`,
    why: "The configuration promises encryption; without a key none of the tenant's rows was ever encrypted.",
    remedy: 'Write the records of the tenant with sealRecord, or set encryption_enabled = false.',
    source,
    run: (input) =>
      withKeys(input, async ({ client }) => {
        const { rows } = await client.query<{ tenant: string }>(
          `SELECT c.tenant_id AS tenant FROM ${schema}.tenant_configs c
            WHERE c.encryption_enabled
              AND NOT EXISTS (SELECT FROM ${keysTable} k WHERE k.tenant_id = c.tenant_id AND k.purpose = 'encryption'
                                AND k.state IN ('active', 'erased'))
              AND EXISTS (SELECT FROM ${recordsTable} r WHERE r.tenant_id = c.tenant_id)
            ORDER BY 1 LIMIT ${listedTenants}`,
        );
        return rows.map(({ tenant }) => ({
          object: `tenant ${tenant}`,
          detail: 'has records but no data key',
        }));
      }),
  },
  {
    id: 'ENC-012',
    name: 'encrypting-tenants-have-no-plaintext',
    severity: 'medium',
    title: 'Tenants with encryption enabled have no plaintext records',
    inspects: `a sample of ${recordsTable} (about ${samplePages} pages): unencrypted rows of tenants with encryption_enabled`,
    why: 'A writer stores in clear what the tenant expects to be encrypted.',
    remedy:
      'Find the writer (audit trail: user_agent, login), make it use sealRecord, and encrypt the rows that it wrote.',
    source,
    run: (input) =>
      withSample(input, 'r.encrypted IS NOT TRUE', async (client, sample) => {
        const { rows } = await client.query<{ tenant: string; readable: number; seen: number }>(
          `WITH seen AS (${sample})
           SELECT s.tenant_id AS tenant, count(*)::int AS seen,
                  count(*) FILTER (WHERE c.encryption_enabled)::int AS readable
             FROM seen s LEFT JOIN ${schema}.tenant_configs c USING (tenant_id) GROUP BY 1 ORDER BY 1`,
        );
        return {
          seen: rows.reduce((sum, { seen }) => sum + seen, 0),
          findings: rows
            .filter(({ readable }) => readable > 0)
            .map(({ tenant, readable }) => ({
              object: `tenant ${tenant}`,
              detail: `${counted(readable, 'record')} of the sample in clear`,
            })),
        };
      }),
  },
  {
    id: 'ENC-013',
    name: 'data-key-changes-audited-without-keys',
    severity: 'high',
    title: 'The audit trail records changes of data keys without the keys',
    inspects: `functions that triggers of ${keysTable} call`,
    why: 'The trail is kept longer and read by more people than the keys. With a copy of a key in it, destroying the key has no effect.',
    remedy: 'Make the triggers call llama.write_key_audit, which lists the columns that it writes.',
    source,
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const table = model.named(keysTable);
      if (!table) return missing;
      const routines = model
        .triggersOf(table)
        .map((trigger) => model.routine(trigger.function))
        .filter((routine) => /\bINSERT\s+INTO\s+llama\./i.test(routine?.source ?? ''));
      return judge(
        counted(routines.length, 'trigger'),
        routines.flatMap((routine): Finding[] =>
          routine && /\bto_jsonb?\s*\(\s*(NEW|OLD)\b|\b(NEW|OLD)\.(wrapped\b|\*)/i.test(routine.source)
            ? [{ object: signatureOf(routine), detail: 'records the wrapped key' }]
            : [],
        ),
      );
    },
  },
]);

type KeyFindings = (input: CheckInput) => Promise<readonly Finding[]>;

/** Runs `find` as the role that sees the keys of every tenant. */
async function withKeys(input: CheckInput, find: KeyFindings): Promise<Outcome> {
  const { client, snapshot } = input;
  if (!modelOf(snapshot).named(keysTable)) return missing;
  return rolledBack(client, async () => {
    await becomeAdministrator(client);
    const { rows } = await client.query<{ keys: number }>(
      `SELECT count(*)::int AS keys FROM ${keysTable} WHERE wrapped IS NOT NULL`,
    );
    return judge(counted(rows[0]?.keys ?? 0, 'data key'), await find(input));
  });
}

async function wrappedAsConfigured({
  client,
  deployment,
  snapshot,
}: CheckInput): Promise<readonly Finding[]> {
  const { rows } = await client.query<KeyRow>(
    `SELECT tenant_id AS tenant, key_id AS key, algorithm, wrapping_key AS "wrappingKey", length(wrapped) AS length
       FROM ${keysTable} WHERE wrapped IS NOT NULL ORDER BY 1, 2`,
  );
  const wanted = deployment?.fieldEncryptionKeyId?.toLowerCase();
  return rows.flatMap(({ tenant, key, algorithm, wrappingKey, length }): Finding[] => {
    const object = `data key ${key} of tenant ${tenant}`;
    const isVault = /^https:\/\/[^/]+\/keys\/[^/]+$/.test(wrappingKey);
    if (!wrappedLengths[algorithm]?.includes(length ?? 0)) {
      return [{ object, detail: `has ${length} bytes, which ${algorithm} does not produce` }];
    }
    if (isVault !== (algorithm === 'RSA-OAEP-256') || (!isVault && wrappingKey !== 'local')) {
      return [{ object, detail: `has wrapping key ${wrappingKey}, which does not use ${algorithm}` }];
    }
    if (wanted !== undefined && wrappingKey.toLowerCase() !== wanted) {
      return [{ object, detail: `is wrapped by ${wrappingKey}, expected ${wanted}` }];
    }
    return !isVault && snapshot.server.isAzure && wanted === undefined
      ? [{ object, detail: 'is wrapped by a key in a file' }]
      : [];
  });
}

type SampleFindings = (
  client: pg.Client,
  sample: string,
) => Promise<{ readonly seen: number; readonly findings: readonly Finding[] }>;

async function withSample(
  { client, snapshot }: CheckInput,
  condition: string,
  find: SampleFindings,
): Promise<Outcome> {
  const model = modelOf(snapshot);
  if (!model.named(keysTable) || !model.named(recordsTable)) return missing;
  return rolledBack(client, async () => {
    const { rows } = await client.query<{ pages: number }>(
      `SELECT coalesce(sum(pg_relation_size(i.inhrelid)) / current_setting('block_size')::int, 0)::float8 AS pages
         FROM pg_inherits i WHERE i.inhparent = '${recordsTable}'::regclass`,
    );
    await becomeAdministrator(client);
    const share = Math.min(100, (100 * samplePages) / Math.max(rows[0]?.pages ?? 1, 1));
    const sample = `
      SELECT r.tenant_id, ${schema}.data_key_of(r.mapped_data ->> '$enc') AS content_key,
             ${schema}.data_key_of(r.metadata ->> '$enc') AS metadata_key,
             coalesce(r.metadata - '$search' <> '{}', false) AS metadata_readable
        FROM ${recordsTable} AS r TABLESAMPLE SYSTEM (${share}) WHERE ${condition}`;
    const { seen, findings } = await find(client, sample);
    return judge(`${counted(seen, 'record')} of a ${share.toFixed(share < 1 ? 3 : 0)} % sample`, findings);
  });
}

async function becomeAdministrator(client: pg.Client): Promise<void> {
  await client.query(`SET LOCAL ROLE ${owner}`);
  await client.query('SET LOCAL ROLE admin_role');
}
