/**
 * Allowances: comments `lint allow <rule>: <reason>` before a statement, inside it, or after it on its last line. In the
 * head of a file, above its Up section, an allowance applies to the file as a whole.
 */
import type { Statement } from './rule.ts';
import type { Comment } from './source.ts';

export interface Allowance {
  readonly rule: string;
  readonly reason: string;
  readonly line: number;
  /** Statements to which it applies; empty in the head of the file. */
  readonly statements: ReadonlySet<Statement>;
}

/** The allowance in a comment, if any. */
export function allowanceIn({ text, line, statement }: Comment): Allowance | undefined {
  const inner = text.replace(/^(--|\/\/|\/\*)\s*/, '').replace(/\s*\*\/$/, '');
  const [, rule = '', reason = ''] = /^lint\s+allow\b[ \t]*([^:\s]*)[ \t]*:?[ \t]*([^\n]*)/.exec(inner) ?? [];
  if (!/^lint\s+allow\b/.test(inner)) return undefined;
  return { rule, reason: reason.trim(), line, statements: new Set(statement ? [statement] : []) };
}

/** Allowances of a TypeScript file outside its SQL. */
export function commentsOfModule(content: string): Comment[] {
  return content.split('\n').flatMap((text, index) => {
    const comment = /\/\/\s*lint\s+allow\b.*$/.exec(text)?.[0];
    return comment === undefined ? [] : [{ text: comment, line: index + 1, statement: undefined }];
  });
}
