import { Fault } from '../core/fault.ts';
import { counted } from '../core/text.ts';

/** Stable name of a rule: `family/what-must-hold`. Tests and `docs/settings-rules.md` refer to it. */
export type RuleId = `${string}/${string}`;

/** One defect of one environment's settings, with everything that its author needs to correct it. */
export interface Problem {
  /** Id of the rule that does not hold. */
  readonly id: RuleId;
  readonly environment: string;
  /** Path of the field, as in the settings file: `server.backup.retentionDays`. */
  readonly field: string;
  /** The value in the settings. It is printed as it is, because settings hold no secret. */
  readonly value: unknown;
  /** The requirement. */
  readonly rule: string;
  /** Where the rule comes from: a link, a document or a rule id. */
  readonly source: string;
  /** Advice, if the rule is not enough. @default - none */
  readonly remedy?: string;
}

/** A problem as one line: `<file>: <field> is <value>: <rule>. <remedy> (<source>) [<id>]`. */
export function describeProblem({ id, environment, field, value, rule, source, remedy }: Problem): string {
  const shown = value === undefined ? 'not set' : (JSON.stringify(value) ?? String(value));
  const advice = remedy === undefined ? '' : ` ${remedy}`;
  return `environments/${environment}.ts: ${field} is ${shown}: ${rule}.${advice} (${source}) [${id}]`;
}

/** All problems of all environments. Thrown before the first file of a synthesis is written. */
export class SettingsError extends Fault {
  constructor(readonly problems: readonly Problem[]) {
    super(
      'settings/refused',
      `The settings have ${counted(problems.length, 'problem')}`,
      problems.map(describeProblem).join(' '),
      'Correct the settings and run the command again.',
      { exitCode: 2 },
    );
  }
}
