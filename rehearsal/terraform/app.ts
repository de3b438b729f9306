/** The cdktf app of a rehearsal with changed settings: `app.ts <file>`, where the file holds a `Synthesis`. */
import { readFileSync } from 'node:fs';
import { Fault } from '../../core/fault.ts';
import { writeChangedStack } from './changed-stack.ts';

try {
  writeChangedStack(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')));
} catch (error) {
  if (!(error instanceof Fault)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
