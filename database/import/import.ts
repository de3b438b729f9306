/**
 * `llama-db import`: copies the rows of another server, and can follow its changes. A run compares before it writes, so it
 * may be killed and repeated at any point.
 */
import { randomUUID } from 'node:crypto';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { counted, duration } from '../../core/text.ts';
import { type Connection, type ConnectOptions, withConnection } from '../connection.ts';
import { withLock } from '../migrator/lock.ts';
import { asRole } from '../migrator/prepare.ts';
import type { Target } from '../target.ts';
import {
  agent,
  type Inspected,
  inspect,
  keyRelation,
  keysOf,
  lastWrite,
  put,
  type Refused,
  writtenByOthers,
} from './batch.ts';
import { ensureMonths, type MonthRange, monthRefusal, usualMonths } from './months.ts';
import { Rejects } from './rejects.ts';
import type { Limits, Row, Source } from './source.ts';
import {
  type Chunk,
  type ChunkRow,
  chunkCondition,
  chunkKey,
  chunkOf,
  chunksQuery,
  digestOf,
  equal,
  type ImportedTable,
  identifier,
  importedTables,
  nothing,
  plus,
  type Shape,
  type Sum,
  shapeOf,
} from './tables.ts';

/** Advisory lock of imports; it differs from those of deployments and maintenance. */
export const importLock = 7_241_865_325_823_966n;

/** Characters of a batch. */
const batchSize = 8 * 1024 * 1024;

/** Shows how far a table is. */
export interface Progress {
  update(table: string, done: number, total: number): void;
  end(): void;
}

export interface ImportOptions extends ConnectOptions {
  readonly reporter: Reporter;
  readonly progress: Progress;
  readonly openSource: () => Promise<Source>;
  /** Only compares. */
  readonly compareOnly: boolean;
  /** Also removes what an earlier import brought and the source no longer has. */
  readonly follow: boolean;
  readonly batchRows: number;
  readonly rejectsFile: string;
  /** @default - 240 months before to 36 months after this one */
  readonly months?: MonthRange;
  readonly lockWaitSeconds: number;
}

export interface ImportedRows {
  readonly table: ImportedTable;
  /** Rows of the source, and what became of them. */
  readonly rows: number;
  readonly added: number;
  readonly replaced: number;
  /** Rows of the target that a run with `follow` removed. */
  readonly removed: number;
  readonly refused: number;
  /** Rows that others have written or erased in the target since; the import leaves them. */
  readonly left: number;
  /** Rows that both sides have with the same content, and the digest over them. */
  readonly equal: number;
  readonly digest: string;
  /** Rows of the target that the source does not have, or has with another content. */
  readonly onlyInTarget: number;
  /** Whether every row of the source is in the target, refused and left ones excepted. */
  readonly complete: boolean;
}

export interface Imported {
  readonly source: string;
  readonly run: string;
  readonly tables: readonly ImportedRows[];
  /** Absent if no row was refused or left. */
  readonly rejects?: string;
}

interface Run {
  readonly connection: Connection;
  readonly source: Source;
  readonly options: ImportOptions;
  readonly limits: Limits;
  readonly months: MonthRange;
  readonly rejects: Rejects;
  readonly id: string;
  batches: number;
}

/** @throws Fault if the target has no schema, the source cannot be read, or a comparison at the end fails */
export function importRows(target: Target, options: ImportOptions): Promise<Imported> {
  const connect = { applicationName: agent, ...options, session: 'maintenance' } as const;
  const lock = { key: importLock, reporter: options.reporter, waitSeconds: options.lockWaitSeconds };
  return withConnection(target, connect, async (connection) => {
    await requireRole(connection);
    return withLock(connection, lock, async () => {
      const source = await options.openSource();
      try {
        return await importFrom(connection, source, options);
      } finally {
        options.progress.end();
        await source.close();
      }
    });
  });
}

async function requireRole({ client, circumstances }: Connection): Promise<void> {
  const { rows } = await client.query<{ there: boolean }>(
    `SELECT pg_catalog.to_regrole('import_writer') IS NOT NULL
        AND pg_catalog.to_regprocedure('llama.write_audit_of_import()') IS NOT NULL AS there`,
  );
  if (rows[0]?.there === true) return;
  throw new Fault(
    'import/nothing-deployed',
    `${circumstances.target} has no schema to import into`,
    'role import_writer or llama.write_audit_of_import() is missing; migrations 0002 and 0008 create them',
    'Deploy the environment or run llama-db migrate first.',
    { exitCode: 2 },
  );
}

