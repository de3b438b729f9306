/** Transactions that read only, or that are always rolled back. */
import type pg from 'pg';
import { pinTransaction } from './session.ts';

/** Milliseconds that a statement of a verification may run. */
const statementTimeout = 30_000;

/** Short limits beside the pinned settings: a verification must not make others wait. */
const limits = `
  SELECT pg_catalog.set_config('statement_timeout', '${statementTimeout}', true), pg_catalog.set_config('lock_timeout', '2000', true)`;

/** Runs `work` in a read-only transaction. Inside an open transaction, it uses a savepoint and restores it. */
export async function readOnly<Result>(client: pg.Client, work: () => Promise<Result>): Promise<Result> {
  return undone(client, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', work);
}

/** Runs `work`, then rolls back all of its changes, including settings and role of the session. */
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
    await client.query(pinTransaction);
    await client.query(limits);
    return await work();
  } finally {
    await client.query(
      nested ? 'ROLLBACK TO SAVEPOINT verification; RELEASE SAVEPOINT verification' : 'ROLLBACK',
    );
  }
}

/** Runs `work` in a savepoint. @returns its value, or the error after a rollback to the savepoint */
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
