import { inspect } from 'node:util';

const hidden = '[secret]';
const brand = Symbol.for('@llama-mapper/database/secret');

/**
 * A text that no log shows: `util.inspect`, `console.log`, JSON, templates and `Object.entries` give `[secret]`. Only `reveal`
 * returns it.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    Object.defineProperty(this, brand, { value: () => this.#text });
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return hidden;
  }

  toJSON(): string {
    return hidden;
  }

  [Symbol.toPrimitive](): string {
    return hidden;
  }

  [inspect.custom](): string {
    return hidden;
  }
}

/** The text of a secret, also of one that another copy of this package made. */
export function revealed(secret: Secret | string): string {
  if (typeof secret === 'string') return secret;
  const reveal: unknown = Reflect.get(secret, brand);
  return typeof reveal === 'function' ? String(reveal()) : secret.reveal();
}
