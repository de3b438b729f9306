/**
 * Records the statements of a TypeScript migration by running it on the builder of node-pg-migrate without a database.
 *
 * The recording contains all queued statements, index builds of this project, and direct statements that return no rows.
 * It ends at the first query whose answer the migration needs.
 */
import { fileURLToPath, pathToFileURL } from 'node:url';
import { MigrationBuilder } from 'node-pg-migrate';
import { messageOf } from '../../core/text.ts';
import type { PartitionedIndex } from '../indexes/partitioned-index.ts';
import type { MigrationFile } from './files.ts';
import type { Direction } from './ledger.ts';
import { silent } from './silent.ts';

/** One statement or index build of a migration, in order. */
export type RecordedStep = {
  /** Line of the call in the file, from 1. */
  readonly line: number;
  /** `now`: sent while the function of the migration runs; `queued`: sent after it, in its transaction if it has one. */
  readonly when: 'now' | 'queued';
} & (
  | {
      readonly kind: 'sql';
      readonly sql: string;
      readonly values: readonly unknown[];
      /** Whether the text stands in the file as it is, so that line numbers inside it apply. */
      readonly literal: boolean;
    }
  | { readonly kind: 'index'; readonly action: 'build' | 'drop'; readonly index: PartitionedIndex }
);

export interface Recording {
  readonly steps: readonly RecordedStep[];
  /** Whether the queued statements run in a transaction. */
  readonly transactional: boolean;
  /** The reason why the recording ends before the migration does. @default - it is complete */
  readonly unseen?: {
    readonly line: number;
    readonly reason: string;
    /** Whether the migration cannot run at all. */
    readonly broken: boolean;
  };
}

/** Stops a migration that needs the answer to a query. */
class NeedsDatabase extends Error {}

/** Records one direction of a migration. Errors of the migration end the recording and are not thrown. */
export async function record(file: Pick<MigrationFile, 'path'>, direction: Direction): Promise<Recording> {
  const steps: RecordedStep[] = [];
  const db = recordingDatabase(file.path, steps);
  // The builder uses only these members of its arguments while it assembles statements.
  const builder = new MigrationBuilder(db as never, undefined, false, silent as never);
  const unseen = await run(file.path, direction, observed(builder, db, file.path, steps));
  return { steps, transactional: builder.isUsingTransaction(), ...(unseen ? { unseen } : {}) };
}

async function run(
  path: string,
  direction: Direction,
  pgm: MigrationBuilder,
): Promise<Recording['unseen'] | undefined> {
  let action: unknown;
  try {
    const module: Record<string, unknown> = await import(pathToFileURL(path).href);
    action = module[direction];
  } catch (error) {
    return { line: 1, reason: `the file cannot be loaded: ${firstLine(error)}`, broken: true };
  }
  if (typeof action !== 'function') {
    return direction === 'up'
      ? { line: 1, reason: 'it exports no function up(pgm)', broken: true }
      : undefined;
  }
  try {
    await action(pgm);
    return undefined;
  } catch (error) {
    const reason =
      error instanceof NeedsDatabase
        ? 'its further statements depend on the answer to a query'
        : `it fails without a database: ${firstLine(error)}`;
    return { line: lineIn(path, error) ?? 1, reason, broken: false };
  }
}

function recordingDatabase(path: string, steps: RecordedStep[]) {
  const ask = async (query: unknown, values: readonly unknown[] = []) => {
    const sql = typeof query === 'string' ? query : String(Reflect.get(Object(query), 'text'));
    if (/^\s*(select|with|values|table|show|explain|fetch)\b/i.test(sql) || /\breturning\b/i.test(sql))
      throw new NeedsDatabase();
    steps.push({
      kind: 'sql',
      when: 'now',
      sql,
      values,
      literal: true,
      line: lineIn(path, new Error()) ?? 1,
    });
    return { rows: [], rowCount: 0 };
  };
  return {
    query: ask,
    select: async (query: unknown, values?: readonly unknown[]) => (await ask(query, values)).rows,
    column: async (query: unknown, values?: readonly unknown[]) => (await ask(query, values)).rows,
    /** Receives the index builds of database/indexes. */
    recordIndex: (action: 'build' | 'drop', index: PartitionedIndex) => {
      steps.push({ kind: 'index', when: 'now', action, index, line: lineIn(path, new Error()) ?? 1 });
    },
  };
}

/** Wraps the builder and records the line of each call that queues statements. */
function observed(
  builder: MigrationBuilder,
  db: object,
  path: string,
  steps: RecordedStep[],
): MigrationBuilder {
  return new Proxy(builder, {
    get(target, name) {
      // The builder itself exposes only two methods of it.
      if (name === 'db') return db;
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...values: unknown[]) => {
        const before = target.getSqlSteps().length;
        const result: unknown = member.apply(target, values);
        const line = lineIn(path, new Error()) ?? 1;
        for (const sql of target.getSqlSteps().slice(before)) {
          steps.push({ kind: 'sql', when: 'queued', sql, values: [], literal: name === 'sql', line });
        }
        return result;
      };
    },
  });
}

/** Line of a file in the stack of an error. tsx and vitest map stacks to the source. */
function lineIn(path: string, error: unknown): number | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  for (const frame of stack.split('\n')) {
    const [, place = '', line] =
      /\(?((?:file:\/\/)?\/[^\s()]*?)(?:\?[^:]*)?:(\d+):\d+\)?$/.exec(frame.trim()) ?? [];
    const found = place.startsWith('file:') ? fileURLToPath(place) : place;
    if (found === path) return Number(line);
  }
  return undefined;
}

function firstLine(error: unknown): string {
  return messageOf(error).split('\n')[0] ?? '';
}
