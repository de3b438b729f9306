import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, describe, expect, it } from 'vitest';

const project = join(import.meta.dirname, '../../..');
const output = mkdtempSync(join(tmpdir(), 'start-test-'));
const runs: Run[] = [];
afterEach(() => {
  for (const run of runs.splice(0)) run.child.kill('SIGKILL');
});
afterAll(() => rmSync(output, { recursive: true }));

/** A run of `npm start`, with what it has printed so far. */
class Run {
  readonly child: ChildProcess;
  said = '';
  readonly ended: Promise<number | null>;

  constructor(args: readonly string[], environment: Record<string, string> = {}) {
    this.child = spawn(process.execPath, ['commands/llama-db.mjs', 'start', ...args], {
      cwd: project,
      env: { ...process.env, CDKTF_OUTDIR: output, NO_COLOR: '1', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    runs.push(this);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        this.said += chunk;
      });
    }
    this.ended = once(this.child, 'close').then(([status]) => status);
  }

  /** Resolves once it has printed that; fails when it ends first. */
  async says(pattern: RegExp): Promise<void> {
    const ended = this.ended.then((status) => ({ status }));
    while (!pattern.test(this.said)) {
      const end = await Promise.race([ended, sleep(50)]);
      if (end && !pattern.test(this.said)) expect.fail(`ended with ${end.status}: ${this.said}`);
    }
  }
}

describe('npm start', () => {
  it('builds the database of production, says where everything is, and leaves nothing running', async () => {
    const run = new Run([]);
    const status = await run.ended;
    expect(status, run.said).toBe(0);
    for (const environment of ['development', 'staging', 'production']) {
      const [, path] = new RegExp(`^${environment} +(\\S+)$`, 'm').exec(run.said) ?? [];
      expect(JSON.parse(readFileSync(resolve(project, path ?? ''), 'utf8'))).toHaveProperty('resource');
    }
    expect(run.said).toMatch(/over TLS as llama-mapper-production\.postgres\.database\.azure\.com/);
    expect(run.said).toMatch(/Applied 0001_extensions/);
    expect(run.said).toMatch(/logs in over TLSv1\.3, reads [1-9]\d* tables/);
    expect(run.said).toMatch(
      /^database +[1-9]\d* migrations applied, verified: [1-9]\d* checks passed, 0 failed/m,
    );
    expect(run.said).not.toMatch(/postgresql:\/\//);
  }, 90_000);

  it('with --keep prints how to connect, serves until it is interrupted, and then is gone', async () => {
    const run = new Run(['staging', '--keep']);
    await run.says(/Ctrl-C ends it/);
    const urls = new Map(
      [...run.said.matchAll(/^(superuser|migrations|application) +(postgresql:\S+)$/gm)].map(
        ([, who = '', url = '']) => [who, url],
      ),
    );
    const who = 'SELECT current_user AS name, current_database() AS database';
    const answers = [];
    for (const [, url] of urls) answers.push(await ask(url, who));
    expect(answers).toEqual([
      { name: 'azuresu', database: 'llama_mapper' },
      { name: expect.stringMatching(/admins-staging$/), database: 'llama_mapper' },
      { name: expect.stringMatching(/application-staging$/), database: 'llama_mapper' },
    ]);
    expect(await ask(urls.get('superuser') ?? '', 'SHOW fsync')).toEqual({ fsync: 'on' });
    const authority = new URL(urls.get('superuser') ?? '').searchParams.get('sslrootcert') ?? '';
    expect(existsSync(authority)).toBe(true);

    run.child.kill('SIGINT');
    expect(await run.ended).toBe(0);
    expect(existsSync(dirname(authority))).toBe(false);
  }, 90_000);

  it('interrupted on its way says so and leaves nothing', async () => {
    const temporary = mkdtempSync(join(output, 'interrupted-'));
    const run = new Run([], { CDKTF_OUTDIR: temporary });
    await run.says(/Run the post-deploy step/);
    const [, port] = /127\.0\.0\.1:(\d+)/.exec(run.said) ?? [];
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(130);
    expect(run.said).toMatch(/^Interrupted: /m);
    await expect(ask(`postgresql://nobody@127.0.0.1:${port}/postgres`, 'SELECT 1')).rejects.toThrow(
      /ECONNREFUSED/,
    );
  }, 90_000);

  it('fails in one line for an environment that does not exist', async () => {
    const run = new Run(['moon']);
    expect(await run.ended).toBe(2);
    expect(run.said).toMatch(/^There is no environment moon: .*development, staging, production\. .*\n$/);
  });

  it('fails in one line where the server programs are missing', async () => {
    const run = new Run([], { LLAMA_DB_POSTGRES_BINARIES: '/nowhere' });
    expect(await run.ended).toBe(1);
    expect(run.said).toMatch(
      /^LLAMA_DB_POSTGRES_BINARIES names \/nowhere: there is no bin\/postgres in it\. .*$/m,
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
