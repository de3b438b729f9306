import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type LocalPostgres, startPostgres } from '../../../local/postgres/server.ts';

const root = process.getuid?.() === 0;

describe('starting and stopping', () => {
  it('runs two servers at once and leaves no file of either', async () => {
    const [first, second] = await Promise.all([startPostgres(), startPostgres({ databases: ['other'] })]);
    expect(first.port).not.toBe(second.port);
    await expect(databases(first)).resolves.toEqual(['postgres']);
    await expect(databases(second)).resolves.toEqual(['other', 'postgres']);
    await first.stop();
    await expect(databases(second)).resolves.toEqual(['other', 'postgres']);
    await second.stop();
    for (const server of [first, second]) await expectNothingOf(server.port, server.dataDirectory);
  });

  it('listens on loopback only', async () => {
    const server = await startPostgres();
    try {
      const settings = await ask(
        server,
        "SELECT name, setting FROM pg_settings WHERE name IN ('listen_addresses', 'unix_socket_directories')",
      );
      expect(settings).toEqual([
        { name: 'listen_addresses', setting: '127.0.0.1' },
        { name: 'unix_socket_directories', setting: '' },
      ]);
    } finally {
      await server.stop();
    }
  });

  it('replaces its configuration as a whole, so that a reader that has opened it sees the old one', async () => {
    const server = await startPostgres();
    const file = join(server.dataDirectory, 'postgresql.conf');
    const before = readFileSync(file, 'utf8');
    const open = openSync(file, 'r');
    try {
      await server.setParameter('work_mem', '9MB');
      expect(readFileSync(open, 'utf8')).toBe(before);
      expect(readFileSync(file, 'utf8')).toContain("work_mem = '9MB'");
    } finally {
      closeSync(open);
      await server.stop();
    }
  });

  it('keeps what was set while another parameter was refused', async () => {
    const server = await startPostgres();
    try {
      const refused = server.setParameter('work_mem', 'a lot');
      const accepted = server.setParameter('random_page_cost', '2');
      await expect(refused).rejects.toMatchObject({ code: 'local-postgres/parameter-refused' });
      await accepted;
      await server.setParameter('work_mem', '9MB');
      expect(await ask(server, 'SHOW random_page_cost')).toEqual([{ random_page_cost: '2' }]);
    } finally {
      await server.stop();
    }
  });

  it('keeps committed rows after a restart and after a crash', async () => {
    const server = await startPostgres({ durable: true });
    try {
      await ask(server, 'CREATE TABLE public.kept AS SELECT 1 AS n');
      await server.restart();
      await ask(server, 'INSERT INTO public.kept VALUES (2)');
      await server.restart({ crash: true, settings: { work_mem: '9MB' } });
      expect(await ask(server, 'SELECT n FROM public.kept ORDER BY n')).toEqual([{ n: 1 }, { n: 2 }]);
      expect(await ask(server, 'SHOW work_mem')).toEqual([{ work_mem: '9MB' }]);
      expect(server.log()).toMatch(/was not properly shut down; automatic recovery in progress/);
    } finally {
      await server.stop();
    }
  });

  it('reports a refused setting and leaves no file', async () => {
    const temporary = temporaryDirectory(0o711);
    vi.stubEnv('TMPDIR', temporary);
    await expect(startPostgres({ settings: { shared_buffers: '75% of memory' } })).rejects.toThrow(
      /^The local PostgreSQL did not start: .*shared_buffers/,
    );
    expect(readdirSync(temporary)).toEqual([]);
    rmSync(temporary, { recursive: true });
  });

  it('reports a major version that is not installed', async () => {
    await expect(startPostgres({ major: 9 })).rejects.toMatchObject({
      code: 'local-postgres/major-not-installed',
      what: expect.stringContaining('9'),
    });
  });

  it.each([16, 18])('starts PostgreSQL %i if that is required', async (major) => {
    const server = await startPostgres({ major });
    try {
      expect(await ask(server, 'SHOW server_version')).toEqual([
        { server_version: expect.stringMatching(new RegExp(`^${major}\\.`)) },
      ]);
    } finally {
      await server.stop();
    }
  });
});

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('when the program that started it ends', () => {
  it.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)(
    'by %s, the server ends and its files are removed',
    async (signal) => {
      const program = await startProgram();
      program.child.kill(signal);
      await once(program.child, 'exit');
      await expectNothingOf(program.port, program.dataDirectory);
    },
  );

  it('by itself without stopping the server, the server ends and its files are removed', async () => {
    const program = await startProgram();
    program.child.stdin?.end();
    const [status] = await once(program.child, 'exit');
    expect(status).toBe(0);
    await expectNothingOf(program.port, program.dataDirectory);
  });

  it('by SIGKILL during initdb, no process and no file is left', async () => {
    const temporary = temporaryDirectory(0o711);
    for (const delayMs of [0, 150, 300]) {
      const child = runProgram({ TMPDIR: temporary });
      await until(() => readdirSync(temporary).some((name) => name.startsWith('llama-db-postgres-')));
      await sleep(delayMs);
      child.kill('SIGKILL');
      await once(child, 'exit');
      await until(() => !readdirSync(temporary).some((name) => name.startsWith('llama-db-postgres-')));
    }
    rmSync(temporary, { recursive: true });
  });
});

