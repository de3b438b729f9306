/**
 * What migrations stand on: the role that owns the schema, the schema, and the tables that record what was done.
 */
import type { Connection } from '../connection.ts';
import { sqlState } from '../diagnosis.ts';
import { Fault } from '../fault.ts';
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
  const made: string[] = [];
  const { client } = connection;
  const found = await inspect(connection);
  if (!found.role) {
    made.push('role llama_owner');
    await tolerant(() => client.query('CREATE ROLE llama_owner NOLOGIN'));
  }
  if (!found.may_set) await becomeMember(connection);
  if (found.schema_owner === null) {
    made.push('schema llama');
    await client.query('CREATE SCHEMA llama AUTHORIZATION llama_owner');
  } else if (found.schema_owner !== 'llama_owner') {
    throw new Fault(
      `Schema llama on ${connection.circumstances.target} belongs to ${found.schema_owner}`,
      'everything in it must belong to llama_owner, or the next administrator cannot change it',
      `As ${found.schema_owner}: ALTER SCHEMA llama OWNER TO llama_owner.`,
    );
  }
  if (found.tables < ledgerTables.length) {
    made.push('the ledger');
    await asOwner(connection, async () => {
      for (const { sql } of ledgerTables) await client.query(sql);
    });
  }
  return made;
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

/** Since 16 whoever makes a role administers it and is still no member that may SET ROLE to it. */
async function becomeMember({ client, circumstances }: Connection): Promise<void> {
  try {
    await tolerant(() => client.query('GRANT llama_owner TO CURRENT_USER WITH INHERIT FALSE, SET TRUE'));
  } catch (error) {
    if (sqlState(error) !== '42501') throw error;
    throw new Fault(
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
