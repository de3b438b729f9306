/** Data keys and what they encrypt: docs/encryption.md. */
import type pg from 'pg';
import { rolledBack } from '../../database/transaction.ts';
import { type CheckInput, checksOf, type Finding, type Outcome } from '../check.ts';
import { describeGrants, modelOf, owner, schema, signatureOf } from '../model.ts';
import { counted, judge, skip } from '../outcome.ts';

const keysTable = `${schema}.data_keys`;
const recordsTable = `${schema}.storage_records`;
const missing = skip(`${keysTable} does not exist`);
const source = 'docs/encryption.md; migrations/0013_data_keys.sql';

/** What whoever makes a key says of it; state, dates and counts are the table's own. */
const made = [
  'tenant_id',
  'key_id',
  'purpose',
  'algorithm',
  'wrapping_key',
  'wrapping_key_version',
  'wrapped',
] as const;

/** Who may do what; columns matter for INSERT and UPDATE. */
const allowed: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  application_role: {
    SELECT: [],
    INSERT: made,
    UPDATE: ['state', 'values_reserved'],
  },
  admin_role: {
    SELECT: [],
    INSERT: made,
    UPDATE: ['state', 'values_reserved', 'algorithm', 'wrapping_key', 'wrapping_key_version', 'wrapped'],
  },
};

