/** All rules about settings: `docs/settings-rules.md` lists them, and a test demands a refused example of each. */
import type { Problem, RuleId } from './problems.ts';
import { candidateOf } from './resolved.ts';
import { problemOf, type Rule, type Rules, type RuleText } from './rule.ts';
import { acrossRules, problemsOfNames } from './rules/across.ts';
import { authenticationRules } from './rules/authentication.ts';
import { capacityRules } from './rules/capacity.ts';
import { computeRules } from './rules/compute.ts';
import { encryptionRules } from './rules/encryption.ts';
import { jobRules } from './rules/job.ts';
import { nameRules } from './rules/names.ts';
import { networkRules } from './rules/network.ts';
import { operationsRules } from './rules/operations.ts';
import { parameterRules } from './rules/parameters.ts';
import { replicaRules } from './rules/replica.ts';
import { textRules } from './rules/texts.ts';
import { warningRules } from './rules/warnings.ts';
import type { EnvironmentSettings } from './settings.ts';
import { shapeRules } from './shape.ts';

/** Rules about one environment, by family, in the order of the reports. */
const withinFamilies: Readonly<Record<string, Rules>> = {
  texts: textRules,
  names: nameRules,
  compute: computeRules,
  network: networkRules,
  authentication: authenticationRules,
  encryption: encryptionRules,
  parameters: parameterRules,
  replica: replicaRules,
  capacity: capacityRules,
  operations: operationsRules,
  job: jobRules,
};

/** The families of `environments/rules/`, by file name. */
export const ruleFamilies: Readonly<Record<string, Rules<RuleText>>> = {
  ...withinFamilies,
  across: acrossRules,
  warnings: warningRules,
};

/** The text of every rule by id, those about the shape of the settings included. */
export const ruleTexts: Rules<RuleText> = Object.assign({}, shapeRules, ...Object.values(ruleFamilies));

/** Every problem of one environment's settings. */
export function problemsWithin(settings: EnvironmentSettings, environment: string): Problem[] {
  return [
    ...Object.values(withinFamilies).flatMap((rules) => findProblems(rules, settings, environment)),
    ...problemsOfNames(settings).map((problem) => ({ ...problem, environment })),
  ];
}

/** Settings of one environment that are allowed and deserve attention. They are shown and never stop a synthesis. */
export function warnings(settings: EnvironmentSettings): Problem[] {
  return findProblems(warningRules, settings, settings.name);
}

function findProblems(rules: Rules, settings: EnvironmentSettings, environment: string): Problem[] {
  const candidate = candidateOf(settings);
  return (Object.entries(rules) as [RuleId, Rule][]).flatMap(([id, rule]) =>
    rule.check(candidate).map((finding) => problemOf(environment, id, rule, finding)),
  );
}
