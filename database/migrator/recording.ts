/**
 * What a TypeScript migration would send, found out by running it on node-pg-migrate's own builder without a database.
 *
 * Seen: everything it queues, index builds through the builder of this project, and statements of its own that return
 * nothing it could decide by. Not seen: what it does after a query whose answer it needs.
 */
import { fileURLToPath, pathToFileURL } from 'node:url';
import { MigrationBuilder } from 'node-pg-migrate';
import type { PartitionedIndex } from '../indexes/partitioned-index.ts';
import type { MigrationFile } from './files.ts';
import type { Direction } from './ledger.ts';

/** One thing that a migration asks for, in order. */
export type RecordedStep = {
  /** Line of the file that asks for it, from 1. */
  readonly line: number;
  /** `now`: sent while the migration's function runs; `queued`: after it, in its transaction if it has one. */
  readonly when: 'now' | 'queued';
} & (
  | {
      readonly kind: 'sql';
      readonly sql: string;
      readonly values: readonly unknown[];
      /** Written in the file as it is, so that its lines are the file's. */
      readonly literal: boolean;
    }
  | { readonly kind: 'index'; readonly action: 'build' | 'drop'; readonly index: PartitionedIndex }
);

export interface Recording {
  readonly steps: readonly RecordedStep[];
  /** Whether its queue runs in a transaction. */
  readonly transactional: boolean;
  /** Why the recording stops before the migration does. @default - it is complete */
  readonly unseen?: {
    readonly line: number;
    readonly reason: string;
    /** Whether the migration cannot be run at all. */
    readonly broken: boolean;
  };
}

/** Stops a migration that asks for an answer. */
class NeedsDatabase extends Error {}

/** Never throws for what a migration does; a file that cannot be loaded is broken. */
export async function record(file: Pick<MigrationFile, 'path'>, direction: Direction): Promise<Recording> {
  const steps: RecordedStep[] = [];
  const db = recordingDatabase(file.path, steps);
  // Of the builder's needs, only these are asked for while statements are put together.
  const builder = new MigrationBuilder(db as never, undefined, false, silent as never);
  const unseen = await run(file.path, direction, observed(builder, db, file.path, steps));
  return { steps, transactional: builder.isUsingTransaction(), ...(unseen ? { unseen } : {}) };
}

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

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
        ? 'what it does from here on depends on the answer to a query'
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
    /** Where database/indexes tells its builds. */
    recordIndex: (action: 'build' | 'drop', index: PartitionedIndex) => {
      steps.push({ kind: 'index', when: 'now', action, index, line: lineIn(path, new Error()) ?? 1 });
    },
  };
}

/** The builder, telling which line of the file queued what. */
function observed(
  builder: MigrationBuilder,
  db: object,
  path: string,
  steps: RecordedStep[],
): MigrationBuilder {
  return new Proxy(builder, {
    get(target, name) {
      // The builder hands on two methods of it only.
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

/** Line of a file in a stack, which tsx and vitest translate to the source. */
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
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
