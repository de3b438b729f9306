/** A sequence of random statements. */
import type { Random } from '../random.ts';
import { Changes } from './changes.ts';
import { Expressions } from './expressions.ts';
import { Functions } from './functions.ts';
import type { Names } from './names.ts';
import { Queries, type Query } from './queries.ts';
import type { Tenants } from './tenants.ts';
import { Utility } from './utility.ts';

export interface Statement extends Query {
  readonly kind: 'read' | 'change' | 'server' | 'call' | 'utility';
}

export class Grammar {
  readonly #random: Random;
  readonly #kinds: readonly (readonly [number, Statement['kind'], () => Query])[];
  readonly #utility: Utility;

  constructor(random: Random, tenants: Tenants, names: Names) {
    this.#random = random;
    const expressions = new Expressions(random, tenants, names);
    const queries = new Queries(expressions, names);
    const changes = new Changes(expressions, queries, names);
    const functions = new Functions(expressions, names);
    const change = () =>
      random.weighted<() => Query>([
        [5, () => changes.insert()],
        [3, () => changes.update()],
        [2, () => changes.delete()],
        [2, () => changes.merge()],
      ])();
    const other = () => (random.chance(0.75) ? queries.select() : change());
    this.#utility = new Utility(expressions, queries, names, other);
    this.#kinds = [
      [40, 'read', () => queries.select()],
      [22, 'change', change],
      [8, 'server', () => queries.server()],
      [12, 'call', () => functions.call()],
      [18, 'utility', () => this.#utility.statement()],
    ];
  }

  /** A statement for the inside of a transaction. */
  next(): Statement {
    const [kind, make] = this.#random.weighted(
      this.#kinds.map(([weight, kind, make]) => [weight, [kind, make] as const] as const),
    );
    return { kind, ...make() };
  }

  /** A statement for the outside of a transaction. */
  alone(): Statement {
    return { kind: 'utility', ...this.#utility.alone() };
  }
}