async function importFrom(connection: Connection, source: Source, options: ImportOptions): Promise<Imported> {
  const start = performance.now();
  const run: Run = {
    ...{ connection, source, options, id: randomUUID(), batches: 0 },
    limits: { rows: options.batchRows, size: batchSize },
    months: options.months ?? usualMonths(new Date()),
    rejects: new Rejects(options.rejectsFile),
  };
  const given = await source.columns();
  if (given.size === 0) {
    throw new Fault(
      'import/source-empty',
      `${source.name} has no table to import`,
      `an import reads ${importedTables.join(', ')}`,
      'Name the schema of the tables with --schema, or another source.',
      { exitCode: 2 },
    );
  }
  const tables: ImportedRows[] = [];
  for (const table of importedTables) {
    const columns = given.get(table);
    if (columns === undefined) {
      options.reporter.line(`Table ${table}: the source does not have it`);
      continue;
    }
    const done = await importTable(run, table, columns);
    options.progress.end();
    options.reporter.line(describe(done));
    tables.push(done);
  }
  options.reporter.line(`Done: ${source.name} (${duration(performance.now() - start)})`);
  const { rows: refused, file } = run.rejects;
  return { source: source.name, run: run.id, tables, ...(refused > 0 ? { rejects: file } : {}) };
}

/** One line: `Table storage_records: 10 rows of the source, 8 added, …`. */
export function describe(done: ImportedRows): string {
  const parts = [
    [done.added, 'added'],
    [done.replaced, 'replaced'],
    [done.removed, 'removed'],
    [done.refused, 'refused'],
    [done.left, 'left as others have written them'],
  ] as const;
  const changes = parts.filter(([count]) => count > 0).map(([count, what]) => `, ${count} ${what}`);
  const others = done.onlyInTarget > 0 ? `; the target has ${counted(done.onlyInTarget, 'other row')}` : '';
  return `Table ${done.table}: ${counted(done.rows, 'row')} of the source${changes.join('')}; ${done.equal} equal on both sides (digest ${done.digest})${others}${done.complete ? '' : '; NOT COMPLETE'}`;
}

interface Tally {
  added: number;
  replaced: number;
  removed: number;
  refused: number;
  left: number;
}

async function importTable(
  run: Run,
  table: ImportedTable,
  columns: readonly string[],
): Promise<ImportedRows> {
  const { source, options, connection } = run;
  const shape = await shapeOf(connection, table, columns);
  const chunks = await source.chunks(shape);
  const tally: Tally = { added: 0, replaced: 0, removed: 0, refused: 0, left: 0 };
  if (!options.compareOnly) {
    const there = chunks ? await targetChunks(run, shape) : new Map<string, Chunk>();
    let done = 0;
    for (const chunk of chunks ?? [undefined]) {
      const unchanged = chunk !== undefined && equal(there.get(chunkKey(chunk)), chunk);
      if (!unchanged) await importChunk(run, shape, chunk, tally, done);
      done += chunk?.rows ?? 0;
      options.progress.update(table, done, source.size(table));
    }
    if (options.follow && chunks) {
      const known = new Set(chunks.map(chunkKey));
      for (const [key, chunk] of there) {
        if (!known.has(key)) tally.removed += await removeVanished(run, shape, chunk, []);
      }
    }
  }
  const compared = await compare(run, shape, chunks);
  const expected = tally.refused + tally.left;
  const complete = compared.rows - compared.same.rows === expected;
  return {
    table,
    rows: compared.rows,
    ...tally,
    equal: compared.same.rows,
    digest: digestOf(compared.same),
    onlyInTarget: compared.target - compared.same.rows,
    complete,
  };
}

async function importChunk(run: Run, shape: Shape, chunk: Chunk | undefined, tally: Tally, before: number) {
  const { connection, source, options } = run;
  const keys: Row[] = [];
  for await (const { rows, done } of source.read(shape, run.limits, chunk)) {
    const { inspected, refused } = await inspect(connection, shape, rows);
    await importBatch(run, shape, inspected, refused, tally);
    if (options.follow) keys.push(...inspected.map(({ row }) => row));
    options.progress.update(shape.table, before + done, source.size(shape.table));
  }
  if (options.follow && chunk) tally.removed += await removeVanished(run, shape, chunk, keys);
}

