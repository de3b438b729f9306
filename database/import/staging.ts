/**
 * Large data by logical replication. No subscription may write into tables under row-level security, and nobody on Azure
 * bypasses it. The subscription therefore writes into a database of its own on the target server, and the import reads it.
 */
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { type Connection, connect, withConnection } from '../connection.ts';
import { sqlState } from '../diagnosis.ts';
import type { Target } from '../target.ts';
import { agent } from './batch.ts';
import { identifier, importedTables } from './tables.ts';

/** A source is only read, so it may be older than what deployments accept; sha256() exists from 11 on. */
const oldestSource = 11;

/** Name of the publication and of the subscription. */
const name = 'llama_import';

export function sourceConnection(source: Target, reporter: Reporter): Promise<Connection> {
  return connect(source, {
    applicationName: agent,
    session: 'maintenance',
    acceptStandby: true,
    oldestVersion: oldestSource,
    reporter,
  });
}

/** The staging database of a target. */
export function stagingOf(target: Target): Target {
  return { ...target, database: `${target.database}_staging` };
}

export interface Staged {
  readonly database: string;
  /** Statements for people. The subscription needs the password of the source in place of `<password>`. */
  readonly publication: string;
  readonly subscription: string;
}

interface StagedTable {
  readonly table: string;
  readonly columns: readonly { readonly name: string; readonly type: string; readonly required: boolean }[];
  /** Columns of the replica identity; null if it is FULL. */
  readonly key: readonly string[] | null;
}

/**
 * Checks that the source can publish, and creates the staging database with the source's tables. It may run repeatedly.
 *
 * @throws Fault if the source cannot publish, or the login may not create a subscription
 */
export async function prepareStaging(
  target: Target,
  source: Target,
  schema: string,
  reporter: Reporter,
): Promise<Staged> {
  const connection = await sourceConnection(source, reporter);
  let tables: readonly StagedTable[];
  try {
    await requirePublishable(connection, schema);
    tables = await tablesOf(connection, schema);
  } finally {
    await connection.close();
  }
  const staging = stagingOf(target);
  await withConnection(target, { applicationName: agent, reporter }, (there) =>
    createDatabase(there, staging.database),
  );
  await withConnection(staging, { applicationName: agent, reporter }, (there) =>
    createTables(there, schema, tables),
  );
  reporter.line(`Database ${staging.database} has ${tables.map(({ table }) => table).join(', ')}`);
  const names = tables.map(({ table }) => `${identifier(schema)}.${identifier(table)}`).join(', ');
  const address = [
    ...[`host=${source.address ?? source.host}`, `port=${source.port}`, `dbname=${source.database}`],
    ...[`user=${source.user}`, 'password=<password>', 'sslmode=require'],
  ].join(' ');
  return {
    database: staging.database,
    publication: `CREATE PUBLICATION ${name} FOR TABLE ${names} WITH (publish_via_partition_root = true);`,
    subscription: `CREATE SUBSCRIPTION ${name} CONNECTION '${address.replaceAll("'", "''")}' PUBLICATION ${name};`,
  };
}

async function requirePublishable({ client, circumstances }: Connection, schema: string): Promise<void> {
  const { rows } = await client.query<{ level: string; free: number }>(
    `SELECT current_setting('wal_level') AS level,
            current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_catalog.pg_replication_slots)::int AS free`,
  );
  const problems: string[] = [];
  if (rows[0]?.level !== 'logical') problems.push(`wal_level is ${rows[0]?.level}, not logical`);
  if ((rows[0]?.free ?? 0) < 1) problems.push('no replication slot is free (max_replication_slots)');
  // A published table without an identity refuses every UPDATE and DELETE at the source. Of a partitioned table, each leaf
  // has its own identity.
  const { rows: silent } = await client.query<{ relation: string; identity: string }>(
    `SELECT c.oid::pg_catalog.regclass::text AS relation, c.relreplident AS identity
       FROM pg_catalog.pg_class AS p
       JOIN pg_catalog.pg_namespace AS n ON n.oid = p.relnamespace
      CROSS JOIN LATERAL (SELECT p.oid AS relid UNION SELECT t.relid FROM pg_catalog.pg_partition_tree(p.oid) AS t) AS t
       JOIN pg_catalog.pg_class AS c ON c.oid = t.relid AND c.relkind = 'r'
      WHERE n.nspname = $1 AND p.relname = ANY ($2) AND p.relkind IN ('r', 'p')
        AND c.relreplident <> 'f'
        AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_index AS i
           WHERE i.indrelid = c.oid AND i.indisvalid
             AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident))
      ORDER BY 1`,
    [schema, importedTables],
  );
  if (silent.length > 0) {
    problems.push(
      `UPDATE and DELETE on ${silent.map(({ relation }) => relation).join(', ')} would fail once published, because no replica identity exists`,
    );
  }
  if (problems.length === 0) return;
  throw new Fault(
    'import/source-cannot-publish',
    `${circumstances.target} cannot publish its tables`,
    problems.join('; '),
    'At the source, set wal_level = logical (a restart), free a slot, and give each table named here a primary key or REPLICA IDENTITY FULL.',
  );
}

