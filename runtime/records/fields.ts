/** Rules of single fields. Each returns the value to store and adds what is wrong. */
import type { FieldProblem } from './error.ts';
import { type DecimalObject, isStorableText } from './json.ts';
import { Timestamp } from './timestamp.ts';

/** An exact decimal as text or object of a decimal library. A number is rounded to the places that the column has. */
export type DecimalInput = string | number | DecimalObject;

export class Fields {
  readonly problems: FieldProblem[] = [];

  #refuse(field: string, rule: string): undefined {
    this.problems.push({ field, rule });
    return undefined;
  }

  text(field: string, value: unknown, longest: number): string | undefined {
    const isText = typeof value === 'string' && value !== '' && isStorableText(value);
    // PostgreSQL counts characters, not units of UTF-16.
    if (isText && [...value].length <= longest) return value;
    return this.#refuse(field, `is a text of 1 to ${longest} characters without NUL`);
  }

  hash(field: string, value: unknown): string | undefined {
    if (typeof value === 'string' && /^[0-9a-f]{64}$/i.test(value)) return value.toLowerCase();
    return this.#refuse(field, 'is a SHA-256 in 64 hexadecimal digits');
  }

  uuid(field: string, value: unknown): string | undefined {
    if (typeof value === 'string' && uuidForm.test(value)) return value.toLowerCase();
    return this.#refuse(field, 'is a uuid such as 018f3e1c-0000-7000-8000-000000000000');
  }

  time(field: string, value: unknown): Timestamp | undefined {
    return Timestamp.from(value) ?? this.#refuse(field, 'is a time of the years 1 to 9999');
  }

  boolean(field: string, value: unknown): boolean | undefined {
    return typeof value === 'boolean' ? value : this.#refuse(field, 'is true or false');
  }

  integer(field: string, value: unknown, least: number, most: number): number | undefined {
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    return this.#refuse(field, `is a whole number from ${least} to ${most}`);
  }

  texts(field: string, value: unknown): readonly string[] | undefined {
    if (Array.isArray(value) && value.every((one) => typeof one === 'string' && isStorableText(one)))
      return value;
    return this.#refuse(field, 'is a list of texts without NUL');
  }

  /**
   * The text of a decimal for a column numeric(whole + places, places), as it was given.
   *
   * @param most largest value, inclusive. @default - what the column holds
   */
  decimal(
    field: string,
    value: unknown,
    { whole, places, least, most }: { whole: number; places: number; least?: number; most?: number },
  ): string | undefined {
    const text = decimalText(value, places);
    const parts = text === undefined ? undefined : /^-?0*(\d*)(?:\.(\d*?)0*)?$/.exec(text);
    const limits = least === undefined ? '' : ` from ${least} to ${most}`;
    const rule = `is a decimal${limits} with at most ${whole} digits before the point and ${places} after it`;
    if (text === undefined || !parts || (parts[1] ?? '').length > whole || (parts[2] ?? '').length > places)
      return this.#refuse(field, rule);
    const number = Number(text);
    if ((least !== undefined && number < least) || (most !== undefined && number > most))
      return this.#refuse(field, rule);
    return text;
  }
}

export const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** A number is an approximation already, so rounding loses nothing that was known. A text must fit as it is. */
function decimalText(value: unknown, places: number): string | undefined {
  if (typeof value === 'number')
    return Number.isFinite(value) && Math.abs(value) < 1e21 ? value.toFixed(places) : undefined;
  const text =
    typeof value === 'object' && value !== null && typeof Reflect.get(value, 'toFixed') === 'function'
      ? (value as DecimalObject).toFixed()
      : value;
  return typeof text === 'string' && /^-?\d+(?:\.\d+)?$/.test(text) ? text : undefined;
}
