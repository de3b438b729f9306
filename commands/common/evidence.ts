/** The parts of an evidence pack that come from the repository: the synthesized stack, the rules, the waivers. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fault } from '../../core/fault.ts';
import { acceptedControls } from '../../environments/accepted.ts';
import { problemsWithin, ruleTexts, warnings } from '../../environments/catalogue.ts';
import type { Environments } from '../../environments/collection.ts';
import { resolve } from '../../environments/resolved.ts';
import type { EnvironmentSettings } from '../../environments/settings.ts';
import type { RuleResult } from '../../pipeline/evidence/assess.ts';
import type { Waiver } from '../../pipeline/evidence/report.ts';
import { synthesize } from '../../stacks/synthesis.ts';

const projectDirectory = fileURLToPath(new URL('../..', import.meta.url));

export interface Sources {
  /** `cdk.tf.json` of the environment. */
  readonly stackText: string;
  readonly rules: Readonly<Record<string, RuleResult>>;
  readonly waivers: readonly Waiver[];
  /** The environment's file. */
  readonly settingsText: string;
  /** `package-lock.json`. */
  readonly lockText: string;
}

/**
 * Synthesizes the stack of an environment, and checks every rule about its settings.
 *
 * @param settingsFolder folder of the environment's file, from the project's root
 *
 * @throws SettingsError if a rule refuses the settings
 */
export function collectSources<Name extends string>(
  environments: Environments<Name>,
  environment: Name,
  settingsFolder = 'environments',
): Sources {
  const all = environments.settings();
  const folder = mkdtempSync(join(tmpdir(), 'llama-evidence-'));
  try {
    synthesize(all.map(resolve), folder);
    const stackText = readFileSync(join(folder, 'stacks', environment, 'cdk.tf.json'), 'utf8');
    return {
      stackText,
      rules: rulesOf(all, environment),
      waivers: waiversOf(environment),
      settingsText: readFileSync(join(projectDirectory, settingsFolder, `${environment}.ts`), 'utf8'),
      lockText: readFileSync(join(projectDirectory, 'package-lock.json'), 'utf8'),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * The stack that a deployment plans must be the one that the pack shows.
 *
 * @throws Fault (exit 2) if the stack in `cdktf.out` is another one
 */
export function requireSameStack(environment: string, stackText: string): void {
  const output = process.env['CDKTF_OUTDIR'] ?? join(projectDirectory, 'cdktf.out');
  const file = join(output, 'stacks', environment, 'cdk.tf.json');
  if (!existsSync(file) || readFileSync(file, 'utf8') === stackText) return;
  throw new Fault(
    'evidence/stack-differs',
    `${file} is not the stack of the sources`,
    'a pack about another stack than the deployed one proves nothing',
    'Run npm run synth, and look at the difference before you deploy.',
    { exitCode: 2 },
  );
}

/** Every rule with the fields that break it. Settings that break one are refused; a warning is allowed and shown. */
function rulesOf(
  all: readonly EnvironmentSettings[],
  environment: string,
): Readonly<Record<string, RuleResult>> {
  const settings = all.find(({ name }) => name === environment);
  const problems = settings ? [...problemsWithin(settings, environment), ...warnings(settings)] : [];
  return Object.fromEntries(
    Object.entries(ruleTexts).map(([id, { rule }]) => {
      const broken = problems
        .filter((one) => one.id === id)
        .map(({ field, value }) => `${field} is ${JSON.stringify(value)}`);
      return [id, { rule, broken }];
    }),
  );
}

function waiversOf(environment: string): readonly Waiver[] {
  return acceptedControls
    .filter((one) => one.environments?.includes(environment) ?? true)
    .map(({ control, reason, owner, expires, confirmed = null }) => ({
      ...{ control, reason, owner, expires, confirmed },
    }));
}
