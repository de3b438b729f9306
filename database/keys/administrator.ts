import type pg from 'pg';
import { transaction } from '../../runtime/tenant/on-client.ts';

/** Runs a transaction as admin_role, which reads and changes the keys of every tenant. */
export function asAdministrator<Result>(client: pg.ClientBase, work: () => Promise<Result>): Promise<Result> {
  return transaction(client, { role: 'admin_role' }, work);
}
