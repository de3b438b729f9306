/**
 * Brings the two ledgers together after a run that was killed. Only under the lock: what is `running` then
 * can only be a run that is gone.
 */

import { Fault } from '../../core/fault.ts';
import type { Connection } from '../connection.ts';
import { type LedgerEntry, readLedger, readRunnerNames, runnerTable } from './ledger.ts';
import { nameOf } from './plan.ts';

export interface Reconciled {
  readonly ledger: readonly LedgerEntry[];
  /** Attempts found running; they are recorded as interrupted now. */
  readonly interrupted: readonly LedgerEntry[];
}

/**
 * A migration with a transaction writes both ledgers in it, so they can differ only after one without: our row
 * is written first, node-pg-migrate's next. Ours is therefore the truth, and the other follows it.
 *
 * @throws Fault for a name that only node-pg-migrate knows: somebody ran its own command line.
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
      'reconcile/1',
      `llama.${runnerTable} lists ${foreign.join(', ')}, which the ledger does not know`,
      'somebody ran node-pg-migrate itself, so nobody recorded what content was applied',
      `Compare the database with the file; then delete the name from llama.${runnerTable} to have it applied here, or undo it first.`,
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
