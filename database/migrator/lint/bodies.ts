/**
 * Statements inside DO blocks and functions. Plain statements are parsed like those of the file. An EXECUTE of a constant,
 * or of format() with a constant, is parsed with stand-ins for the arguments. Any other EXECUTE is reported as unseen.
 */
import { type Node, parsePlPgSQLSync, parseSync } from 'libpg-query';
import { Lines } from './lines.ts';
import { type Place, type Statement, standIn } from './rule.ts';
import { isComment, type Token, tokensOf } from './tokens.ts';
import { all, dotted, is, option, textOf } from './tree.ts';

export interface BodyOf {
  readonly statements: readonly Statement[];
  readonly comments: readonly { readonly text: string; readonly line: number }[];
  readonly unseen: readonly { readonly line: number; readonly reason: string }[];
}

const nothing: BodyOf = { statements: [], comments: [], unseen: [] };

export function bodyOf(top: Statement, tokens: readonly (Token & { readonly line: number })[]): BodyOf {
  const block = is(top.node, 'DoStmt');
  const fn = is(top.node, 'CreateFunctionStmt');
  if (!block && !fn) return nothing;
  const place: Place = block ? 'block' : 'function';
  const options = block?.args ?? fn?.options;
  const language = (textOf(option(options, 'language')?.arg) ?? 'plpgsql').toLowerCase();
  if (fn?.sql_body !== undefined) return { ...nothing, statements: standardBody(top, fn.sql_body) };
  const as = option(options, 'as')?.arg;
  const list = is(as, 'List');
  const source = textOf(list ? list.items?.[0] : as);
  if (source === undefined) return nothing;

  const holder = tokens.find(({ tokenName, text }) => tokenName === 'SCONST' && text.includes(source));
  const first = holder?.line ?? top.line;
  const lines = new Lines(Buffer.from(source), first);
  const comments = tokensOf(source)
    .filter(isComment)
    .map(({ text, start }) => ({ text, line: lines.at(start) }));
  if (language === 'sql') {
    try {
      const { stmts = [] } = source.trim() === '' ? {} : parseSync(source);
      return {
        ...nothing,
        comments,
        statements: stmts.flatMap(({ stmt }) =>
          stmt ? { ...inner(top, place, stmt, source, first), lineAt: locate(lines, first) } : [],
        ),
      };
    } catch {
      return {
        ...nothing,
        comments,
        unseen: [{ line: top.line, reason: 'the body of this SQL function could not be parsed' }],
      };
    }
  }
  if (language !== 'plpgsql') {
    return { ...nothing, unseen: [{ line: top.line, reason: `the body is written in ${language}` }] };
  }
  return { ...procedural(top, place, first), comments };
}

/** BEGIN ATOMIC or RETURN, which the parser returns as part of the statement. */
function standardBody(top: Statement, body: Node): Statement[] {
  const nodes = is(body, 'List') ? (is(body, 'List')?.items ?? []) : [body];
  return nodes
    .flatMap((node) => is(node, 'List')?.items ?? [node])
    .map((node) => ({ ...top, node, place: 'function', top }));
}

function procedural(top: Statement, place: Place, first: number): BodyOf {
  const tree = treeOf(top.text);
  if (tree === undefined) {
    return { ...nothing, unseen: [{ line: top.line, reason: 'the PL/pgSQL body could not be parsed' }] };
  }
  const statements: Statement[] = [];
  const unseen: { line: number; reason: string }[] = [];
  for (const { query, kind, line } of queriesIn(tree)) {
    const at = first + line - 1;
    if (kind === 'dynamic') {
      const sql = template(query);
      const found = sql === undefined ? undefined : parsed(sql);
      if (found) statements.push(...found.map((node) => inner(top, place, node, query, at)));
      else unseen.push({ line: at, reason: 'an EXECUTE of a string that is built at run time' });
      continue;
    }
    const found = parsed(
      kind === 'statement' ? query : `SELECT ${query.replace(/^[\w.[\]"]+\s*:?=(?!=)/, '')}`,
    );
    const lineAt = locate(new Lines(Buffer.from(query), at), at);
    for (const node of found ?? []) statements.push({ ...inner(top, place, node, query, at), lineAt });
  }
  return { ...nothing, statements, unseen };
}

function treeOf(text: string): unknown {
  // The parser has no catalog. It accepts any type name except those with the prefix pg_catalog.
  const declared = text.replace(/\bDECLARE\b[\s\S]*?\bBEGIN\b/gi, (part) =>
    part.replace(/\bpg_catalog\./g, ''),
  );
  for (const attempt of [text, declared]) {
    try {
      return parsePlPgSQLSync(attempt);
    } catch {
      // The next attempt follows, if any.
    }
  }
  return undefined;
}

/** A statement inside `top`; all of its locations are on its first line. */
function inner(top: Statement, place: Place, node: Node, text: string, line: number): Statement {
  return { node, place, section: top.section, line, text, lineAt: () => line, top };
}

function locate(lines: Lines, first: number): Statement['lineAt'] {
  return (location) => (location === undefined ? first : lines.at(location));
}

interface Query {
  readonly query: string;
  readonly kind: 'statement' | 'expression' | 'dynamic';
  /** Within the body, from 1. */
  readonly line: number;
}

/** Statements and expressions of a body. The tree contains each as text, with the mode for parsing it. */
function queriesIn(tree: unknown): Query[] {
  const queries: Query[] = [];
  const waiting: { value: unknown; line: number; dynamic: boolean }[] = [
    { value: tree, line: 1, dynamic: false },
  ];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, dynamic } = next;
    if (typeof value !== 'object' || value === null) continue;
    const own = Reflect.get(value, 'lineno');
    const line = typeof own === 'number' ? own : next.line;
    const expression = Reflect.get(value, 'PLpgSQL_expr');
    if (typeof expression === 'object' && expression !== null) {
      const query = Reflect.get(expression, 'query');
      const whole = Reflect.get(expression, 'parseMode') === 0;
      if (typeof query === 'string') {
        queries.push({ query, kind: whole ? 'statement' : dynamic ? 'dynamic' : 'expression', line });
      }
    }
    for (const [key, member] of Object.entries(value)) {
      const executed = (key === 'query' && 'PLpgSQL_expr' in Object(member) && dynamic) || key === 'dynquery';
      waiting.push({
        value: member,
        line,
        dynamic: executed || /^PLpgSQL_stmt_dyn(execute|fors)$/.test(key),
      });
    }
  }
  return queries.sort((a, b) => a.line - b.line);
}

/** The SQL that an expression produces, if it is a constant, or format() of one with stand-ins for its arguments. */
function template(expression: string): string | undefined {
  const [node] = parsed(`SELECT ${expression}`) ?? [];
  const [target] = all(is(node, 'SelectStmt')?.targetList, 'ResTarget');
  const constant = textOf(target?.val);
  if (constant !== undefined) return constant;
  const call = is(target?.val, 'FuncCall');
  if (!call || !/^(pg_catalog\.)?format$/.test(dotted(call.funcname))) return undefined;
  return textOf(call.args?.[0])
    ?.replace(/%(\d+\$)?-?\d*I/g, standIn)
    .replace(/%(\d+\$)?-?\d*L/g, `'${standIn}'`)
    .replace(/%(\d+\$)?-?\d*s/g, standIn)
    .replaceAll('%%', '%');
}

function parsed(sql: string): Node[] | undefined {
  try {
    return parseSync(sql).stmts?.flatMap(({ stmt }) => stmt ?? []);
  } catch {
    return undefined;
  }
}
