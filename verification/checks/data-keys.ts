/** Data keys: who may use them, what wraps them, and how old they are: docs/encryption.md. */
import { importRole } from '../../database/schema/roles.ts';
import { type CheckInput, checksOf, type Finding } from '../check.ts';
import { keysTable, listedTenants, missing, recordsTable, source, withKeys } from '../data-key-tables.ts';
import { auditTable, fires, granted, modelOf, signatureOf } from '../model.ts';
import { counted, judge, listed } from '../outcome.ts';

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

/** Privileges by role, with their columns; for the whole table if none is listed. */
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
  // Whether the tenant has the key of a record; never the key.
  [importRole]: { SELECT: ['tenant_id', 'key_id', 'purpose', 'state'] },
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
    loses: 'data',
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
    loses: 'recovery',
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
    loses: 'availability',
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
    loses: 'barrier',
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
    id: 'ENC-010',
    name: 'encryption-triggers-in-place',
    loses: 'recovery',
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
    loses: 'secrets',
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
    id: 'ENC-013',
    name: 'data-key-changes-audited-without-keys',
    loses: 'barrier',
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
