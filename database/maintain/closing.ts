/** Closes a month of the audit trail before its partition is removed. */
import { Fault } from '../../core/fault.ts';
import type { Find } from '../audit/findings.ts';
import { partitionOf } from '../audit/months.ts';
import { judgedClosings, sealedMonths } from '../audit/retention.ts';
import { compareMonth } from '../audit/rows.ts';
import { sqlState } from '../diagnosis.ts';
import { monthName, monthOf } from './months.ts';
import type { Run } from './run.ts';

/** SQLSTATEs of rows that differ from their seals, and of unsealed rows. The partition stays, and the next run retries. */
const refusals = new Set(['XX001', '55000']);

/**
 * Compares the month with its seals and adds a closing seal to the chain. Runs as llama_owner.
 *
 * @returns the reason why the partition must stay; undefined if it may be removed
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
      detail: `its closing seal is ${rows[0]?.number}`,
    });
    return undefined;
  } catch (error) {
    if (!refusals.has(sqlState(error) ?? '') || !(error instanceof Error)) throw error;
    return `${error.message}; llama-db audit verify lists the differences`;
  }
}

/**
 * Compares a detached month with its seals again, row by row. Rows written after the closing are in no seal, and no
 * trigger protects a detached table. Runs as admin_role.
 *
 * @param relation the detached table as a quoted SQL name
 * @returns the reason why it must stay; undefined if its rows match the closing seal
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
  return `${first}${others}; llama-db audit verify lists the differences`;
}

/** Whether a detached month has a closing seal that covers all of its sealed rows. Runs as llama_owner. */
export async function isAuditMonthClosed({ connection }: Run, leaf: string): Promise<boolean> {
  const { rows } = await connection.client.query<{ closed: boolean }>(
    'SELECT llama.is_audit_partition_closed($1::date) AS closed',
    [firstDay(leaf)],
  );
  return rows[0]?.closed === true;
}

/**
 * Reports closings that do not count and months that left without one. Somebody other than this command closed or removed
 * them, and only its run sees that between two verifications. Runs as admin_role.
 *
 * @throws Fault naming each month
 */
export async function requireRightfulClosings({ connection }: Pick<Run, 'connection'>): Promise<void> {
  const { client } = connection;
  const closings = await judgedClosings(client);
  const months = await sealedMonths(client, closings);
  const wrong = [
    ...closings.flatMap(({ number, month, failure }) =>
      failure ? [`seal ${number}, which closes ${partitionOf(month)}, ${failure}`] : [],
    ),
    ...months
      .filter(({ attached, closed }) => !attached && !closed)
      .map(({ month }) => `${partitionOf(month)} is not attached and has no closing seal that counts`),
  ];
  const [first] = wrong;
  if (first === undefined) return;
  throw new Fault(
    'maintain/audit-closed-early',
    'Months of the audit trail were closed or removed before their time',
    wrong.join('; '),
    'Preserve the server and run llama-db audit verify. Attach the partition again if it still exists, or restore it from a backup.',
  );
}

function firstDay(leaf: string): string {
  return `${monthName(monthOf(leaf).from)}-01`;
}
