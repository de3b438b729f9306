import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { App } from 'cdktf';
import type { EnvironmentSettings } from '../environments/settings.ts';
import { EnvironmentStack } from './environment-stack.ts';

/**
 * Writes one stack an environment, nothing when one of them cannot be.
 *
 * @param outputFolder its parent must exist. @default - cdktf's: CDKTF_OUTDIR, or else `cdktf.out`
 * @returns the output folder
 */
export function synthesize(settings: readonly EnvironmentSettings[], outputFolder?: string): string {
  return withoutTokenTraces(() => write(settings, outputFolder));
}

/**
 * cdktf keeps where each token was made, a stack trace of any depth that only `stackTraces: true` would ever print:
 * collecting them took an eighth of the synthesis. Errors are not made that way and keep theirs.
 */
function withoutTokenTraces<T>(work: () => T): T {
  const { captureStackTrace } = Error;
  Error.captureStackTrace = () => {};
  try {
    return work();
  } finally {
    Error.captureStackTrace = captureStackTrace;
  }
}

function write(settings: readonly EnvironmentSettings[], outputFolder?: string): string {
  // Everything is said here and nothing in cdktf.json's context, which a run without the command line does not read.
  const app = new App({ stackTraces: false, ...(outputFolder !== undefined && { outdir: outputFolder }) });
  const stacks = settings.map((one) => new EnvironmentStack(app, one));
  // cdktf checks a stack just before it writes it: without this, a second stack's defect leaves the first written.
  for (const stack of stacks) stack.runAllValidations();
  app.synth();
  removeStaleStacks(app.outdir, new Set(settings.map(({ name }) => name)));
  return app.outdir;
}

/** Folders of stacks that are no more, as the cdktf command line removes them. */
function removeStaleStacks(outputFolder: string, names: ReadonlySet<string>): void {
  const folder = join(outputFolder, 'stacks');
  for (const entry of readdirSync(folder)) {
    // Only what a synthesis wrote: CDKTF_OUTDIR may name a folder whose `stacks` holds other things, as this one's.
    const written = existsSync(join(folder, entry, 'cdk.tf.json'));
    if (written && !names.has(entry)) rmSync(join(folder, entry), { recursive: true });
  }
}
