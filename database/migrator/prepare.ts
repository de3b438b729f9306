/** Creates the prerequisites of migrations: the owner role, the schema and the ledger. */
import { Fault } from '../../core/fault.ts';
import { messageOf } from '../../core/text.ts';
import type { Connection } from '../connection.ts';
import { sqlState } from '../diagnosis.ts';
import { ledgerTables } from './ledger.ts';

interface Foundation {
  readonly role: boolean;
  readonly may_set: boolean;
  readonly schema_owner: string | null;
  readonly tables: number;
}

/**
 * Creates role `llama_owner`, schema `llama` and the ledger if they are missing, as the login.
 *
 * @returns the created objects, for people; empty if nothing was written
 * @throws Fault if the login may not SET ROLE to `llama_owner`, or if another role owns the schema
 */
export async function prepare(connection: Connection): Promise<readonly string[]> {
  const steps = await preparation(connection);
  for (const { sql, shared } of steps) {
    if (shared === undefined) await asOwner(connection, () => connection.client.query(sql));
    else if (shared === 'membership') await becomeMember(connection, sql);
    else if (shared === 'role') await tolerant(() => connection.client.query(sql));
    else await connection.client.query(sql);
  }
  return [...new Set(steps.flatMap(({ makes }) => makes ?? []))];
}

export interface PreparationStep {
  /** The object that it creates, for people; absent for an auxiliary step. */
  readonly makes?: string;
  readonly sql: string;
  /** Kind of a step that runs as the login. @default - it runs as `llama_owner` */
  readonly shared?: 'role' | 'membership' | 'schema';
}

/**
 * The missing steps, in order of execution. It only reads.
 *
 * @throws Fault if another role owns the schema
 */
export async function preparation(connection: Connection): Promise<readonly PreparationStep[]> {
  const found = await inspect(connection);
  const steps: PreparationStep[] = [];
  if (!found.role) {
    steps.push({ makes: 'role llama_owner', sql: 'CREATE ROLE llama_owner NOLOGIN', shared: 'role' });
  }
  if (!found.may_set) {
    // Since version 16, the creator of a role may administer it, but may not SET ROLE to it.
    steps.push({
      sql: 'GRANT llama_owner TO CURRENT_USER WITH INHERIT FALSE, SET TRUE',
      shared: 'membership',
    });
  }
  if (found.schema_owner === null) {
    steps.push({
      makes: 'schema llama',
      sql: 'CREATE SCHEMA llama AUTHORIZATION llama_owner',
      shared: 'schema',
    });
  } else if (found.schema_owner !== 'llama_owner') {
    throw new Fault(
      'schema/owned-by-another',
      `Schema llama on ${connection.circumstances.target} belongs to ${found.schema_owner}`,
      'llama_owner must own everything in it, or the next administrator cannot change it',
      `After a restore, run llama-db repair. Otherwise, as ${found.schema_owner}, run ALTER SCHEMA llama OWNER TO llama_owner.`,
    );
  }
  if (found.tables < ledgerTables.length) {
    steps.push(...ledgerTables.map(({ sql }) => ({ makes: 'the ledger', sql })));
  }
  return steps;
}

/** Whether the tables of the ledger exist. */
export async function isPrepared(connection: Connection): Promise<boolean> {
  return (await inspect(connection)).tables === ledgerTables.length;
}

/** Runs `work` as `llama_owner`. */
export function asOwner<Result>(
  connection: Pick<Connection, 'client'>,
  work: () => Promise<Result>,
): Promise<Result> {
  return asRole(connection, 'llama_owner', work);
}

/** Runs `work` with SET ROLE, then resets the role. */
export async function asRole<Result>(
  { client }: Pick<Connection, 'client'>,
  role: 'llama_owner' | 'maintenance_role' | 'admin_role' | 'import_writer',
  work: () => Promise<Result>,
): Promise<Result> {
  await client.query(`SET ROLE ${role}`);
  try {
    return await work();
  } finally {
    // In an aborted transaction or on a lost connection this fails; the earlier error is the useful one.
    await client.query('SET ROLE NONE').catch(() => undefined);
  }
}

async function inspect({ client }: Connection): Promise<Foundation> {
  const { rows } = await client.query<Foundation>(
    `SELECT r.oid IS NOT NULL AS role,
            r.oid IS NOT NULL AND pg_catalog.pg_has_role(SESSION_USER, r.oid, 'SET') AS may_set,
            (SELECT pg_catalog.pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = 'llama') AS schema_owner,
            (SELECT count(*)::int FROM pg_catalog.pg_class AS c
               JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
              WHERE n.nspname = 'llama' AND c.relkind = 'r' AND c.relname = ANY ($1)) AS tables
       FROM (SELECT pg_catalog.to_regrole('llama_owner')::oid AS oid) AS r`,
    [ledgerTables.map(({ name }) => name)],
  );
  const [row] = rows;
  if (!row) throw new Error('the query of the catalogs returned no row');
  return row;
}

async function becomeMember({ client, circumstances }: Connection, sql: string): Promise<void> {
  try {
    await tolerant(() => client.query(sql));
  } catch (error) {
    if (sqlState(error) !== '42501') throw error;
    throw new Fault(
      'schema/owner-role-not-held',
      `${circumstances.user} may not act as llama_owner on ${circumstances.target}`,
      'another administrator created the role, and only its creator can grant it',
      `As that administrator, run GRANT llama_owner TO "${circumstances.user}" WITH INHERIT FALSE, SET TRUE.`,
      { cause: error },
    );
  }
}

/**
 * Runs a statement on roles or memberships, which belong to the whole server. The deployment of another database may
 * create the same ones at the same time, so these errors are accepted: duplicate object, unique violation, tuple
 * concurrently updated.
 */
export async function tolerant(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const raced = /tuple concurrently updated/.test(messageOf(error));
    if (!raced && !['42710', '23505'].includes(sqlState(error) ?? '')) throw error;
    if (raced) await work();
  }
}
