/** What must be kept of a month of the audit trail before its partition may go. */
import type { Find } from '../audit/findings.ts';
import { compareMonth } from '../audit/rows.ts';
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
  try {
    const { rows } = await run.connection.client.query<{ number: string }>(
      'SELECT llama.close_audit_partition($1::date) AS number',
      [firstDay(leaf)],
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

/**
 * Compares a detached month with its seals once more, row by row: what came into it after its closing was sealed
 * nowhere, and nothing guards a table that is no partition any more. Runs as admin_role.
 *
 * @param relation the detached table, as SQL writes it
 * @returns why it must stay, undefined when it is what its closing says.
 */
export async function compareDetachedMonth(
  { connection }: Run,
  leaf: string,
  relation: string,
): Promise<string | undefined> {
  const differences: string[] = [];
  const find: Find = ({ detail }) => differences.push(detail);
  const month = firstDay(leaf);
  await compareMonth(connection.client, { month, partition: leaf, relation }, find);
  const [first] = differences;
  if (first === undefined) return undefined;
  const others = differences.length > 1 ? ` and ${differences.length - 1} more` : '';
  return `${first}${others}; llama-db audit verify says more`;
}

/** Whether the closing hash of a detached month is kept, and covers all that was sealed of it. Runs as llama_owner. */
export async function isAuditMonthClosed({ connection }: Run, leaf: string): Promise<boolean> {
  const { rows } = await connection.client.query<{ closed: boolean }>(
    'SELECT llama.is_audit_partition_closed($1::date) AS closed',
    [firstDay(leaf)],
  );
  return rows[0]?.closed === true;
}

function firstDay(leaf: string): string {
  return `${monthName(monthOf(leaf).from)}-01`;
}
