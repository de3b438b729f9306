/** Positions of the write-ahead log, as values that can travel in messages between processes. */
import { ConfigurationError } from '../errors.ts';

/** A position as PostgreSQL writes it, such as `16/B374D848`. */
export type Lsn = string;

/** The position as a number, for comparisons. @throws ConfigurationError if the text is not a position */
export function lsnNumber(text: Lsn): bigint {
  const [, high, low] = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text) ?? [];
  if (high === undefined || low === undefined) {
    throw new ConfigurationError(
      'replica/position-malformed',
      `${JSON.stringify(text).slice(0, 40)} is not a position of the log`,
      'a position has two hexadecimal numbers and a slash, such as 16/B374D848',
      'Pass on the lsn of a tenant unchanged.',
    );
  }
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}

/** Whether a position is at or after another one. */
export function reaches(position: Lsn, least: Lsn): boolean {
  return lsnNumber(position) >= lsnNumber(least);
}
