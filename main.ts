import { Fault } from './core/fault.ts';
import { environments } from './environments/index.ts';
import { describeProblem, SettingsError } from './environments/problems.ts';
import { warnings } from './environments/warnings.ts';
import { synthesize } from './stacks/synthesis.ts';

try {
  const all = environments();
  synthesize(all);
  for (const warning of all.flatMap(warnings)) process.stderr.write(`Warning: ${describeProblem(warning)}\n`);
} catch (error) {
  if (!(error instanceof SettingsError || error instanceof Fault)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
