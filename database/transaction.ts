import type pg from 'pg';

/** Longest any statement of a verification may run, in milliseconds. */
const patience = 30_000;

/**
 * Names and instants must come out the same whatever the login's settings are: bounds are printed in the
 * session's time zone, and names are qualified by what the search path leaves out.
 */
const surroundings = `
  SELECT set_config('search_path', 'pg_catalog', true), set_config('timezone', 'UTC', true),
    set_config('datestyle', 'ISO, YMD', true), set_config('statement_timeout', '${patience}', true),
    set_config('lock_timeout', '2000', true)`;

/** Does `work` in a read-only transaction. Inside an open transaction it uses a savepoint and leaves that as it was. */
export async function readOnly<Result>(client: pg.Client, work: () => Promise<Result>): Promise<Result> {
  return undone(client, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', work);
}

/** Does `work` and takes back everything it wrote, settings and roles of the session included. */
export async function rolledBack<Result>(client: pg.Client, work: () => Promise<Result>): Promise<Result> {
  return undone(client, 'BEGIN', work);
}

async function undone<Result>(
  client: pg.Client,
  begin: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const nested = client.getTransactionStatus() === 'T';
  await client.query(nested ? 'SAVEPOINT verification' : begin);
  try {
    await client.query(surroundings);
    return await work();
  } finally {
    await client.query(
      nested ? 'ROLLBACK TO SAVEPOINT verification; RELEASE SAVEPOINT verification' : 'ROLLBACK',
    );
  }
}

/** The error that `work` ends with, after taking back what it did; undefined when it ends well. */
export async function attempt<Result>(
  client: pg.ClientBase,
  work: () => Promise<Result>,
): Promise<{ readonly value: Result } | { readonly refused: Error }> {
  await client.query('SAVEPOINT attempt');
  try {
    const value = await work();
    await client.query('RELEASE SAVEPOINT attempt');
    return { value };
  } catch (error) {
    await client.query('ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt');
    if (error instanceof Error) return { refused: error };
    throw error;
  }
}
