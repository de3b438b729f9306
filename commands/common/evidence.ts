/** The parts of an evidence pack that come from the repository: the synthesized stack, the rules, the waivers. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fault } from '../../core/fault.ts';
import { acceptedControls } from '../../environments/accepted.ts';
import { problemsWithin, ruleTexts, warnings } from '../../environments/catalogue.ts';
import { type EnvironmentName, environments } from '../../environments/index.ts';
import { resolve } from '../../environments/resolved.ts';
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
 * @throws SettingsError if a rule refuses the settings
 */
export function collectSources(environment: EnvironmentName): Sources {
  const all = environments.settings();
  const folder = mkdtempSync(join(tmpdir(), 'llama-evidence-'));
  try {
    synthesize(all.map(resolve), folder);
    const stackText = readFileSync(join(folder, 'stacks', environment, 'cdk.tf.json'), 'utf8');
    return {
      stackText,
      rules: rulesOf(environment),
      waivers: waiversOf(environment),
      settingsText: readFileSync(join(projectDirectory, 'environments', `${environment}.ts`), 'utf8'),
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
export function requireSameStack(environment: EnvironmentName, stackText: string): void {
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
function rulesOf(environment: EnvironmentName): Readonly<Record<string, RuleResult>> {
  const settings = environments.settings().find(({ name }) => name === environment);
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

function waiversOf(environment: EnvironmentName): readonly Waiver[] {
  return acceptedControls
    .filter((one) => one.environments.includes(environment))
    .map(({ control, reason, owner, expires }) => ({ control, reason, owner, expires }));
}
