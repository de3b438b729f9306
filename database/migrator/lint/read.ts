/** Reads a migration file for the lint: statements of both sections, allowances, and unreadable parts. */
import { loadModule } from 'libpg-query';
import { Fault } from '../../../core/fault.ts';
import { messageOf } from '../../../core/text.ts';
import { headerOf, type MigrationFile, readMigration, sectionOf } from '../files.ts';
import type { Direction } from '../ledger.ts';
import { type RecordedStep, type Recording, record } from '../recording.ts';
import { type Allowance, allowanceIn, commentsOfModule } from './allowances.ts';
import type { FileFacts, Statement } from './rule.ts';
import { parseSql } from './source.ts';

export interface ReadFile
  extends FileFacts,
    Pick<MigrationFile, 'runAs' | 'losesDataOf' | 'kind' | 'file' | 'path'> {
  readonly sections: Readonly<Record<Direction, readonly Statement[]>>;
  readonly transactional: Readonly<Record<Direction, boolean>>;
  readonly allowances: readonly Allowance[];
  readonly unseen: readonly { readonly line: number; readonly reason: string }[];
}

/**
 * Reads a migration. In an .sql file without "-- Up Migration", the whole file counts as the Up section.
 *
 * @throws Fault (exit 2) if the file cannot be read or is neither .sql nor .ts
 */
export async function readForLint(path: string): Promise<ReadFile> {
  await loadModule();
  const file = path.replace(/^.*\//, '');
  const kind = /\.(sql|ts)$/.exec(file)?.[1];
  if (kind !== 'sql' && kind !== 'ts') {
    throw new Fault(
      'lint/file-kind-unknown',
      `File ${path}`,
      'it is neither .sql nor .ts',
      'Name migration files only.',
      { exitCode: 2 },
    );
  }
  let content: string;
  try {
    content = readMigration(path);
  } catch (error) {
    throw new Fault(
      'lint/file-unreadable',
      `Migration file ${path}`,
      messageOf(error),
      'Name a readable file.',
      { exitCode: 2, cause: error },
    );
  }
  const about = { path, file, kind, ...headerOf(content, kind, path) } as const;
  return kind === 'sql'
    ? { ...about, ...readSql(content) }
    : { ...about, ...(await readModule(content, path)) };
}

type Parts = Omit<ReadFile, keyof ReturnType<typeof headerOf> | 'kind' | 'file' | 'path'>;

function readSql(content: string): Parts {
  const up = sectionOf(content, 'up');
  const down = sectionOf(content, 'down');
  const whole = up ?? { sql: content, line: 1 };
  const parsed = {
    up: parseSql(whole.sql, whole.line, 'up'),
    down: down ? parseSql(down.sql, down.line, 'down') : undefined,
  };
  const head = content.split('\n').slice(0, Math.min(whole.line, down?.line ?? whole.line) - 1);
  const comments = [
    ...head.map((text, index) => ({ text: text.trim(), line: index + 1, statement: undefined })),
    ...parsed.up.comments,
    ...(parsed.down?.comments ?? []),
  ];
  const both = [parsed.up, ...(parsed.down ? [parsed.down] : [])];
  return {
    sections: { up: parsed.up.statements, down: parsed.down?.statements ?? [] },
    transactional: { up: true, down: true },
    hasDown: down !== undefined,
    allowances: comments.flatMap((comment) => allowanceIn(comment) ?? []),
    unseen: both.flatMap(({ unseen }) => unseen),
    errors: both.flatMap(({ error }) => error ?? []),
  };
}

async function readModule(content: string, path: string): Promise<Parts> {
  const up = await record({ path }, 'up');
  // A file that cannot be loaded is reported once.
  const down = up.unseen?.broken ? { steps: [], transactional: true } : await record({ path }, 'down');
  const recorded: Readonly<Record<Direction, Recording>> = { up, down };
  const allowances: Allowance[] = [];
  const unseen: { line: number; reason: string }[] = [];
  const errors: { line: number; message: string }[] = [];
  const covered: { readonly from: number; readonly to: number; readonly statements: readonly Statement[] }[] =
    [];
  const read = (direction: Direction) =>
    recorded[direction].steps.flatMap((step) => {
      const sql = textOf(step);
      const parsed = parseSql(sql, step.line, direction);
      const built = step.kind === 'sql' ? {} : { builder: true };
      if (parsed.error) errors.push(parsed.error);
      unseen.push(...parsed.unseen);
      allowances.push(...parsed.comments.flatMap((comment) => allowanceIn(comment) ?? []));
      for (const statement of parsed.statements) Object.assign(statement, built);
      covered.push({
        from: step.line,
        to: step.line + sql.trimEnd().split('\n').length - 1,
        statements: parsed.statements,
      });
      return parsed.statements;
    });
  const sections = { up: read('up'), down: read('down') };
  for (const { unseen: found } of [recorded.up, recorded.down]) {
    if (found?.broken) errors.push({ line: found.line, message: found.reason });
    else if (found) unseen.push({ line: found.line, reason: found.reason });
  }
  covered.sort((a, b) => a.from - b.from);
  let next = 0;
  for (const comment of commentsOfModule(content)) {
    const allowance = allowanceIn(comment);
    if (!allowance) continue;
    // Comments come in order of lines, so steps that end before one also end before the later ones.
    while ((covered[next]?.to ?? Number.POSITIVE_INFINITY) < comment.line) next += 1;
    const statements: Statement[] = [];
    for (let step = next; step < covered.length && covered[step]?.from === covered[next]?.from; step += 1) {
      if ((covered[step]?.to ?? 0) >= comment.line) statements.push(...(covered[step]?.statements ?? []));
    }
    allowances.push({ ...allowance, statements: new Set(statements.map(({ top }) => top)) });
  }
  return {
    sections,
    transactional: { up: recorded.up.transactional, down: recorded.down.transactional },
    hasDown: /\bexport\s+(async\s+)?(function|const)\s+down\b/.test(content),
    allowances,
    unseen,
    errors,
  };
}

/** A step as SQL; an index build as one equivalent statement. */
function textOf(step: RecordedStep): string {
  if (step.kind === 'sql') return step.literal ? step.sql : step.sql.replaceAll('\n', ' ');
  const { table, name, definition, where, using = 'btree', unique = false } = step.index;
  const [schema = ''] = table.split('.');
  if (step.action === 'drop') return `DROP INDEX IF EXISTS "${schema}"."${name}"`;
  const condition = where === undefined ? '' : ` WHERE ${where}`;
  return `CREATE ${unique ? 'UNIQUE ' : ''}INDEX IF NOT EXISTS "${name}" ON ONLY ${table} USING ${using} ${definition}${condition}`;
}
