/**
 * The cdktf app of a rehearsal with changed settings: `app.ts <file>`, where the file holds a {@link Synthesis}. It
 * writes the same stacks as `main.ts`, by the same code and under the same rules.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Fault } from '../../core/fault.ts';
import { parseChanged } from '../../environments/index.ts';
import { resolve } from '../../environments/resolved.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { synthesize } from '../../stacks/synthesis.ts';
import { type Changes, changeDocument } from './documents.ts';

export interface Synthesis extends Changes {
  readonly input: EnvironmentInput;
}

try {
  const { input, ...changes }: Synthesis = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
  const folder = synthesize([resolve(parseChanged(input))]);
  const file = path.join(folder, 'stacks', input.name, 'cdk.tf.json');
  writeFileSync(file, changeDocument(readFileSync(file, 'utf8'), changes));
} catch (error) {
  if (!(error instanceof Fault)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