async function tablesOf(
  { client, circumstances }: Connection,
  schema: string,
): Promise<readonly StagedTable[]> {
  const { rows } = await client.query<StagedTable>(
    `SELECT c.relname AS "table",
            (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
                      'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'required', a.attnotnull)
                      ORDER BY a.attnum)
               FROM pg_catalog.pg_attribute AS a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
            (SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attnum)
               FROM pg_catalog.pg_index AS i
               JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
              WHERE i.indrelid = c.oid AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident)) AS key
       FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind IN ('r', 'p')
      ORDER BY 1`,
    [schema, importedTables],
  );
  if (rows.length > 0) return rows;
  throw new Fault(
    'import/source-empty',
    `${circumstances.target} has no table to import`,
    `schema ${schema} has none of ${importedTables.join(', ')}`,
    'Name the schema of the tables with --schema, or another source.',
    { exitCode: 2 },
  );
}

async function createDatabase({ client, circumstances }: Connection, database: string): Promise<void> {
  const { rows } = await client.query<{ there: boolean; may: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1) AS there,
            pg_catalog.pg_has_role('pg_create_subscription', 'USAGE') AS may`,
    [database],
  );
  if (rows[0]?.may !== true) {
    throw new Fault(
      'import/subscription-forbidden',
      `${circumstances.user} may not create a subscription on ${circumstances.target}`,
      'it does not have the privileges of pg_create_subscription',
      'As an administrator that may, run GRANT pg_create_subscription to this login, and run the command again.',
    );
  }
  if (rows[0].there) return;
  await client.query(`CREATE DATABASE ${identifier(database)}`);
  // Its tables have no row-level security.
  await client.query(`REVOKE ALL ON DATABASE ${identifier(database)} FROM PUBLIC`);
}

async function createTables(
  { client, circumstances }: Connection,
  schema: string,
  tables: readonly StagedTable[],
) {
  await client.query('BEGIN');
  try {
    if (schema !== 'public') await client.query(`CREATE SCHEMA IF NOT EXISTS ${identifier(schema)}`);
    for (const { table, columns, key } of tables) {
      const relation = `${identifier(schema)}.${identifier(table)}`;
      const parts = columns.map(
        ({ name, type, required }) => `${identifier(name)} ${type}${required ? ' NOT NULL' : ''}`,
      );
      if (key) parts.push(`PRIMARY KEY (${key.map(identifier).join(', ')})`);
      await client.query(`CREATE TABLE IF NOT EXISTS ${relation} (${parts.join(', ')})`);
      await client.query(`ALTER TABLE ${relation} REPLICA IDENTITY ${key ? 'DEFAULT' : 'FULL'}`);
      // The import reads it by tenant and month.
      const by = columns.some(({ name }) => name === 'timestamp') ? 'tenant_id, "timestamp"' : 'tenant_id';
      await client.query(
        `CREATE INDEX IF NOT EXISTS ${identifier(`${table}_import_idx`)} ON ${relation} (${by})`,
      );
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    if (!/^42/.test(sqlState(error) ?? '')) throw error;
    throw new Fault(
      'import/staging-differs',
      `The staging tables cannot be created on ${circumstances.target}`,
      error instanceof Error ? error.message : String(error),
      'Drop the subscription and the staging database, and run the command again.',
      { cause: error },
    );
  }
}