async function importBatch(
  run: Run,
  shape: Shape,
  inspected: readonly Inspected[],
  invalid: readonly Refused[],
  tally: Tally,
): Promise<void> {
  const refuse = (refused: readonly Refused[]) => {
    run.rejects.add(shape, refused);
    tally.refused += refused.length;
  };
  refuse(invalid);
  const left = inspected.filter(({ state }) => state === 'left');
  run.rejects.add(
    shape,
    left.map(({ row }) => ({
      row,
      reason: 'the record was written by others in the target since, or erased there',
    })),
  );
  tally.left += left.length;
  const wanted = new Map<string | null, Inspected[]>();
  const days = new Set<string>();
  for (const one of inspected.filter(({ state }) => state === 'missing' || state === 'differs')) {
    const reason = shape.monthly ? monthRefusal(one.month, run.months) : undefined;
    if (reason !== undefined) {
      refuse([{ row: one.row, reason }]);
      continue;
    }
    if (shape.monthly && one.month !== null) days.add(one.month);
    wanted.set(one.tenant, [...(wanted.get(one.tenant) ?? []), one]);
  }
  if (days.size > 0) {
    const made = await ensureMonths(run.connection, shape.table, days);
    if (made > 0) run.options.reporter.line(`Table ${shape.table}: ${counted(made, 'partition')} created`);
  }
  for (const rows of wanted.values()) {
    run.batches += 1;
    const refused = await put(run.connection, shape, rows, {
      source: run.source.name,
      run: run.id,
      batch: run.batches,
      given: rows.length,
      refused: 0,
    });
    refuse(refused.map((one) => one.refused));
    const lost = new Set(refused.map((one) => one.inspected));
    for (const one of rows) {
      if (lost.has(one)) continue;
      if (one.state === 'differs') tally.replaced += 1;
      else tally.added += 1;
    }
  }
}

/** Removes the rows of a chunk that an import brought and that have no key in `rows`. Each leaves an audit row. */
async function removeVanished(run: Run, shape: Shape, chunk: Chunk, rows: readonly Row[]): Promise<number> {
  const { client } = run.connection;
  const where = chunkCondition(chunk, shape);
  const first = where.values.length + 1;
  const keys = keysOf(shape, rows);
  const on = shape.key.map((name) => `k.${identifier(name)} = t.${identifier(name)}`).join(' AND ');
  const table = `$${first + keys.length}`;
  await client.query('BEGIN');
  try {
    await client.query('SET LOCAL ROLE import_writer');
    await client.query(
      `SELECT pg_catalog.set_config('app.user_agent', $1, true), pg_catalog.set_config('app.correlation_id', $2, true)`,
      [`${agent} from ${run.source.name}`, run.id],
    );
    const { rowCount } = await client.query(
      `DELETE FROM llama.${identifier(shape.table)} AS t
        WHERE ${where.sql} AND NOT EXISTS (SELECT FROM ${keyRelation(shape, first)} WHERE ${on})
          AND NOT coalesce((SELECT ${writtenByOthers('w', 'true', shape.table)} FROM (${lastWrite('t', shape, table)}) AS w), false)`,
      [...where.values, ...keys, shape.table],
    );
    await client.query('COMMIT');
    return rowCount ?? 0;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function targetChunks({ connection }: Run, shape: Shape): Promise<ReadonlyMap<string, Chunk>> {
  const { rows } = await asRole(connection, 'import_writer', () =>
    connection.client.query<ChunkRow>(chunksQuery(`llama.${identifier(shape.table)}`, shape)),
  );
  return new Map(rows.map(chunkOf).map((chunk) => [chunkKey(chunk), chunk]));
}

/**
 * Reads both sides again. Months of a tenant with the same number and digest are equal; the rows of all others are compared
 * one by one.
 */
async function compare(run: Run, shape: Shape, chunks: readonly Chunk[] | undefined) {
  const { connection, source } = run;
  const there = await targetChunks(run, shape);
  const target = [...there.values()].reduce((sum, chunk) => sum + chunk.rows, 0);
  let rows = 0;
  let same: Sum = nothing;
  for (const chunk of chunks ?? [undefined]) {
    if (chunk !== undefined && equal(there.get(chunkKey(chunk)), chunk)) {
      rows += chunk.rows;
      same = plus(same, chunk);
      continue;
    }
    for await (const part of source.read(shape, run.limits, chunk)) {
      rows += part.rows.length;
      const { inspected } = await inspect(connection, shape, part.rows);
      for (const one of inspected) if (one.state === 'same') same = plus(same, one.sum);
    }
  }
  return { rows, same, target };
}
