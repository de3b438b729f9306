/**
 * Two tenants with rows in every table and several months. Every value of the other tenant carries a mark, by which it can
 * be recognized anywhere.
 */
import type pg from 'pg';
import { otherTables, sampleInsert } from '../../support/tables.ts';
import type { Random } from '../random.ts';

/** Rows per tenant and table. */
const rowsPerMonth = 2;

/** Months with rows, relative to the current one. */
const months = [-3, -2, -1, 0, 1] as const;

export interface Key {
  readonly id: string;
  /** `2026-11-04 07:12:41.918273+00` */
  readonly timestamp: string;
}

export interface Tenant {
  readonly id: string;
  /** Keys of its records, metrics and executions that statements may contain. */
  readonly keys: readonly Key[];
}

export interface Tenants {
  readonly mine: Tenant;
  readonly theirs: Tenant;
  /** Matches, in any letter case, marks that only the other tenant's rows contain and no statement contains. */
  readonly secret: RegExp;
  /** Prefixes of the other tenant's values, and their replacements in the second copy. */
  readonly replacements: readonly (readonly [from: string, to: string])[];
}

export interface Marks extends Tenants {
  readonly text: string;
  readonly uuid: string;
  readonly knownUuid: string;
  readonly address: string;
  readonly integer: number;
  readonly numeric: string;
  readonly seconds: string;
}

export function makeTenants(random: Random): Marks {
  const text = `zq${random.hex(10)}`;
  const uuid = random.hex(8);
  const knownUuid = random.hex(8);
  const address = `203.${100 + random.below(150)}.${100 + random.below(150)}.${100 + random.below(150)}`;
  const integer = 1_000_000_000 + random.below(1_000_000_000);
  const numeric = `${1000 + random.below(8999)}.${100_000 + random.below(899_999)}`;
  const seconds = `${10 + random.below(50)}.${100_000 + random.below(899_999)}`;
  const key = (begin: string): Key => ({
    id: `${begin}-${random.hex(4)}-4${random.hex(3)}-8${random.hex(3)}-${random.hex(12)}`,
    timestamp: '',
  });
  const [mine, theirs] = [`tenant-${random.hex(8)}`, `tenant-${random.hex(8)}`];
  const keys = (begin: string) => Array.from({ length: months.length * rowsPerMonth }, () => key(begin));
  const encoded = [Buffer.from(text).toString('hex'), [...text].reverse().join('')];
  const literal = (value: string) => value.replaceAll('.', '\\.');
  return {
    ...{ text, uuid, knownUuid, address, integer, numeric, seconds },
    mine: { id: mine, keys: keys(random.hex(8)) },
    theirs: { id: theirs, keys: keys(knownUuid) },
    secret: new RegExp(
      [
        text,
        uuid,
        ...encoded,
        literal(address),
        String(integer),
        literal(numeric),
        `[0-9]:${literal(seconds)}`,
      ].join('|'),
      'i',
    ),
    replacements: [
      [theirs, `tenant-${random.hex(8)}`],
      [text, `zq${random.hex(10)}`],
      [uuid, random.hex(8)],
      [knownUuid, random.hex(8)],
    ],
  };
}

/**
 * Writes both tenants' rows as an administrator, so that the audit trail has them too.
 *
 * @param own marks of the first tenant. @default - recognizable values without a secret
 * @returns the tenants with the timestamps of their keys
 */
