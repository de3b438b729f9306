/** What must be kept of a month of the audit trail before its partition may go. */
import { sqlState } from '../diagnosis.ts';
import { monthName, monthOf } from './months.ts';
import type { Run } from './run.ts';

/** Not what was sealed, or not all of it sealed: the partition stays, and the next run tries again. */
const refusals = new Set(['XX001', '55000']);

/**
 * Compares the month with its seals and adds its closing hash to the chain. Runs as llama_owner.
 *
 * @returns why its partition must stay, undefined when it may go.
 */
export async function closeAuditMonth(run: Run, leaf: string): Promise<string | undefined> {
  const month = `${monthName(monthOf(leaf).from)}-01`;
  try {
    const { rows } = await run.connection.client.query<{ number: string }>(
      'SELECT llama.close_audit_partition($1::date) AS number',
      [month],
    );
    run.act({
      step: 'seals',
      done: 'closed',
      object: leaf,
      detail: `its closing hash is seal ${rows[0]?.number}`,
    });
    return undefined;
  } catch (error) {
    if (!refusals.has(sqlState(error) ?? '') || !(error instanceof Error)) throw error;
    return `${error.message}; llama-db audit verify says more`;
  }
}

/** Whether the closing hash of a detached month is kept. Runs as llama_owner. */
export async function isAuditMonthClosed({ connection }: Run, leaf: string): Promise<boolean> {
  const month = `${monthName(monthOf(leaf).from)}-01`;
  const { rows } = await connection.client.query<{ closed: boolean }>(
    'SELECT llama.is_audit_partition_closed($1::date) AS closed',
    [month],
  );
  return rows[0]?.closed === true;
}
