/**
 * What migrations stand on: the role that owns the schema, the schema, and the tables that record what was done.
 */

import { Fault } from '../../core/fault.ts';
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
 * Makes role `llama_owner`, schema `llama` and the ledger where they are missing, as the login.
 *
 * @returns what was made, empty when everything was there: then nothing was written.
 * @throws Fault when the login may not act as `llama_owner`, or the schema belongs to somebody else.
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
  /** What it makes, as a person would name it; absent for a means to that. */
  readonly makes?: string;
  readonly sql: string;
  /** Run as the login; absent: as `llama_owner`. Roles and memberships belong to the whole server. */
  readonly shared?: 'role' | 'membership' | 'schema';
}

/**
 * What is missing, in the order in which it is made. Reads only.
 *
 * @throws Fault when the schema belongs to somebody else
 */
export async function preparation(connection: Connection): Promise<readonly PreparationStep[]> {
  const found = await inspect(connection);
  const steps: PreparationStep[] = [];
  if (!found.role) {
    steps.push({ makes: 'role llama_owner', sql: 'CREATE ROLE llama_owner NOLOGIN', shared: 'role' });
  }
  if (!found.may_set) {
    // Since 16 whoever makes a role administers it and is still no member that may SET ROLE to it.
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
      'prepare/1',
      `Schema llama on ${connection.circumstances.target} belongs to ${found.schema_owner}`,
      'everything in it must belong to llama_owner, or the next administrator cannot change it',
      `As ${found.schema_owner}: ALTER SCHEMA llama OWNER TO llama_owner.`,
    );
  }
  if (found.tables < ledgerTables.length) {
    steps.push(...ledgerTables.map(({ sql }) => ({ makes: 'the ledger', sql })));
  }
  return steps;
}

/** Whether there is anything to read: the ledger's tables exist. */
export async function isPrepared(connection: Connection): Promise<boolean> {
  return (await inspect(connection)).tables === ledgerTables.length;
}

/** Runs work with the session's role set to `llama_owner`. */
export async function asOwner<Result>(
  { client }: Pick<Connection, 'client'>,
  work: () => Promise<Result>,
): Promise<Result> {
  await client.query('SET ROLE llama_owner');
  try {
    return await work();
  } finally {
    // In an aborted transaction or on a lost connection this fails, and the first error is the one to hear.
    await client.query('RESET ROLE').catch(() => undefined);
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
  if (!row) throw new Error('the catalogs answered with nothing');
  return row;
}

async function becomeMember({ client, circumstances }: Connection, sql: string): Promise<void> {
  try {
    await tolerant(() => client.query(sql));
  } catch (error) {
    if (sqlState(error) !== '42501') throw error;
    throw new Fault(
      'prepare/2',
      `${circumstances.user} may not act as llama_owner on ${circumstances.target}`,
      'another administrator made the role, and only its maker can let others in',
      `As that administrator: GRANT llama_owner TO "${circumstances.user}" WITH INHERIT FALSE, SET TRUE.`,
      { cause: error },
    );
  }
}

/**
 * Roles and their memberships belong to the whole server, and the deployment of another of its databases may be
 * making the same ones at this moment: duplicate object, unique violation, tuple concurrently updated.
 */
export async function tolerant(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const raced = /tuple concurrently updated/.test(error instanceof Error ? error.message : '');
    if (!raced && !['42710', '23505'].includes(sqlState(error) ?? '')) throw error;
    if (raced) await work();
  }
}
