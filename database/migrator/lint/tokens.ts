/** Tokens of SQL, including comments, by the scanner of PostgreSQL. */
import { scanSync } from 'libpg-query';

export interface Token {
  /** Byte offset. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly tokenName: string;
}

export function tokensOf(sql: string): Token[] {
  try {
    return scanSync(sql).tokens;
  } catch {
    // Text that cannot be scanned cannot be parsed either, and the parser has the better message.
    return sql.trim() === '' ? [] : [{ start: 0, end: 0, text: '', tokenName: 'unknown' }];
  }
}

export function isComment({ tokenName, text }: Token): boolean {
  return tokenName === 'SQL_COMMENT' || tokenName === 'C_COMMENT' || /^(--|\/\*)/.test(text);
}
