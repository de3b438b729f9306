/**
 * The cdktf app of a rehearsal whose settings differ from the project's own: `app.ts <file>`, where the file holds a
 * {@link Synthesis}. It writes the same stacks, by the same code and under the same rules, as `main.ts` does.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Fault } from '../../core/fault.ts';
import { development } from '../../environments/development.ts';
import { parseEnvironments } from '../../environments/index.ts';
import { SettingsError } from '../../environments/problems.ts';
import { production } from '../../environments/production.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { staging } from '../../environments/staging.ts';
import { synthesize } from '../../stacks/synthesis.ts';
import { type Changes, changed } from './documents.ts';

export interface Synthesis extends Changes {
  readonly input: EnvironmentInput;
}

try {
  const { input, ...changes }: Synthesis = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
  const own = [development, staging, production].filter(({ name }) => name !== input.name);
  const settings = parseEnvironments([...own, input]).filter(({ name }) => name === input.name);
  const folder = synthesize(settings);
  const file = path.join(folder, 'stacks', input.name, 'cdk.tf.json');
  writeFileSync(file, changed(readFileSync(file, 'utf8'), changes));
} catch (error) {
  if (!(error instanceof SettingsError || error instanceof Fault)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
