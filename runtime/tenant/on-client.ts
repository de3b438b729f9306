/** Transactions that act for one tenant. */
import type pg from 'pg';

export interface SessionOptions {
  /** For an administrator's connection, whose session settings and acting user stay. @default - the session's own */
  readonly role?: 'application_role' | 'admin_role';
  /** Tenant whose rows row-level security shows. @default - none */
  readonly tenant?: string;
  /** Acting user for the audit trail, without `role`. @default - none */
  readonly user?: string;
  /** A uuid for the audit trail, without `role`. @default - none */
  readonly correlationId?: string;
  /** Address of the client for the audit trail, without `role`. @default - none */
  readonly clientAddress?: string;
  /** For the audit trail, without `role`. @default - none */
  readonly userAgent?: string;
}

/**
 * Commits everything that `work` did on this connection, or nothing. The isolation level is always READ COMMITTED, because
 * llama.hold_data_keys refuses to create or erase data keys at any other.
 *
 * With `tenant` and without `role`, the session may come from a pool that other tenants use: nothing that they left in it
 * remains (docs/isolation.md). Settings of the session return to those of its login and of its connection.
 */
export async function transaction<Result>(
  client: pg.ClientBase,
  { role, tenant, user, correlationId, clientAddress, userAgent }: SessionOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  const shared = tenant !== undefined && role === undefined;
  // RESET ALL is committed first, because a rollback would bring back what an earlier tenant set; the server then reads the
  // next message as the driver wrote it. Explicit characteristics override the session's defaults.
  const start = 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE';
  if (shared) await untilNotCanceled(client, `BEGIN; RESET ALL; COMMIT; ${start}`);
  else await client.query(start);
  try {
    if (shared) {
      // Without a name, because a session can replace a named statement.
      await client.query('SELECT llama.set_tenant_context($1, $2, $3, $4, $5)', [
        ...[tenant, user, correlationId, clientAddress, userAgent],
      ]);
    } else {
      if (role !== undefined) await client.query(`SET LOCAL ROLE ${role}`);
      // llama.set_tenant_context would also clear the session's acting user.
      if (tenant !== undefined) {
        await client.query("SELECT pg_catalog.set_config('app.current_tenant_id', $1, true)", [tenant]);
      }
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

/** Attempts to start in a session whose statement_timeout an earlier tenant left at a millisecond. */
const attempts = 20;

/** A busy server takes longer for the message than a timeout that an earlier tenant left in the session. */
export async function untilNotCanceled(client: Pick<pg.ClientBase, 'query'>, sql: string): Promise<void> {
  for (let left = attempts; ; left -= 1) {
    try {
      await client.query(sql);
      return;
    } catch (error) {
      const isCanceled = error instanceof Error && Reflect.get(error, 'code') === '57014';
      if (!isCanceled || left === 1) throw error;
      await client.query('ROLLBACK').catch(() => undefined);
    }
  }
}
