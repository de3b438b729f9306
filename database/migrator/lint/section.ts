/**
 * Questions about the other statements of a section, each answered from a table that is computed once per section. A
 * search at each statement would make the lint quadratic.
 */
import type { Context, Statement } from './rule.ts';

type Section = Context['statements'];

function perSection<Facts>(compute: (statements: Section) => Facts): (statements: Section) => Facts {
  const computed = new WeakMap<Section, { readonly facts: Facts }>();
  return (statements) => {
    const known = computed.get(statements) ?? { facts: compute(statements) };
    computed.set(statements, known);
    return known.facts;
  };
}

const positions = perSection((statements) => new Map(statements.map((one, position) => [one, position])));

export interface Occurrences {
  /** Whether a statement of the section has the key. */
  anywhere(at: Context, key: string): boolean;
  /** Whether `statement` or a later one has the key. */
  from(at: Context, statement: Statement, key: string): boolean;
  /** Whether a later statement than `statement` has the key. */
  after(at: Context, statement: Statement, key: string): boolean;
}

/** Statements of a section by their keys. */
export function occurrences(keysOf: (statement: Statement) => Iterable<string>): Occurrences {
  const lastPositions = perSection((statements) => {
    const last = new Map<string, number>();
    for (const [position, statement] of statements.entries()) {
      for (const key of keysOf(statement)) last.set(key, position);
    }
    return last;
  });
  const last = ({ statements }: Context, key: string) => lastPositions(statements).get(key) ?? -1;
  const position = ({ statements }: Context, statement: Statement) =>
    positions(statements).get(statement) ?? statements.length;
  return {
    anywhere: (at, key) => last(at, key) >= 0,
    from: (at, statement, key) => last(at, key) >= position(at, statement),
    after: (at, statement, key) => last(at, key) > position(at, statement),
  };
}
