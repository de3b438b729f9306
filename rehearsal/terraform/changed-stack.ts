/** The stack of a rehearsal with changed settings, by the same code and under the same rules as that of `main.ts`. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { environments } from '../../environments/index.ts';
import { resolve } from '../../environments/resolved.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { synthesize } from '../../stacks/synthesis.ts';
import { type Changes, changeDocument } from './documents.ts';

export interface Synthesis extends Changes {
  /** @default - the settings of the scratch project, by its own sources */
  readonly input?: EnvironmentInput;
}

/**
 * Writes the stack.
 *
 * @param outputFolder @default - cdktf's: CDKTF_OUTDIR, or else `cdktf.out`
 * @throws Fault if the settings break a rule
 */
export function writeChangedStack({ input, ...changes }: Synthesis, outputFolder?: string): void {
  if (!input) throw new Error('the sources of the scratch project synthesize themselves');
  const folder = synthesize([resolve(environments.changed(input))], outputFolder);
  const file = path.join(folder, 'stacks', input.name, 'cdk.tf.json');
  writeFileSync(file, changeDocument(readFileSync(file, 'utf8'), changes));
}
