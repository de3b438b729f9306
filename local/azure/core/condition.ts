/**
 * Conditions of role assignments, as far as they limit which roles may be assigned.
 * https://learn.microsoft.com/azure/role-based-access-control/conditions-format
 */
import { notPlayed } from './refusal.ts';

export interface ConditionSubject {
  readonly action: string;
  /** Attributes by `@Request[…]` or `@Resource[…]`, the source and the name in lower case. */
  readonly attributes: ReadonlyMap<string, string>;
}

/** @throws ArmError 501 for a condition with another operator than those played here */
export function holds(condition: string, subject: ConditionSubject): boolean {
  const parser = new ConditionParser(condition, subject);
  return parser.whole();
}

/** `AND`, `OR`, `!`, parentheses, `ActionMatches{'…'}` and `ForAnyOfAnyValues:GuidEquals {…}`. */
class ConditionParser {
  #position = 0;
  constructor(
    readonly text: string,
    readonly subject: ConditionSubject,
  ) {}

  whole(): boolean {
    const value = this.#alternatives();
    if (this.text.slice(this.#position).trim() !== '') throw this.#unknown();
    return value;
  }

  #unknown() {
    return notPlayed(
      'ConditionNotKnown',
      `The condition of a role assignment is not known here from "${this.text.slice(this.#position, this.#position + 40)}" on.`,
    );
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    const found = new RegExp(`^\\s*(?:${pattern.source})`, 'i').exec(this.text.slice(this.#position));
    if (!found) return undefined;
    this.#position += found[0].length;
    return found;
  }

  #alternatives(): boolean {
    let value = this.#conjunction();
    while (this.#take(/(?:OR|\|\|)/)) value = this.#conjunction() || value;
    return value;
  }

  #conjunction(): boolean {
    let value = this.#term();
    while (this.#take(/(?:AND|&&)/)) value = this.#term() && value;
    return value;
  }

  #term(): boolean {
    if (this.#take(/(?:!|NOT\b)/)) return !this.#term();
    if (this.#take(/\(/)) {
      const value = this.#alternatives();
      if (!this.#take(/\)/)) throw this.#unknown();
      return value;
    }
    const action = this.#take(/ActionMatches\s*\{\s*'([^']*)'\s*\}/)?.[1];
    if (action !== undefined) return action.toLowerCase() === this.subject.action.toLowerCase();
    const comparison = this.#take(/(@\w+)\[([^\]]+)\]\s*ForAnyOfAnyValues:GuidEquals\s*\{([^}]*)\}/);
    if (!comparison) throw this.#unknown();
    const [, source = '', name = '', list = ''] = comparison;
    const value = this.subject.attributes.get(`${source}[${name}]`.toLowerCase());
    return (
      value !== undefined && list.split(',').some((one) => one.trim().toLowerCase() === value.toLowerCase())
    );
  }
}
