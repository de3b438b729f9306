/** All tests and a whole rehearsal in a copy of the project with other environments, regions and names. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duration } from '../../core/text.ts';
import { runProgram } from '../../local/processes/program.ts';
import { acme, makeAcme } from '../support/acme.ts';
import { Disproved, type Log, type Proved } from './proof.ts';

const steps: Readonly<Record<string, readonly string[]>> = {
  'the tests': ['node_modules/vitest/vitest.mjs', 'run', '--exclude', 'test/acme.test.ts'],
  'the rehearsal of the last environment': ['commands/llama-db.mjs', 'rehearse', '--quick'],
};

/** @throws Disproved with the output of the step that fails */
export async function proveAcme({ log }: { readonly log: Log }): Promise<Proved> {
  const folder = await mkdtemp(join(tmpdir(), 'acme-'));
  try {
    const names = makeAcme(folder);
    log(`${acme.name} of ${acme.organization} has ${names.join(', ')}`);
    const { CDKTF_OUTDIR: _, VITEST: __, ...environment } = process.env;
    for (const [name, parameters] of Object.entries(steps)) {
      const run = await runProgram(process.execPath, parameters, { cwd: folder, environment });
      if (run.exitCode !== 0) throw new Disproved(`${name} fail in ${folder}:\n${run.output}`);
      log(`${name}: ${duration(run.milliseconds)}`);
    }
    return { summary: `${Object.keys(steps).join(' and ')} pass with ${names.length} other environments` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
