/** Compares the rows of one month with its seals: in the trail, or in a partition detached from it. */
import { createHash, type Hash } from 'node:crypto';
import type pg from 'pg';
import { counted } from '../../core/text.ts';
import { rowHash, type Seal } from './canonical.ts';
import { backdatedSeconds } from './chain.ts';
import type { Find, Remark, Tampering } from './findings.ts';
import { boundsOf } from './months.ts';
import { clockTolerance, instantOf } from './retention.ts';
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
  /** Takes remarks about the times of rows. @default - none are made */
  readonly remark?: Remark;
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
  const notes: Notes = { last: Number.NEGATIVE_INFINITY, before: Number.NEGATIVE_INFINITY };
  for await (const page of sealsAfter(client, 0, { month, pageSize })) {
    const seals = page.filter(({ number }) => number <= lastSeal);
    const last = seals.at(-1);
    if (!last) break;
    compared += await compareRange(client, part, { seals, from, to: last.lastSequence, notes }, find);
    from = last.lastSequence + 1n;
  }
  if (from <= through)
    compared += await compareRange(client, part, { seals: [], from, to: through, notes }, find);
  return compared;
}

interface Range {
  readonly seals: readonly Seal[];
  readonly from: bigint;
  readonly to: bigint;
  readonly notes: Notes;
}

/** The newest two instants at which numbers of the month's seals were noted, in seconds since 1970. */
interface Notes {
  last: number;
  before: number;
}

/** A seal whose rows are being read. */
interface OpenSeal {
  readonly seal: Seal;
  readonly hash: Hash;
  rows: bigint;
  /** Every row was numbered after the first instant and before the second. */
  readonly between: readonly [number, number];
  backdated: number;
  postdated: number;
}

/** Compares rows with the seals of the same range of sequence numbers, both in order. */
async function compareRange(
  client: pg.Client,
  { month, partition, relation = 'llama.audit_trail', remark }: MonthOfRows,
  { seals, from, to, notes }: Range,
  find: Find,
): Promise<number> {
  const [begin, end] = boundsOf(month);
  await client.query(
    `DECLARE trail NO SCROLL CURSOR FOR
     SELECT a.sequence::text, a.tableoid::text AS place, ${rowHash} AS hash,
            extract(epoch FROM a."timestamp")::float8 AS at FROM ${relation} AS a
      WHERE a."timestamp" >= '${begin}' AND a."timestamp" < '${end}' AND a.sequence BETWEEN '${from}' AND '${to}'
      ORDER BY a.sequence, a.id`,
  );
  const unsealed = { rows: 0, first: '', place: '' };
  let compared = 0;
  let position = 0;
  let current: OpenSeal | undefined;
  const finishSealsBefore = (sequence: bigint) => {
    while (position < seals.length && (seals[position] as Seal).lastSequence < sequence) {
      const done = current ?? open(seals[position] as Seal, notes);
      compareWithSeal(done, partition, find);
      if (remark) remarkOn(done, partition, remark);
      current = undefined;
      position += 1;
    }
  };
  for (;;) {
    const { rows } = await client.query<{ sequence: string; place: string; hash: Buffer; at: number }>(
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
      current ??= open(seal, notes);
      current.rows += 1n;
      if (row.at < current.between[0] - backdatedSeconds) current.backdated += 1;
      if (row.at > current.between[1] + clockTolerance) current.postdated += 1;
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

function open(seal: Seal, notes: Notes): OpenSeal {
  const noted = seal.notedAt === null ? Number.POSITIVE_INFINITY : Number(seal.notedAt);
  // Several seals of one run have the same note, and their rows were numbered after the one before it.
  if (noted > notes.last) Object.assign(notes, { last: noted, before: notes.last });
  const between = [notes.before, noted] as const;
  return { seal, rows: 0n, hash: createHash('sha256'), between, backdated: 0, postdated: 0 };
}

function remarkOn(
  { seal, between, backdated, postdated }: OpenSeal,
  partition: string,
  remark: Remark,
): void {
  const where = `(seal ${seal.number}, ${partition})`;
  if (backdated > 0) {
    const detail = `${counted(backdated, 'row')} ${where} of an earlier time than ${instantOf(String(between[0]))}, when later numbers began`;
    remark({ kind: 'backdated rows', seal: seal.number, detail });
  }
  if (postdated > 0) {
    const detail = `${counted(postdated, 'row')} ${where} of a later time than ${instantOf(String(between[1]))}, when the row existed`;
    remark({ kind: 'postdated rows', seal: seal.number, detail });
  }
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