export async function plant(client: pg.Client, marks: Marks, own?: Marking): Promise<Tenants> {
  const { rows } = await client.query<{ first: string }>(
    `SELECT to_char(date_trunc('month', now(), 'UTC') AT TIME ZONE 'UTC' + make_interval(months => n), 'YYYY-MM') AS first
       FROM unnest($1::int[]) AS n ORDER BY 1`,
    [months],
  );
  const names = rows.map(({ first }) => first);
  for (const name of names) {
    await client.query(
      `SET ROLE llama_owner;
       SELECT llama.create_monthly_partition(table_name, '${name}-01') FROM llama.partitioned_tables;
       RESET ROLE`,
    );
  }
  const dated = (tenant: Tenant, seconds: string): Tenant => ({
    id: tenant.id,
    keys: tenant.keys.map(({ id }, nth) => ({
      id,
      timestamp: `${names[Math.floor(nth / rowsPerMonth)]}-${String(3 + (nth % rowsPerMonth) * 6).padStart(2, '0')} 07:${String(10 + nth).padStart(2, '0')}:${seconds}+00`,
    })),
  });
  const mine = dated(marks.mine, '11.111111');
  // Statements contain these keys, so the mark in their timestamps is not secret; the other half of the rows has it.
  const theirs = dated(marks.theirs, '22.222222');
  await client.query('SET ROLE admin_role');
  await plantTenant(
    client,
    mine,
    own ?? {
      ...{ text: 'own', integer: 42, numeric: '7.5', address: '192.0.2.7', seconds: '33.333333' },
      uuid: mine.keys[0]?.id.slice(0, 8) ?? '',
    },
  );
  await plantTenant(client, theirs, marks);
  await client.query(
    'RESET ROLE; SET ROLE maintenance_role; SELECT llama.refresh_performance_views(); RESET ROLE',
  );
  await client.query("SELECT lo_from_bytea(0, convert_to($1, 'UTF8'))", [`${marks.text} in a large object`]);
  return { mine, theirs, secret: marks.secret, replacements: marks.replacements };
}

type Marking = Pick<Marks, 'text' | 'integer' | 'numeric' | 'address' | 'uuid' | 'seconds'>;

/** Two rows per key and table: one with the key, and one with unknown values only. */
async function plantTenant(client: pg.Client, { id: tenant, keys }: Tenant, mark: Marking): Promise<void> {
  const { text, integer, numeric, address, uuid, seconds } = mark;
  await client.query('SELECT llama.set_tenant_context($1, $2, $3, $4::inet, $5)', [
    ...[tenant, `${text}-user`, hidden(uuid, 0), address, `${text}-agent`],
  ]);
  // The context ends with a transaction, but this whole session belongs to one tenant.
  const session = {
    current_user_id: `${text}-user`,
    correlation_id: hidden(uuid, 1),
    client_address: address,
    user_agent: `${text}-agent`,
  };
  for (const [name, value] of Object.entries(session)) {
    await client.query('SELECT set_config($1, $2, false)', [`app.${name}`, value]);
  }
  await client.query(
    `INSERT INTO llama.tenant_configs (tenant_id, confidence_threshold, detector_whitelist, detector_blacklist,
                                       storage_retention_days, custom_taxonomy_mappings, audit_level)
     VALUES ($1, 0.5, ARRAY[$2, 'a'], ARRAY[$3], 900, jsonb_build_object($2::text, $3::text), 'verbose')`,
    [tenant, `${text}-white`, `${text}-black`],
  );
  for (const table of otherTables) {
    await client.query(sampleInsert(table, tenant, 'admin_role', `${text}-`));
  }
  const rows = keys.flatMap(({ id, timestamp }, nth) => [
    [id, timestamp],
    [hidden(uuid, nth + 2), timestamp.replace(/\d\d\.\d+(?=\+00$)/, seconds)],
  ]);
  for (const [nth, [id, timestamp]] of rows.entries()) {
    const own = `${text}-${nth}`;
    await client.query(
      `INSERT INTO llama.storage_records (id, tenant_id, source_data_hash, mapped_data, model_version, detector_type,
         confidence_score, "timestamp", metadata, s3_key, correlation_id, azure_region, created_at, updated_at)
       VALUES ($1, $2, $3::text, jsonb_build_object('value', $3::text, 'n', $4::int), $3::text, $3::text, 0.75, $5,
               jsonb_build_object('note', $3::text), $3::text, $6, $3::text, $5, $5)`,
      [id, tenant, own, integer, timestamp, hidden(uuid, nth)],
    );
    await client.query(
      `INSERT INTO llama.model_metrics (id, tenant_id, model_version, metric_type, metric_value, "timestamp", metadata)
       VALUES ($1, $2, $3::text, $3::text, $4, $5, jsonb_build_object('note', $3::text))`,
      [id, tenant, own, numeric, timestamp],
    );
    await client.query(
      `INSERT INTO llama.detector_executions (id, tenant_id, detector_type, execution_time_ms, confidence_score, success,
                                              error_message, "timestamp", correlation_id)
       VALUES ($1, $2, $3::text, $4, 0.25, false, $3::text, $5, $6)`,
      [id, tenant, own, integer, timestamp, hidden(uuid, nth)],
    );
  }
  await client.query(
    `UPDATE llama.storage_records SET mapped_data = mapped_data || '{"changed": true}' WHERE tenant_id = $1`,
    [tenant],
  );
  await client.query('DELETE FROM llama.storage_records WHERE tenant_id = $1 AND id = $2', [
    tenant,
    hidden(uuid, 2),
  ]);
  await client.query("SELECT set_config('app.current_tenant_id', $1, false)", [tenant]);
  await client.query("SELECT llama.record_read('storage_records', $1)", [hidden(uuid, 3)]);
  for (const name of [...Object.keys(session), 'current_tenant_id']) await client.query(`RESET app.${name}`);
}

