/**
 * Whether two definitions, as the server prints them, mean the same.
 *
 * The server reads a definition again after a dump, a restore or a major upgrade, and prints some of them in another form.
 * `loadParser` (policy.ts) must have been awaited before any function is called.
 */
import { type Node, parseSync, SqlError } from 'libpg-query';

/** The statements that a fact can be part of; none for a fact that is not SQL. The first one that the parser reads counts. */
const statements: Readonly<Record<string, readonly string[]>> = {
  // An index, trigger, rule or view; a constraint; a domain.
  definition: ['@', 'ALTER TABLE t ADD CONSTRAINT c @', 'CREATE DOMAIN d AS @'],
  USING: ['SELECT @'],
  'WITH CHECK': ['SELECT @'],
  default: ['SELECT @'],
  generated: ['SELECT @'],
  'partition key': ['CREATE TABLE t () PARTITION BY @'],
  body: ['CREATE FUNCTION f() RETURNS t @'],
  'constraints of its own': ['ALTER TABLE t ADD CONSTRAINT @'],
  'triggers of its own': ['@'],
  'indexes of its own': ['@'],
};

/**
 * Whether two values of a fact mean the same: equal, or equal in both of these forms, to which PostgreSQL gives the same
 * value for every row.
 *
 * - `(a OR b) OR c` and `a OR b OR c`, likewise with AND.
 * - `ARRAY[a, b]::text[]` and `ARRAY[a::text, b::text]`, because a cast of an array casts each element.
 *
 * @param fact name of the fact in a description: `definition`, `USING`
 */
export function sameMeaning(fact: string, one: string, other: string): boolean {
  if (one === other) return true;
  return (statements[fact] ?? []).some((statement) => {
    const [first, second] = [one, other].map((text) => canonical(statement.replace('@', () => text)));
    return first !== undefined && first === second;
  });
}

/** The statement without the differences that do not count; undefined if the parser does not read it. */
function canonical(sql: string): string | undefined {
  try {
    return JSON.stringify(normal(parseSync(sql).stmts ?? []));
  } catch (error) {
    if (error instanceof SqlError) return undefined;
    throw error;
  }
}

const positions = new Set([
  'location',
  'stmt_location',
  'stmt_len',
  'list_start',
  'list_end',
  'rexpr_list_start',
  'rexpr_list_end',
]);

function normal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normal);
  if (value === null || typeof value !== 'object') return value;
  const members = Object.entries(value)
    .filter(([name]) => !positions.has(name))
    .map(([name, member]) => [name, normal(member)] as const);
  return distributed(flattened(Object.fromEntries(members) as Node));
}

/** AND and OR without arguments of the same kind. */
function flattened(node: Node): Node {
  if (!('BoolExpr' in node)) return node;
  const { boolop, args = [] } = node.BoolExpr;
  if (boolop === 'NOT_EXPR') return node;
  const flat = args.flatMap((arg) =>
    'BoolExpr' in arg && arg.BoolExpr.boolop === boolop ? (arg.BoolExpr.args ?? []) : [arg],
  );
  return { BoolExpr: { ...node.BoolExpr, args: flat } };
}

/** A cast of an array constructor as an array of casts. */
function distributed(node: Node): Node {
  if (!('TypeCast' in node)) return node;
  const { arg, typeName } = node.TypeCast;
  if (!arg || !('A_ArrayExpr' in arg) || typeName?.arrayBounds?.length !== 1) return node;
  const { arrayBounds: _, ...element } = typeName;
  const elements = (arg.A_ArrayExpr.elements ?? []).map((item) => ({
    TypeCast: { arg: item, typeName: element },
  }));
  return { A_ArrayExpr: { ...arg.A_ArrayExpr, elements } };
}
