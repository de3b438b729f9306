/** Transactions on data keys and what they encrypt, in the role whose rows they are about. */
import type pg from 'pg';

export interface TransactionOptions {
  /** @default - the session's own */
  readonly role?: 'application_role' | 'admin_role';
  /** Whose rows row-level security shows. @default - none */
  readonly tenant?: string;
}

/**
 * Commits what `work` did on this connection, or nothing. At READ COMMITTED whatever the session's default is: data keys
 * are made and erased at no other (llama.hold_data_keys).
 */
export async function transaction<Result>(
  client: pg.ClientBase,
  { role, tenant }: TransactionOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  try {
    if (role !== undefined) await client.query(`SET LOCAL ROLE ${role}`);
    // The acting user stays who the session says: set_tenant_context would empty it.
    if (tenant !== undefined) {
      await client.query("SELECT pg_catalog.set_config('app.current_tenant_id', $1, true)", [tenant]);
    }
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** On an administrator's connection: not even a defect of `work` reaches another tenant. */
export function asApplication<Result>(
  client: pg.ClientBase,
  tenant: string | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  return transaction(client, { role: 'application_role', ...(tenant === undefined ? {} : { tenant }) }, work);
}

/** As the role that sees and changes every tenant's keys. */
export function asAdministrator<Result>(client: pg.ClientBase, work: () => Promise<Result>): Promise<Result> {
  return transaction(client, { role: 'admin_role' }, work);
}
