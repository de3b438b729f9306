/** Transactions that act for one tenant. */
import type pg from 'pg';

export interface TransactionOptions {
  /** @default - the session's own */
  readonly role?: 'application_role' | 'admin_role';
  /** Tenant whose rows row-level security shows. @default - none */
  readonly tenant?: string;
}

/**
 * Commits everything that `work` did on this connection, or nothing. The isolation level is always READ COMMITTED, because
 * llama.hold_data_keys refuses to create or erase data keys at any other.
 */
export async function transaction<Result>(
  client: pg.ClientBase,
  { role, tenant }: TransactionOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  try {
    if (role !== undefined) await client.query(`SET LOCAL ROLE ${role}`);
    // llama.set_tenant_context would also clear the session's acting user.
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

/** Runs `work` as the application on an administrator's connection, so that a defect cannot reach another tenant's rows. */
export function asApplication<Result>(
  client: pg.ClientBase,
  tenant: string | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  return transaction(client, { role: 'application_role', ...(tenant === undefined ? {} : { tenant }) }, work);
}
