/** The cdktf app: one stack per environment. */
import { Fault } from './core/fault.ts';
import { warnings } from './environments/catalogue.ts';
import { environments } from './environments/index.ts';
import { describeProblem, SettingsError } from './environments/problems.ts';
import { resolve } from './environments/resolved.ts';
import { synthesize } from './stacks/synthesis.ts';

const print = (line: string) => process.stderr.write(`${line}\n`);

try {
  const settings = environments.settings();
  synthesize(settings.map(resolve));
  for (const warning of settings.flatMap(warnings)) print(`Warning: ${describeProblem(warning)}`);
} catch (error) {
  if (!(error instanceof Fault)) throw error;
  if (error instanceof SettingsError) for (const problem of error.problems) print(describeProblem(problem));
  else print(`${error.message} [${error.code}]`);
  process.exitCode = 1;
}
