import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { environments } from '../../../environments/index.ts';

const project = join(import.meta.dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'start-test-'));
const runs: Run[] = [];
afterEach(() => {
  for (const run of runs.splice(0)) run.child.kill('SIGKILL');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A run of `npm start` with its output so far. */
class Run {
  readonly child: ChildProcess;
  output = '';
  readonly ended: Promise<number | null>;

  constructor(args: readonly string[], environment: Record<string, string> = {}) {
    this.child = spawn(process.execPath, ['commands/llama-db.mjs', 'start', ...args], {
      cwd: project,
      env: { ...process.env, CDKTF_OUTDIR: folder, NO_COLOR: '1', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    runs.push(this);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        this.output += chunk;
      });
    }
    this.ended = once(this.child, 'close').then(([status]) => status);
  }

  /** Resolves when the output matches; fails if the run ends first. */
  async prints(pattern: RegExp): Promise<void> {
    const ended = this.ended.then((status) => ({ status }));
    while (!pattern.test(this.output)) {
      const end = await Promise.race([ended, sleep(50)]);
      if (end && !pattern.test(this.output)) expect.fail(`ended with ${end.status}: ${this.output}`);
    }
  }
}

const last = environments.all().at(-1);
const database = last?.database.name;

describe('npm start', () => {
  it('builds the database of the last environment, prints the paths, and leaves nothing running', async () => {
    const run = new Run([]);
    const status = await run.ended;
    expect(status, run.output).toBe(0);
    for (const environment of environments.names) {
      const [, path] = new RegExp(`^${environment} +(\\S+)$`, 'm').exec(run.output) ?? [];
      expect(JSON.parse(readFileSync(resolve(project, path ?? ''), 'utf8'))).toHaveProperty('resource');
    }
    expect(run.output).toContain(`over TLS as ${last?.writer.name}.postgres.database.azure.com`);
    expect(run.output).toMatch(/Applied 0001_extensions/);
    expect(run.output).toMatch(/logs in over TLSv1\.3, reads [1-9]\d* tables/);
    expect(run.output).toMatch(
      /^database +[1-9]\d* migrations applied, verified: [1-9]\d* checks passed, 0 failed/m,
    );
    expect(run.output).not.toMatch(/postgresql:\/\//);
  }, 90_000);

  it('with --keep prints how to connect, and serves until it is interrupted', async () => {
    const run = new Run([last?.name ?? '', '--keep']);
    await run.prints(/Ctrl-C ends it/);
    const urls = new Map(
      [...run.output.matchAll(/^(superuser|migrations|application) +(postgresql:\S+)$/gm)].map(
        ([, who = '', url = '']) => [who, url],
      ),
    );
    const who = 'SELECT current_user AS name, current_database() AS database';
    const answers = [];
    for (const [, url] of urls) answers.push(await ask(url, who));
    expect(answers).toEqual([
      { name: 'azuresu', database },
      { name: last?.authentication.administrators[0].name, database },
      { name: last?.database.logins.find(({ role }) => role === 'application_role')?.name, database },
    ]);
    expect(await ask(urls.get('superuser') ?? '', 'SHOW fsync')).toEqual({ fsync: 'on' });
    const authority = new URL(urls.get('superuser') ?? '').searchParams.get('sslrootcert') ?? '';
    expect(existsSync(authority)).toBe(true);

    run.child.kill('SIGINT');
    expect(await run.ended).toBe(0);
    expect(existsSync(dirname(authority))).toBe(false);
  }, 90_000);

  it('reports an interruption and leaves nothing', async () => {
    const temporary = mkdtempSync(join(folder, 'interrupted-'));
    const run = new Run([], { CDKTF_OUTDIR: temporary });
    await run.prints(/Run the post-deploy step/);
    const [, port] = /127\.0\.0\.1:(\d+)/.exec(run.output) ?? [];
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(130);
    expect(run.output).toMatch(/^Interrupted: /m);
    await expect(ask(`postgresql://nobody@127.0.0.1:${port}/postgres`, 'SELECT 1')).rejects.toThrow(
      /ECONNREFUSED/,
    );
  }, 90_000);

  it('fails in one line for an environment that does not exist', async () => {
    const run = new Run(['moon']);
    expect(await run.ended).toBe(2);
    expect(run.output).toMatch(
      new RegExp(
        `^There is no environment moon: .* ${environments.names.join(', ')}.*\\[environment/unknown\\]\\n$`,
      ),
    );
  });

  it('fails in one line if the server programs are missing', async () => {
    const run = new Run([], { LLAMA_DB_POSTGRES_BINARIES: '/nowhere' });
    expect(await run.ended).toBe(1);
    expect(run.output).toMatch(
      /^LLAMA_DB_POSTGRES_BINARIES names \/nowhere: .* \[local-postgres\/bad-binaries\]$/m,
    );
  }, 60_000);
});

async function ask(url: string, sql: string): Promise<Record<string, unknown>> {
  const client = new pg.Client(url);
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows[0];
  } finally {
    await client.end();
  }
}