describe('accounts', () => {
  it('starts as an ordinary user', async (context) => {
    const account = root ? { uid: 65_534, gid: 65_534 } : {};
    const program = await startProgram(account).catch((error: Error) => {
      // Other users may be unable to read the project in root's home.
      if (root && /EACCES|permission denied/i.test(error.message))
        return context.skip(`as root: ${error.message}`);
      throw error;
    });
    expect(program.user).not.toBe(0);
    program.child.stdin?.end();
    await once(program.child, 'exit');
    await expectNothingOf(program.port, program.dataDirectory);
  });

  it("starts as root with another account's files, even if the temporary directory is closed to that account", async (context) => {
    if (!root) context.skip('needs root');
    const temporary = temporaryDirectory(0o700);
    vi.stubEnv('TMPDIR', temporary);
    const server = await startPostgres();
    try {
      expect(await databases(server)).toEqual(['postgres']);
      expect(statSync(server.dataDirectory).uid).not.toBe(0);
      expect(readdirSync(temporary)).toEqual([]);
    } finally {
      await server.stop();
      rmSync(temporary, { recursive: true });
    }
  });

  it('lets only the server read passwords and keys', async () => {
    const server = await startPostgres();
    try {
      const files = readdirSync(dirname(server.dataDirectory)).map((name) =>
        join(dirname(server.dataDirectory), name),
      );
      const keys = ['server.key', 'postgresql.conf', 'pg_hba.conf'].map((name) =>
        join(server.dataDirectory, name),
      );
      const open = [...files, ...keys].filter(
        (path) => statSync(path).isFile() && path !== server.caFile && (statSync(path).mode & 0o077) !== 0,
      );
      expect(open).toEqual([]);
      expect(statSync(server.dataDirectory).mode & 0o077).toBe(0);
      const secrets = Object.values(server.passwords);
      expect(secrets.filter((secret) => server.log().includes(secret))).toEqual([]);
    } finally {
      await server.stop();
    }
  });
});

function temporaryDirectory(mode: number): string {
  const path = mkdtempSync(join(tmpdir(), 'lifecycle-test-'));
  chmodSync(path, mode);
  return path;
}

async function ask<Row>(server: LocalPostgres, sql: string): Promise<Row[]> {
  const client = new pg.Client(server.connection('superuser', { database: 'postgres' }));
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function databases(server: LocalPostgres): Promise<string[]> {
  const rows = await ask<{ datname: string }>(
    server,
    'SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY datname',
  );
  return rows.map((row) => row.datname);
}

/** A program that starts a server, prints its address, and at the end of its input ends without stopping it. */
const source = `
  import { startPostgres } from ${JSON.stringify(join(import.meta.dirname, '../../../local/postgres/server.ts'))};
  const server = await startPostgres();
  process.stdout.write(JSON.stringify({ port: server.port, dataDirectory: server.dataDirectory, user: process.getuid() }) + '\\n');
  process.stdin.resume();
  process.stdin.once('end', () => process.exit());
`;

function runProgram(
  environment: Record<string, string> = {},
  account: { uid?: number; gid?: number } = {},
): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source], {
    ...account,
    cwd: join(import.meta.dirname, '../../..'),
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
}

interface Program {
  readonly child: ChildProcess;
  readonly port: number;
  readonly dataDirectory: string;
  readonly user: number;
}

async function startProgram(account: { uid?: number; gid?: number } = {}): Promise<Program> {
  const child = runProgram({}, account);
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => resolve({ child, ...JSON.parse(chunk.toString()) }));
    child.once('error', reject);
    child.once('exit', () => reject(new Error(said)));
  });
}

async function expectNothingOf(port: number, dataDirectory: string): Promise<void> {
  await until(() => !existsSync(dirname(dataDirectory)));
  await until(async () => !(await listens(port)));
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Fails after 15 seconds. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await condition())) {
    if (Date.now() > deadline) expect.fail(`never came true: ${condition.toString()}`);
    await sleep(50);
  }
}
