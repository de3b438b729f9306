/** Comparing the rows of one month with its seals: in the trail, or in a partition that was detached from it. */
import { createHash, type Hash } from 'node:crypto';
import type pg from 'pg';
import { rowHash, type Seal } from './canonical.ts';
import type { Find, Tampering } from './findings.ts';
import { boundsOf } from './months.ts';
import { sealsAfter } from './seals.ts';

export interface MonthOfRows {
  readonly month: string;
  /** What findings call the place of its rows; of a row that was added they name its real one. */
  readonly partition: string;
  /** Where rows are read from. @default 'llama.audit_trail' */
  readonly relation?: string;
  /** Newest seal that counts. @default - all */
  readonly lastSeal?: number;
  /** Rows with greater numbers are not looked at. @default - all are */
  readonly through?: bigint;
}

/** Rows taken from the server at a time. */
const fetchSize = 5_000;
/** Seals whose rows are asked for at a time. */
const pageSize = 500;

const least = -(2n ** 63n);
const greatest = 2n ** 63n - 1n;

/**
 * Within the open transaction. No more than a page is in memory.
 *
 * @returns rows that were compared with a seal.
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

interface SealInHand {
  readonly seal: Seal;
  readonly hash: Hash;
  rows: bigint;
}

/** Rows numbered `from` to `to` against the seals of that range, both in order. */
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
  const strangers = { rows: 0, first: '', place: '' };
  let compared = 0;
  let place = 0;
  let inHand: SealInHand | undefined;
  const turnTo = (sequence: bigint) => {
    while (place < seals.length && (seals[place] as Seal).lastSequence < sequence) {
      judge(inHand ?? take(seals[place] as Seal), partition, find);
      inHand = undefined;
      place += 1;
    }
  };
  for (;;) {
    const { rows } = await client.query<{ sequence: string; place: string; hash: Buffer }>(
      `FETCH ${fetchSize} FROM trail`,
    );
    for (const row of rows) {
      const sequence = BigInt(row.sequence);
      turnTo(sequence);
      const seal = seals[place];
      if (!seal || sequence < seal.firstSequence) {
        if (strangers.rows === 0) Object.assign(strangers, { first: row.sequence, place: row.place });
        strangers.rows += 1;
        continue;
      }
      inHand ??= take(seal);
      inHand.rows += 1n;
      inHand.hash.update(row.hash);
      compared += 1;
    }
    if (rows.length < fetchSize) break;
  }
  turnTo(to + 1n);
  await client.query('CLOSE trail');
  if (strangers.rows > 0) {
    const { rows } = await client.query<{ name: string }>(
      'SELECT relname AS name FROM pg_catalog.pg_class WHERE oid = $1',
      [strangers.place],
    );
    const real = rows[0]?.name ?? partition;
    const which =
      strangers.rows > 1
        ? `row ${strangers.first} of ${real} and ${strangers.rows - 1} more were`
        : `row ${strangers.first} of ${real} was`;
    find({ kind: 'inserted row', partition: real, detail: `${which} added to what was sealed of the month` });
  }
  return compared;
}

function take(seal: Seal): SealInHand {
  return { seal, rows: 0n, hash: createHash('sha256') };
}

function judge({ seal, rows, hash }: SealInHand, partition: string, find: Find): void {
  if (rows === seal.rowCount && hash.digest('hex') === seal.contentHash) return;
  const where = `seal ${seal.number}, ${partition}, rows numbered ${seal.firstSequence} to ${seal.lastSequence}`;
  const [kind, detail]: [Tampering, string] =
    rows < seal.rowCount
      ? ['removed row', `${countedRows(seal.rowCount - rows)} of ${seal.rowCount} removed (${where})`]
      : rows > seal.rowCount
        ? ['inserted row', `${countedRows(rows - seal.rowCount)} inserted beside ${seal.rowCount} (${where})`]
        : ['changed row', `at least 1 of ${countedRows(rows)} changed (${where})`];
  find({ kind, seal: seal.number, partition, detail });
}

export function countedRows(count: bigint): string {
  return count === 1n ? '1 row' : `${count} rows`;
}
