import { ExplainedError } from '../errors.ts';

/** One unusable field of a record. The value is not part of it, because it may be content of the tenant. */
export interface FieldProblem {
  /** Name of the field, or the path within it: `metadata.price`. */
  readonly field: string;
  /** The rule that the value breaks, as the end of a sentence: `is a uuid`. */
  readonly rule: string;
}

/** A record, a cursor or a serialised form that cannot be used. A retry does not help. */
export class RecordError extends ExplainedError {
  override readonly name = 'RecordError';
  /** Empty unless the code is `record/invalid`. */
  readonly problems: readonly FieldProblem[];
  constructor(
    code: `${string}/${string}`,
    what: string,
    why: string,
    remedy: string,
    problems: readonly FieldProblem[] = [],
  ) {
    super(code, what, why, remedy);
    this.problems = problems;
  }
}

/** @throws RecordError `record/invalid` if there is a problem */
export function refuse(kind: string, problems: readonly FieldProblem[]): void {
  if (problems.length === 0) return;
  throw new RecordError(
    'record/invalid',
    `The ${kind} cannot be stored`,
    problems.map(({ field, rule }) => `${field} ${rule}`).join('; '),
    'Correct the fields; nothing was written.',
    problems,
  );
}
