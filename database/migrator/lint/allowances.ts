/**
 * What a file says is meant: `lint allow <rule>: <reason>` in a comment before a statement, inside it, or behind it on
 * its last line. In the head of a file, above its Up section, it speaks for the file.
 */
import type { Statement } from './rule.ts';
import type { Comment } from './source.ts';

export interface Allowance {
  readonly rule: string;
  readonly reason: string;
  readonly line: number;
  /** Statements of the file that it speaks of; empty in the head of the file. */
  readonly statements: ReadonlySet<Statement>;
}

/** The allowance that a comment is, if it is one. */
export function allowanceIn({ text, line, statement }: Comment): Allowance | undefined {
  const inner = text.replace(/^(--|\/\/|\/\*)\s*/, '').replace(/\s*\*\/$/, '');
  const [, rule = '', reason = ''] = /^lint\s+allow\b[ \t]*([^:\s]*)[ \t]*:?[ \t]*([^\n]*)/.exec(inner) ?? [];
  if (!/^lint\s+allow\b/.test(inner)) return undefined;
  return { rule, reason: reason.trim(), line, statements: new Set(statement ? [statement] : []) };
}

/** Comments of a TypeScript file; those inside its SQL are found there. */
export function commentsOfModule(content: string): Comment[] {
  return content.split('\n').flatMap((text, index) => {
    const comment = /\/\/\s*lint\s+allow\b.*$/.exec(text)?.[0];
    return comment === undefined ? [] : [{ text: comment, line: index + 1, statement: undefined }];
  });
}
