// Duration: 10 s
/** The example of a service, started as a person starts it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { urlOf } from '../../local/postgres/address.ts';
import { until } from './fixture.ts';
import { type ReplicatedServers, replicatedServers } from './servers.ts';

let servers: ReplicatedServers;
let service: ChildProcess;
let folder: string;
let printed = '';
let base = '';

beforeAll(async () => {
  servers = await replicatedServers();
  folder = mkdtempSync(join(tmpdir(), 'llama-example-'));
  await servers.query(
    "INSERT INTO llama.tenant_configs (tenant_id, encryption_enabled) VALUES ('globex', false)",
  );
  // A group of its own, which gets signals as from a terminal: npm passes none on.
  service = spawn('npm', ['run', '--silent', 'example'], {
    detached: true,
    env: {
      ...process.env,
      DATABASE_URL: urlOf(servers.primary, servers.login, { database: 'llama' }),
      REPLICA_URL: urlOf(servers.standby, servers.login, { database: 'llama' }),
      WRAPPING_KEY_FILE: join(folder, 'key'),
      PORT: '0',
    },
  });
  for (const stream of [service.stdout, service.stderr])
    stream?.on('data', (chunk) => {
      printed += String(chunk);
    });
  await until(() => /http:\/\/[\d.:]+/.test(printed), 30_000);
  base = /http:\/\/[\d.:]+/.exec(printed)?.[0] ?? '';
}, 90_000);

afterAll(async () => {
  if (service?.exitCode === null && service.signalCode === null) signal('SIGKILL');
  await servers?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const signal = (name: NodeJS.Signals) => process.kill(-(service.pid ?? 0), name);

const call = async (path: string, token: string, more: RequestInit = {}) => {
  const answer = await fetch(base + path, {
    ...more,
    headers: { authorization: `Bearer ${token}`, ...more.headers },
  });
  const text = await answer.text();
  const isJson = answer.headers.get('content-type') === 'application/json';
  return {
    status: answer.status,
    body: isJson ? JSON.parse(text) : text,
    position: answer.headers.get('x-position'),
  };
};
const create = (token: string, body: object) =>
  call('/records', token, { method: 'POST', body: JSON.stringify(body) });

it('stores records of two tenants apart, encrypted for the one that wants it', async () => {
  const [one, other] = [
    await create('acme', { text: 'private words', email: 'a@example.org' }),
    await create('globex', { text: 'open words', email: 'a@example.org' }),
  ];
  expect([one.status, other.status]).toEqual([201, 201]);
  const found = await call(`/records/${one.body.id}`, 'acme', {
    headers: { 'x-position': one.position ?? '' },
  });
  expect(found.body).toMatchObject({
    tenant_id: 'acme',
    encrypted: true,
    mapped_data: { words: ['private', 'words'] },
  });
  expect((await call(`/records/${one.body.id}`, 'globex')).status).toBe(404);
  const rows = await servers.query<{ tenant: string; content: string }>(
    'SELECT tenant_id AS tenant, mapped_data::text AS content FROM llama.storage_records ORDER BY 1',
  );
  expect(rows.map(({ tenant, content }) => [tenant, /words/.test(content)])).toEqual([
    ['acme', false],
    ['globex', true],
  ]);
});

it('lists and searches what a client has written, on the replica', async () => {
  const { body, position } = await create('acme', { text: 'more', email: 'b@example.org' });
  const reading = { headers: { 'x-position': position ?? '' } };
  const listed = await call('/records', 'acme', reading);
  expect(listed.body.records.map(({ id }: { id: string }) => id)).toContain(body.id);
  const searched = await call('/records?email=b@example.org', 'acme', reading);
  expect(searched.body.records).toMatchObject([{ id: body.id, metadata: { email: 'b@example.org' } }]);
  const [row] = await servers.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name LIKE '%_read'",
    [],
    servers.standby,
  );
  expect(row?.n).toBeGreaterThan(0);
});

it('has metrics, and refuses unknown callers and bad input', async () => {
  const { status, body } = await call('/metrics', 'nobody');
  expect(status).toBe(200);
  expect(body).toMatch(/^llama_replica_following\{cell="default",target="near"\} 1$/m);
  expect((await call('/records', 'nobody')).status).toBe(401);
  expect((await call('/records?after=x', 'acme')).status).toBe(400);
  expect((await call('/records', 'acme', { method: 'POST', body: '{' })).status).toBe(400);
});

it('ends by itself after a signal', async () => {
  const ended = new Promise((resolve) => service.once('exit', resolve));
  signal('SIGTERM');
  await ended;
  await until(async () => (await servers.sessions()) === 0);
  expect(printed.split('\n').filter((line) => line !== '')).toHaveLength(1);
});
