/** Runs the search for planted secrets (test/runtime/encryption/canaries.test.ts) on every supported PostgreSQL. */
import { join } from 'node:path';
import { supportedVersions } from '../../azure/versions.ts';
import { binariesOf } from '../../local/postgres/installation.ts';
import { runProgram } from '../../local/processes/program.ts';
import { Disproved, type Log, type Proved } from './proof.ts';

/** @throws Disproved if a server wrote a planted secret anywhere */
export async function proveCanaries({ log }: { readonly log: Log }): Promise<Proved> {
  const root = join(import.meta.dirname, '../..');
  const failed: number[] = [];
  for (const major of supportedVersions) {
    const { exitCode } = await runProgram(
      'npx',
      ['vitest', 'run', 'test/runtime/encryption/canaries.test.ts'],
      {
        cwd: root,
        environment: { ...process.env, LLAMA_DB_POSTGRES_BINARIES: await binariesOf(major) },
        onOutput: ({ text }) => log(text),
      },
    );
    if (exitCode !== 0) failed.push(major);
  }
  if (failed.length > 0) throw new Disproved(`the search failed on PostgreSQL ${failed.join(', ')}`);
  return { summary: `no planted secret was found on PostgreSQL ${supportedVersions.join(', ')}` };
}
