/** Words of SQL, comments among them, as PostgreSQL's own scanner sees them. */
import { scanSync } from 'libpg-query';

export interface Token {
  /** Bytes. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly tokenName: string;
}

export function tokensOf(sql: string): Token[] {
  try {
    return scanSync(sql).tokens;
  } catch {
    // What cannot be scanned cannot be parsed either, and parsing says it better.
    return sql.trim() === '' ? [] : [{ start: 0, end: 0, text: '', tokenName: 'unknown' }];
  }
}

export function isComment({ tokenName, text }: Token): boolean {
  return tokenName === 'SQL_COMMENT' || tokenName === 'C_COMMENT' || /^(--|\/\*)/.test(text);
}