/** Bytes of a wrapped data key: a block of the RSA key, or nonce, payload and tag. */
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
    title: 'Data keys are open to the application and to administrators, and nobody deletes one',
    inspects: `privileges on ${keysTable} and its columns`,
    why: 'Without its data key everything of a tenant is lost, and whoever may overwrite wrapped keys may put in one that they know.',
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
        ...(whole.length > 0 ? [{ object: keysTable, detail: describeGrants(whole) }] : []),
        ...columns.map((grant) => ({
          object: `${keysTable}.${grant.column}`,
          detail: describeGrants([grant]),
        })),
      ]);
    },
  },
  {
    id: 'ENC-006',
    name: 'data-keys-use-wrapping-key',
    severity: 'high',
    title: 'Every data key is wrapped as this environment wraps',
    inspects: `algorithm, length and wrapping key of every row of ${keysTable} that is not destroyed`,
    why: 'A data key that is wrapped otherwise cannot be unwrapped by the application, or by too many: a key in a local file opens it for whoever has the file.',
    remedy: 'llama-db keys rewrap --from <the other wrapping key>.',
    source,
    run: (input) => lookAtKeys(input, wrappedAsConfigured),
  },
  {
    id: 'ENC-007',
    name: 'data-keys-avoid-expiring-version',
    severity: 'medium',
    title: 'No data key stays with a version of the wrapping key that is about to expire',
    inspects: `wrapped_at in ${keysTable}, against the newest version seen there and the two years a version lives`,
    why: 'Key Vault makes a new version each year and lets the old one expire; what is wrapped with it then hangs by a version that somebody may disable at any time.',
    remedy: 'llama-db keys rewrap.',
    source,
    run: (input) =>
      lookAtKeys(input, async ({ client }) => {
        const { rows } = await client.query<{ version: string; keys: number; old: boolean }>(
          `WITH newest AS (
             SELECT DISTINCT ON (wrapping_key) wrapping_key, wrapping_key_version,
                    (SELECT min(f.wrapped_at) FROM ${keysTable} f WHERE f.wrapped IS NOT NULL
                      AND (f.wrapping_key, f.wrapping_key_version) = (k.wrapping_key, k.wrapping_key_version)) AS since
               FROM ${keysTable} k WHERE wrapped IS NOT NULL ORDER BY wrapping_key, wrapped_at DESC)
           SELECT k.wrapping_key_version AS version, count(*)::int AS keys,
                  bool_or(k.wrapped_at < now() - interval '700 days') AS old
             FROM ${keysTable} k JOIN newest n USING (wrapping_key)
            WHERE k.wrapped IS NOT NULL
              AND (k.wrapped_at < now() - interval '700 days'
                   OR (k.wrapping_key_version <> n.wrapping_key_version AND n.since < now() - interval '30 days'))
            GROUP BY 1 ORDER BY 1`,
        );
        return rows.map(({ version, keys, old }) => ({
          object: `version ${version} of the wrapping key`,
          detail: `${counted(keys, 'data key')} ${old ? 'wrapped with it two years ago' : 'left with it a month after a newer one'}`,
        }));
      }),
  },
  {
    id: 'ENC-008',
    name: 'data-keys-rotated-in-time',
    severity: 'medium',
    title: 'Data keys are replaced in time',
    inspects: `created_at and values_reserved of active keys, state_since of replaced ones in ${keysTable}`,
    why: 'With random nonces a key may encrypt 2^32 values; and what was encrypted with one key falls with it.',
    remedy: 'llama-db keys rotate, scheduled once a week.',
    source: `${source}; NIST SP 800-38D, 8.3`,
    run: (input) =>
      lookAtKeys(input, async ({ client }) => {
        const { rows } = await client.query<{ tenant: string; reason: string }>(
          `SELECT tenant_id AS tenant, CASE
                    WHEN state = 'retiring' THEN 'its replaced key is still used after 90 days'
                    WHEN values_reserved >= 3221225472 THEN 'its key has three quarters of its values reserved'
                    ELSE 'its key is older than 400 days' END AS reason
             FROM ${keysTable}
            WHERE purpose = 'encryption'
              AND ((state = 'active' AND (created_at < now() - interval '400 days' OR values_reserved >= 3221225472))
                   OR (state = 'retiring' AND state_since < now() - interval '90 days'))
            ORDER BY 1 LIMIT 100`,
        );
        return rows.map(({ tenant, reason }) => ({ object: `tenant ${tenant}`, detail: reason }));
      }),
  },
  {
    id: 'ENC-009',
    name: 'encrypted-rows-hold-ciphertext',
    severity: 'critical',
    title: 'Every record that is marked as encrypted is encrypted',
    inspects: `a sample of ${recordsTable} (about 200 pages): rows with encrypted, and the form of their values`,
    why: 'A column that says true over readable data is worse than none.',
    remedy: 'Encrypt the rows (sealRecord).',
    source,
    run: (input) =>
      lookAtRecords(input, 'r.encrypted', async (client, sample) => {
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
              detail: `${counted(readable, 'record')} readable, marked as encrypted`,
            })),
        };
      }),
  },
  {
    id: 'ENC-010',
    name: 'encryption-triggers-in-place',
    severity: 'high',
    title: 'Nothing is written as encrypted that is not, and no data key goes back',
    inspects: `the triggers of ${recordsTable} and ${keysTable} that call guard_sealed_record, guard_data_key, guard_erasure and guard_key_end`,
    why: 'These triggers keep the column encrypted true to the row, refuse values whose key is unknown or destroyed, keep a destroyed key destroyed and an erased tenant without any, and keep a key for as long as a value names it.',
    remedy: 'ALTER TABLE … ENABLE TRIGGER, or create them as migrations 0013 and 0014 do.',
    source,
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const guards = [
        { table: keysTable, calls: 'guard_key_end', on: ['updates'] },
        { table: recordsTable, calls: 'guard_sealed_record', on: ['inserts', 'updates'] },
        { table: keysTable, calls: 'guard_data_key', on: ['inserts', 'updates'] },
        { table: keysTable, calls: 'guard_erasure', on: ['updates'] },
      ] as const;
      const kinds = { inserts: 4, updates: 16 } as const;
      return judge(
        counted(guards.length, 'guard'),
        guards.flatMap(({ table, calls, on }): Finding[] => {
          const relation = model.named(table);
          const triggers = relation
            ? model
                .triggersOf(relation)
                .filter(
                  ({ enabled, function: oid }) =>
                    (enabled === 'O' || enabled === 'A') && model.routine(oid)?.name === calls,
                )
            : [];
          const open = on.filter((event) => !triggers.some(({ type }) => type & kinds[event]));
          return open.length > 0
            ? [{ object: table, detail: `${calls} does not guard ${open.join(' and ')}` }]
            : [];
        }),
      );
    },
  },
  {
    id: 'ENC-011',
    name: 'encrypting-tenants-have-key',
    severity: 'medium',
    title: 'Every tenant that wants encryption and has records has a data key',
    inspects: `tenant_configs.encryption_enabled, records and ${keysTable}`,
    why: 'Its configuration promises encryption, and without a key nothing of it was ever encrypted.',
    remedy:
      "Write the tenant's records with sealRecord; or say encryption_enabled = false, which is the truth.",
    source,
    run: (input) =>
      lookAtKeys(input, async ({ client }) => {
        const { rows } = await client.query<{ tenant: string }>(
          `SELECT c.tenant_id AS tenant FROM ${schema}.tenant_configs c
            WHERE c.encryption_enabled
              AND NOT EXISTS (SELECT FROM ${keysTable} k WHERE k.tenant_id = c.tenant_id AND k.purpose = 'encryption'
                                AND k.state IN ('active', 'erased'))
              AND EXISTS (SELECT FROM ${recordsTable} r WHERE r.tenant_id = c.tenant_id)
            ORDER BY 1 LIMIT 100`,
        );
        return rows.map(({ tenant }) => ({
          object: `tenant ${tenant}`,
          detail: 'has records and no data key',
        }));
      }),
  },
  {
    id: 'ENC-012',
    name: 'encrypting-tenants-have-no-plaintext',
    severity: 'medium',
    title: 'Tenants that want encryption have no readable records',
    inspects: `a sample of ${recordsTable} (about 200 pages): rows without encrypted, of tenants with encryption_enabled`,
    why: 'Some writer stores in clear what the tenant was promised to be encrypted.',
    remedy:
      'Find the writer (audit trail: user_agent, login), let it use sealRecord, and encrypt what it wrote.',
    source,
    run: (input) =>
      lookAtRecords(input, 'r.encrypted IS NOT TRUE', async (client, sample) => {
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
    title: 'The audit trail is told of data keys, and not the keys',
    inspects: `functions that triggers of ${keysTable} call`,
    why: 'The trail is kept longer and read by more people than the keys; with a copy in it, destroying a key destroys nothing.',
    remedy: 'Let the triggers call llama.write_key_audit, which names the columns it writes.',
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
            ? [{ object: signatureOf(routine), detail: 'writes down the wrapped key' }]
            : [],
        ),
      );
    },
  },
]);

type KeyJudge = (input: CheckInput) => Promise<readonly Finding[]>;

/** Asks as the role that sees every tenant's keys. */
async function lookAtKeys(input: CheckInput, find: KeyJudge): Promise<Outcome> {
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
      return [{ object, detail: `${length} bytes are no key wrapped with ${algorithm}` }];
    }
    if (isVault !== (algorithm === 'RSA-OAEP-256') || (!isVault && wrappingKey !== 'local')) {
      return [{ object, detail: `${wrappingKey} does not wrap with ${algorithm}` }];
    }
    if (wanted !== undefined && wrappingKey.toLowerCase() !== wanted) {
      return [{ object, detail: `is wrapped by ${wrappingKey}` }];
    }
    return !isVault && snapshot.server.isAzure && wanted === undefined
      ? [{ object, detail: 'is wrapped by a key in a file' }]
      : [];
  });
}

type RecordJudge = (
  client: pg.Client,
  sample: string,
) => Promise<{ readonly seen: number; readonly findings: readonly Finding[] }>;

/** Pages of all partitions together that a sample reads, about. */
const samplePages = 200;

async function lookAtRecords(
  { client, snapshot }: CheckInput,
  condition: string,
  find: RecordJudge,
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
