/** Tables of field encryption, and reading all keys of them: docs/encryption.md. */
import type pg from 'pg';
import { rolledBack } from '../database/transaction.ts';
import type { CheckInput, Finding, Outcome } from './check.ts';
import { modelOf, owner, schema } from './model.ts';
import { counted, judge, skip } from './outcome.ts';

export const keysTable = `${schema}.data_keys`;
export const recordsTable = `${schema}.storage_records`;
/** Tenants that one finding list names at most. */
export const listedTenants = 100;

export const missing = skip(`${keysTable} does not exist`);
export const source = 'docs/encryption.md; migrations/0013_data_keys.sql';

type KeyFindings = (input: CheckInput) => Promise<readonly Finding[]>;

/** Runs `find` as the role that sees the keys of every tenant. */
export async function withKeys(input: CheckInput, find: KeyFindings): Promise<Outcome> {
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

/** Takes the role that sees the rows of every tenant, for the rest of the transaction. */
export async function becomeAdministrator(client: pg.Client): Promise<void> {
  await client.query(`SET LOCAL ROLE ${owner}`);
  await client.query('SET LOCAL ROLE admin_role');
}
