/** Parses SQL of a file with the parser of PostgreSQL: statements, statements inside them, and comments. */
import { type Node, parseSync } from 'libpg-query';
import { messageOf } from '../../../core/text.ts';
import type { Direction } from '../ledger.ts';
import { bodyOf } from './bodies.ts';
import { Lines } from './lines.ts';
import type { Statement } from './rule.ts';
import { isComment, type Token, tokensOf } from './tokens.ts';

export interface Comment {
  readonly text: string;
  readonly line: number;
  /** The statement that it precedes, that contains it, or that it follows on the same line. */
  readonly statement: Statement | undefined;
}

export interface ParsedSql {
  /** In order, each followed by the statements inside it. */
  readonly statements: readonly Statement[];
  readonly comments: readonly Comment[];
  /** Parts that cannot be read. */
  readonly unseen: readonly { readonly line: number; readonly reason: string }[];
  /** @default - the text was parsed */
  readonly error?: { readonly line: number; readonly message: string };
}

/** Parses SQL whose first line is `line` of its file. Time and memory grow linearly with the text. */
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
  const inBodies: Comment[] = [];
  const unseen: { line: number; reason: string }[] = [];
  const spans: Span[] = [];
  // Statements and tokens are both in order of their positions, so one pass over the tokens serves all statements.
  let token = 0;
  const skip = (condition: (next: Token) => boolean) => {
    const first = token;
    for (let next = tokens[token]; next !== undefined && condition(next); next = tokens[token]) token += 1;
    return tokens.slice(first, token);
  };
  for (const { stmt, stmt_location: from = 0, stmt_len: length } of parsed.stmts ?? []) {
    if (stmt === undefined) continue;
    const end = length === undefined ? bytes.length : from + length;
    // In some versions of the parser, the span of a statement includes the comments before it.
    skip((next) => next.start < from || isComment(next));
    const start = tokens[token]?.start ?? from;
    const statement = makeStatement(stmt, bytes.toString('utf8', start, end), section, lines, start);
    const own = skip((next) => next.end <= end);
    const body = bodyOf(
      statement,
      own.map((one) => ({ ...one, line: lines.at(one.start) })),
    );
    spans.push({ end, statement });
    statements.push(statement, ...body.statements);
    inBodies.push(...body.comments.map((comment) => ({ ...comment, statement })));
    unseen.push(...body.unseen);
  }
  const comments = [...attach(tokens.filter(isComment), spans, lines), ...inBodies];
  return { statements, comments: comments.sort((a, b) => a.line - b.line), unseen };
}

/** A statement and the byte after its last one. */
interface Span {
  readonly end: number;
  readonly statement: Statement;
}

/** Comments with their statements. Comments and spans are in order of their positions. */
function attach(comments: readonly Token[], spans: readonly Span[], lines: Lines): Comment[] {
  let next = 0;
  return comments.map(({ text, start }) => {
    while (next < spans.length && (spans[next]?.end ?? 0) <= start) next += 1;
    const line = lines.at(start);
    const before = spans[next - 1];
    const follows = before !== undefined && lines.at(before.end) === line;
    return { text, line, statement: (follows ? before : spans[next])?.statement };
  });
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

/** Byte offset of a syntax error. The parser counts characters here, and bytes everywhere else. */
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
