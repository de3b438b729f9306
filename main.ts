import { Fault } from './database/fault.ts';
import { environments } from './environments/index.ts';
import { SettingsError } from './environments/problems.ts';
import { synthesize } from './stacks/synthesis.ts';

try {
  synthesize(environments());
} catch (error) {
  if (!(error instanceof SettingsError || error instanceof Fault)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
