/**
 * Reconciles the ledger with the table of node-pg-migrate after a killed run. The caller holds the lock, so an attempt in
 * state `running` belongs to a run that no longer exists.
 */
import { Fault } from '../../core/fault.ts';
import type { Connection } from '../connection.ts';
import { type LedgerEntry, readLedger, readRunnerNames, runnerTable } from './ledger.ts';
import { nameOf } from './plan.ts';

export interface Reconciled {
  readonly ledger: readonly LedgerEntry[];
  /** Attempts that were `running`; they are now recorded as interrupted. */
  readonly interrupted: readonly LedgerEntry[];
}

/**
 * A transactional migration writes both tables in its transaction, so they can differ only after one without a
 * transaction. There the ledger is written first, so the ledger decides and the other table is corrected.
 *
 * @throws Fault if only node-pg-migrate has a name, because then somebody used its own command line
 */
export async function reconcile(connection: Connection): Promise<Reconciled> {
  const { client } = connection;
  const interrupted = (await readLedger(connection)).filter(({ outcome }) => outcome === 'running');
  if (interrupted.length > 0) {
    await client.query(
      "UPDATE llama.schema_migrations SET outcome = 'interrupted' WHERE outcome = 'running'",
    );
  }
  const ledger = await readLedger(connection);
  const names = await readRunnerNames(connection);
  const attempted = new Set(ledger.map(nameOf));
  const applied = ledger
    .filter(({ direction, outcome }) => direction === 'up' && outcome === 'applied')
    .map(nameOf);
  const foreign = names.filter((name) => !attempted.has(name));
  if (foreign.length > 0) {
    throw new Fault(
      'migration/not-in-ledger',
      `llama.${runnerTable} lists ${foreign.join(', ')}, which the ledger does not contain`,
      'somebody ran node-pg-migrate itself, so the applied content is not recorded',
      `Compare the database with the file and undo the change. Then delete the name from llama.${runnerTable} and run the command again.`,
    );
  }
  for (const name of applied.filter((wanted) => !names.includes(wanted))) {
    await client.query(`INSERT INTO llama.${runnerTable} (name, run_on) VALUES ($1, pg_catalog.now())`, [
      name,
    ]);
  }
  for (const name of names.filter((found) => !applied.includes(found))) {
    await client.query(`DELETE FROM llama.${runnerTable} WHERE name = $1`, [name]);
  }
  return { ledger, interrupted };
}
