import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import util from 'node:util';
import { App, CONTEXT_ENV } from 'cdktf';
import type { ResolvedEnvironment } from '../environments/resolved.ts';
import { EnvironmentStack } from './environment-stack.ts';

/**
 * Writes one stack per environment. Writes nothing if one of them is invalid.
 *
 * @param outputFolder its parent must exist. @default - cdktf's: CDKTF_OUTDIR, or else `cdktf.out`
 * @returns the output folder
 */
export function synthesize(environments: readonly ResolvedEnvironment[], outputFolder?: string): string {
  return withoutTokenTraces(() => write(environments, outputFolder));
}

/**
 * cdktf records the stack trace of each token, and prints it only with `stackTraces: true`. Recording them took an eighth
 * of the synthesis. Errors keep their stack traces: cdktf creates those another way.
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

// cdktf calls `util.isArray`, which Node deprecates (DEP0044). The replacement is the one that Node's warning names.
Object.assign(util, { isArray: Array.isArray });

function write(environments: readonly ResolvedEnvironment[], outputFolder?: string): string {
  // Options are set here, not in the context of cdktf.json, which a run without the command line does not read.
  const app = new App({ stackTraces: false, ...(outputFolder !== undefined && { outdir: outputFolder }) });
  const stacks = environments.map((one) => new EnvironmentStack(app, one));
  // cdktf validates each stack just before it writes it. Without this line, a defect of the second stack would leave
  // the first one written.
  for (const stack of stacks) stack.runAllValidations();
  app.synth();
  removeStaleStacks(app.outdir, new Set(environments.map(({ name }) => name)));
  return app.outdir;
}

/**
 * Removes the folders of stacks that no longer exist. The cdktf command line removes them itself after the app, and ends
 * with ENOENT if one of them has gone.
 */
function removeStaleStacks(outputFolder: string, names: ReadonlySet<string>): void {
  if (process.env[CONTEXT_ENV] !== undefined) return;
  const folder = join(outputFolder, 'stacks');
  for (const entry of readdirSync(folder)) {
    // Only what a synthesis wrote: CDKTF_OUTDIR may name a folder whose `stacks` holds other things, like this project's.
    const written = existsSync(join(folder, entry, 'cdk.tf.json'));
    if (written && !names.has(entry)) rmSync(join(folder, entry), { recursive: true });
  }
}
