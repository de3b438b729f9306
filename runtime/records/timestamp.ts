/** Times as PostgreSQL keeps them. */
import { RecordError } from './error.ts';

const form = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d(?::?\d\d)?)$/;

/**
 * A Date with the microseconds that PostgreSQL stores. It can be used wherever a Date can. A Date alone would lose them, and
 * with them the place of a record in a list.
 */
export class Timestamp extends Date {
  /** Microseconds beyond the milliseconds of the Date, 0 to 999. */
  readonly microseconds: number;

  constructor(milliseconds: number, microseconds = 0) {
    super(milliseconds);
    this.microseconds = microseconds;
  }

  /** @returns undefined for anything but a date of the years 1 to 9999 */
  static from(value: unknown): Timestamp | undefined {
    if (value instanceof Timestamp) return isStorable(value) ? value : undefined;
    if (value instanceof Date) return isStorable(value) ? new Timestamp(value.getTime()) : undefined;
    if (typeof value !== 'string') return undefined;
    const parts = form.exec(value);
    if (!parts) return undefined;
    const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = parts;
    const offset =
      zone === 'Z' ? 'Z' : zone.length === 3 ? `${zone}:00` : zone.replace(/^(.\d\d)(\d\d)$/, '$1:$2');
    const digits = fraction.padEnd(6, '0');
    const milliseconds = Date.parse(
      `${year}-${month}-${day}T${hour}:${minute}:${second}.${digits.slice(0, 3)}${offset}`,
    );
    const found = new Timestamp(milliseconds, Number(digits.slice(3)));
    // Date.parse takes 30 February for 1 March.
    if (!isStorable(found) || Number(day) > daysOf(Number(year), Number(month))) return undefined;
    return found;
  }

  /** @throws RecordError `record/not-a-time` for anything but a time of the years 1 to 9999 in ISO 8601 with its offset */
  static of(text: string): Timestamp {
    const found = Timestamp.from(text);
    if (found) return found;
    throw new RecordError(
      'record/not-a-time',
      `${JSON.stringify(text)} is not a time`,
      'a time is ISO 8601 of the years 1 to 9999 with its offset, at most to the microsecond',
      'Give a Date, or a text such as 2026-01-31T12:00:00.123456Z.',
    );
  }

  /** ISO 8601 in UTC, with six digits if there are microseconds. */
  override toISOString(): string {
    const text = super.toISOString();
    if (this.microseconds === 0) return text;
    return text.replace('Z', `${String(this.microseconds).padStart(3, '0')}Z`);
  }

  override toJSON(): string {
    return this.toISOString();
  }
}

function daysOf(year: number, month: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, 0);
  return date.getUTCDate();
}

function isStorable(date: Date): boolean {
  const year = date.getUTCFullYear();
  return year >= 1 && year <= 9999;
}