function hidden(begin: string, nth: number): string {
  return `${begin}-0000-4000-8000-${String(nth).padStart(12, '0')}`;
}

/**
 * Replaces the other tenant in this copy of the database: the same number of rows in the same places, with other keys and
 * values. The first tenant must not see any difference.
 */
export async function replaceOtherTenant(
  client: pg.Client,
  { theirs, replacements }: Tenants,
): Promise<void> {
  // Without triggers and append-only, so that the trail has the same entries for the replaced tenant.
  await client.query("SET session_replication_role = 'replica'");
  const { rows } = await client.query<{ table: string; name: string; type: string }>(
    `SELECT c.oid::regclass::text AS table, quote_ident(a.attname) AS name, format_type(a.atttypid, NULL) AS type
       FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE c.relnamespace = 'llama'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND EXISTS (SELECT FROM pg_attribute AS t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id')`,
  );
  for (const table of new Set(rows.map((row) => row.table))) {
    const changes = rows
      .filter((row) => row.table === table)
      .flatMap(({ name, type }) => {
        const value = otherValue(name, type, replacements);
        return value === undefined ? [] : [`${name} = ${value}`];
      });
    await client.query(`UPDATE ${table} SET ${changes.join(', ')} WHERE tenant_id = $1`, [theirs.id]);
  }
  await client.query('RESET session_replication_role');
  await client.query('SET ROLE maintenance_role; SELECT llama.refresh_performance_views(); RESET ROLE');
}

function otherValue(name: string, type: string, replacements: Tenants['replacements']): string | undefined {
  switch (type) {
    case 'integer':
      return `${name} + 1`;
    case 'numeric':
      return `${name} / 2`;
    case 'boolean':
      return `NOT ${name}`;
    case 'timestamp with time zone':
      return `${name} + interval '1 second'`;
    case 'uuid':
    case 'text':
    case 'character varying':
    case 'jsonb':
    case 'text[]':
      return `${replacements.reduce((value, [from, to]) => `replace(${value}, '${from}', '${to}')`, `${name}::text`)}::${type}`;
    default:
      return undefined;
  }
}

/** A hash per table over all rows that do not belong to the first tenant. */
export async function foreignContent(client: pg.Client, mine: string): Promise<ReadonlyMap<string, string>> {
  const { rows: tables } = await client.query<{ name: string; tenant: boolean }>(
    `SELECT c.oid::regclass::text AS name,
            EXISTS (SELECT FROM pg_attribute AS t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id') AS tenant
       FROM pg_class AS c
      WHERE c.relnamespace = 'llama'::regnamespace AND c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition`,
  );
  const hashes = new Map<string, string>();
  for (const { name, tenant } of tables) {
    const { rows } = await client.query<{ hash: string }>(
      `SELECT count(*) || ' rows, ' || coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), 'none') AS hash
         FROM ${name} AS t${tenant ? ' WHERE t.tenant_id IS DISTINCT FROM $1' : ''}`,
      tenant ? [mine] : [],
    );
    hashes.set(name, rows[0]?.hash ?? '');
  }
  return hashes;
}
