/** One thing wrong with one environment's settings, with everything its author needs to mend it. */
export interface Problem {
  readonly environment: string;
  /** Path of the field, as written in the settings file: `server.backup.retentionDays`. */
  readonly field: string;
  /** The refused value; secrets never reach settings, so it is printed as it is. */
  readonly value: unknown;
  /** What must hold. */
  readonly rule: string;
  /** Where the rule comes from: a link, a document or a rule id. */
  readonly source: string;
  /** What to do, when the rule alone does not say it. */
  readonly remedy?: string;
}

export function describeProblem(problem: Problem): string {
  const value =
    problem.value === undefined ? 'nothing' : (JSON.stringify(problem.value) ?? String(problem.value));
  const remedy = problem.remedy ? ` ${problem.remedy}` : '';
  return `environments/${problem.environment}.ts: ${problem.field} is ${value}: ${problem.rule}.${remedy} [${problem.source}]`;
}

/** All problems of all environments. Thrown before the first file of the synthesis is written. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map(describeProblem).join('\n'));
  }
}
