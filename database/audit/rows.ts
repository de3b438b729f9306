/** Compares the rows of one month with its seals: in the trail, or in a partition detached from it. */
import { createHash, type Hash } from 'node:crypto';
import type pg from 'pg';
import { counted } from '../../core/text.ts';
import { rowHash, type Seal } from './canonical.ts';
import type { Find, Tampering } from './findings.ts';
import { boundsOf } from './months.ts';
import { sealsAfter } from './seals.ts';

export interface MonthOfRows {
  readonly month: string;
  /** Name of the partition for findings. Findings about inserted rows name the partition that really holds them. */
  readonly partition: string;
  /** Table to read the rows from. @default 'llama.audit_trail' */
  readonly relation?: string;
  /** Number of the newest seal to compare. @default - all seals */
  readonly lastSeal?: number;
  /** Highest sequence number to compare. @default - all rows */
  readonly through?: bigint;
}

/** Rows per FETCH. */
const fetchSize = 5_000;
/** Seals per query for rows. */
const pageSize = 500;

const least = -(2n ** 63n);
const greatest = 2n ** 63n - 1n;

/**
 * Runs inside the open transaction, and keeps at most one page in memory.
 *
 * @returns the number of rows compared with a seal
 */
export async function compareMonth(client: pg.Client, part: MonthOfRows, find: Find): Promise<number> {
  const { month, lastSeal = Number.POSITIVE_INFINITY, through = greatest } = part;
  let compared = 0;
  let from = least;
  for await (const page of sealsAfter(client, 0, { month, pageSize })) {
    const seals = page.filter(({ number }) => number <= lastSeal);
    const last = seals.at(-1);
    if (!last) break;
    compared += await compareRange(client, part, { seals, from, to: last.lastSequence }, find);
    from = last.lastSequence + 1n;
  }
  if (from <= through) compared += await compareRange(client, part, { seals: [], from, to: through }, find);
  return compared;
}

interface Range {
  readonly seals: readonly Seal[];
  readonly from: bigint;
  readonly to: bigint;
}

/** A seal whose rows are being read. */
interface OpenSeal {
  readonly seal: Seal;
  readonly hash: Hash;
  rows: bigint;
}

/** Compares rows with the seals of the same range of sequence numbers, both in order. */
async function compareRange(
  client: pg.Client,
  { month, partition, relation = 'llama.audit_trail' }: MonthOfRows,
  { seals, from, to }: Range,
  find: Find,
): Promise<number> {
  const [begin, end] = boundsOf(month);
  await client.query(
    `DECLARE trail NO SCROLL CURSOR FOR
     SELECT a.sequence::text, a.tableoid::text AS place, ${rowHash} AS hash FROM ${relation} AS a
      WHERE a."timestamp" >= '${begin}' AND a."timestamp" < '${end}' AND a.sequence BETWEEN '${from}' AND '${to}'
      ORDER BY a.sequence, a.id`,
  );
  const unsealed = { rows: 0, first: '', place: '' };
  let compared = 0;
  let position = 0;
  let current: OpenSeal | undefined;
  const finishSealsBefore = (sequence: bigint) => {
    while (position < seals.length && (seals[position] as Seal).lastSequence < sequence) {
      compareWithSeal(current ?? open(seals[position] as Seal), partition, find);
      current = undefined;
      position += 1;
    }
  };
  for (;;) {
    const { rows } = await client.query<{ sequence: string; place: string; hash: Buffer }>(
      `FETCH ${fetchSize} FROM trail`,
    );
    for (const row of rows) {
      const sequence = BigInt(row.sequence);
      finishSealsBefore(sequence);
      const seal = seals[position];
      if (!seal || sequence < seal.firstSequence) {
        if (unsealed.rows === 0) Object.assign(unsealed, { first: row.sequence, place: row.place });
        unsealed.rows += 1;
        continue;
      }
      current ??= open(seal);
      current.rows += 1n;
      current.hash.update(row.hash);
      compared += 1;
    }
    if (rows.length < fetchSize) break;
  }
  finishSealsBefore(to + 1n);
  await client.query('CLOSE trail');
  if (unsealed.rows > 0) {
    const { rows } = await client.query<{ name: string }>(
      'SELECT relname AS name FROM pg_catalog.pg_class WHERE oid = $1',
      [unsealed.place],
    );
    const real = rows[0]?.name ?? partition;
    const which =
      unsealed.rows > 1
        ? `row ${unsealed.first} of ${real} and ${unsealed.rows - 1} more were`
        : `row ${unsealed.first} of ${real} was`;
    find({ kind: 'inserted row', partition: real, detail: `${which} added to the sealed rows of the month` });
  }
  return compared;
}

function open(seal: Seal): OpenSeal {
  return { seal, rows: 0n, hash: createHash('sha256') };
}

function compareWithSeal({ seal, rows, hash }: OpenSeal, partition: string, find: Find): void {
  if (rows === seal.rowCount && hash.digest('hex') === seal.contentHash) return;
  const where = `seal ${seal.number}, ${partition}, rows numbered ${seal.firstSequence} to ${seal.lastSequence}`;
  const [kind, detail]: [Tampering, string] =
    rows < seal.rowCount
      ? ['removed row', `${counted(seal.rowCount - rows, 'row')} of ${seal.rowCount} removed (${where})`]
      : rows > seal.rowCount
        ? [
            'inserted row',
            `${counted(rows - seal.rowCount, 'row')} inserted beside ${seal.rowCount} (${where})`,
          ]
        : ['changed row', `at least 1 of ${counted(rows, 'row')} changed (${where})`];
  find({ kind, seal: seal.number, partition, detail });
}
