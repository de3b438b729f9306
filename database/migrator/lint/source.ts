/** SQL as a file has it, taken apart by PostgreSQL's own parser: statements, what is inside them, and comments. */

import { type Node, parseSync } from 'libpg-query';
import { messageOf } from '../../../core/text.ts';
import type { Direction } from '../ledger.ts';
import { bodyOf } from './bodies.ts';
import type { Statement } from './rule.ts';
import { isComment, tokensOf } from './tokens.ts';

export interface Comment {
  readonly text: string;
  readonly line: number;
  /** The statement it stands before, inside of, or behind on the same line. */
  readonly statement: Statement | undefined;
}

export interface ParsedSql {
  /** In order, each followed by those inside it. */
  readonly statements: readonly Statement[];
  readonly comments: readonly Comment[];
  /** What is there and cannot be read. */
  readonly unseen: readonly { readonly line: number; readonly reason: string }[];
  /** @default - all of it could be parsed */
  readonly error?: { readonly line: number; readonly message: string };
}

/** Byte offsets, as the parser counts, to lines of a file. */
class Lines {
  readonly #starts: number[] = [0];
  readonly #first: number;

  constructor(text: Buffer, first: number) {
    this.#first = first;
    for (let at = text.indexOf(10); at >= 0; at = text.indexOf(10, at + 1)) this.#starts.push(at + 1);
  }

  at(offset: number): number {
    let low = 0;
    for (let high = this.#starts.length - 1; low < high; ) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return this.#first + low;
  }
}

/**
 * Parses SQL whose first line is `line` of its file.
 *
 * @param within the statement of the file that holds this text. @default - the text is the file's
 */
export function parseSql(sql: string, line: number, section: Direction): ParsedSql {
  const bytes = Buffer.from(sql);
  const lines = new Lines(bytes, line);
  const tokens = tokensOf(sql);
  if (tokens.every(isComment)) {
    const comments = tokens.map(({ text, start }) => ({ text, line: lines.at(start), statement: undefined }));
    return { statements: [], comments, unseen: [] };
  }
  let parsed: ReturnType<typeof parseSync>;
  try {
    parsed = parseSync(sql);
  } catch (error) {
    return {
      statements: [],
      comments: [],
      unseen: [],
      error: { line: lines.at(errorOffset(error, sql)), message: messageOf(error) },
    };
  }

  const statements: Statement[] = [];
  const unseen: { line: number; reason: string }[] = [];
  const spans: { start: number; end: number; statement: Statement; extra: Comment[] }[] = [];
  for (const { stmt, stmt_location: from = 0, stmt_len: length } of parsed.stmts ?? []) {
    if (stmt === undefined) continue;
    // Comments before a statement belong to its span in some versions of the parser.
    const end = length === undefined ? bytes.length : from + length;
    const start = tokens.find((token) => token.start >= from && !isComment(token))?.start ?? from;
    const statement = makeStatement(stmt, bytes.toString('utf8', start, end), section, lines, start);
    const within = tokens.filter((token) => token.start >= start && token.end <= end);
    const body = bodyOf(
      statement,
      within.map((token) => ({ ...token, line: lines.at(token.start) })),
    );
    spans.push({ start, end, statement, extra: body.comments.map((comment) => ({ ...comment, statement })) });
    statements.push(statement, ...body.statements);
    unseen.push(...body.unseen);
  }
  const comments = tokens.filter(isComment).map(({ text, start }): Comment => {
    const at = lines.at(start);
    const behind = spans.findLast((span) => span.end <= start && lines.at(span.end) === at);
    const next = spans.find((span) => start < span.end);
    return { text, line: at, statement: (behind ?? next)?.statement };
  });
  comments.push(...spans.flatMap(({ extra }) => extra));
  return { statements, comments: comments.sort((a, b) => a.line - b.line), unseen };
}

function makeStatement(node: Node, text: string, section: Direction, lines: Lines, start: number): Statement {
  const statement: Omit<Statement, 'top'> & { top?: Statement } = {
    node,
    place: 'migration',
    section,
    line: lines.at(start),
    text,
    lineAt: (location) => lines.at(location === undefined || location < start ? start : location),
  };
  const whole = statement as Statement & { top: Statement };
  whole.top = whole;
  return whole;
}

/** The parser counts characters here, and bytes everywhere else. */
function errorOffset(error: unknown, sql: string): number {
  const details: unknown = error instanceof Error ? Reflect.get(error, 'sqlDetails') : undefined;
  const position =
    typeof details === 'object' && details !== null ? Reflect.get(details, 'cursorPosition') : 0;
  return Buffer.byteLength(
    Array.from(sql)
      .slice(0, Math.max(Number(position) || 0, 0))
      .join(''),
  );
}
