import { randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { insertRecord, LocalKey, openRecord, type StoredRecord } from '../../runtime/encryption/index.ts';
import { type EncryptionFixture, sourceHash, startEncryption } from '../runtime/encryption/fixture.ts';
import { randomName } from '../support/postgres.ts';
import { run, start } from './run.ts';

let fixture: EncryptionFixture;
// Each command is a process of its own.
vi.setConfig({ testTimeout: 120_000 });

beforeAll(async () => {
  fixture = await startEncryption();
});
afterAll(() => fixture.stop());

/** Records of a tenant, each with its number in it. */
async function plant(tenant: string, count: number): Promise<void> {
  const encryption = fixture.encryption();
  await fixture.within(tenant, async (client) => {
    for (let number = 0; number < count; number += 1)
      await insertRecord(client, encryption, {
        tenantId: tenant,
        mappedData: { number },
        metadata: { about: number },
        sourceDataHash: sourceHash,
        modelVersion: 'm',
        detectorType: 'd',
      });
  });
}

async function read(tenant: string, wrapping = keyring()): Promise<{ numbers: number[]; stale: number }> {
  const encryption = fixture.encryption({ wrapping });
  const { rows } = await fixture.within(tenant, (client) =>
    client.query<StoredRecord>('SELECT tenant_id, id, mapped_data, metadata FROM llama.storage_records'),
  );
  const opened = await Promise.all(rows.map((row) => openRecord(encryption, row)));
  for (const { mappedData, metadata } of opened)
    expect(metadata).toEqual({ about: (mappedData as { number: number }).number });
  return {
    numbers: opened.map(({ mappedData }) => (mappedData as { number: number }).number).sort((a, b) => a - b),
    stale: opened.filter(({ stale }) => stale).length,
  };
}

const file = () => fixture.wrappingFile.slice('local:'.length);
const keyring = () => LocalKey.fromFile(file());
const keys = (...args: string[]) => run(['keys', ...args, '--url', fixture.database.url()]);
const withKey = () => ['--wrapping-key', fixture.wrappingFile];
const states = (tenant: string) =>
  fixture
    .asAdmin<{ state: string }>(
      "SELECT state FROM llama.data_keys WHERE tenant_id = $1 AND purpose = 'encryption' ORDER BY created_at",
      [tenant],
    )
    .then((rows) => rows.map(({ state }) => state));
const expected = (count: number) => Array.from({ length: count }, (_, number) => number);

describe('llama-db keys', () => {
  it('replaces a key, encrypts the records again, and retires the old key when no application can still use it', async () => {
    const tenant = randomName('tenant');
    await plant(tenant, 25);
    const first = await keys('rotate', ...withKey(), '--tenant', tenant, '--batch-size', '10', '--json');
    expect(first.stderr).toContain('25 records');
    expect(JSON.parse(first.stdout)).toMatchObject({ replaced: 1, records: 25, retired: 0, more: false });
    expect(await states(tenant)).toEqual(['retiring', 'active']);
    expect(await read(tenant)).toEqual({ numbers: expected(25), stale: 0 });
    const second = await keys('rotate', ...withKey(), '--grace', '0', '--json');
    expect(JSON.parse(second.stdout)).toMatchObject({ replaced: 0, records: 0, retired: 1, destroyed: 0 });
    expect(await states(tenant)).toEqual(['retired', 'active']);
    const trail = await fixture.asAdmin(
      `SELECT DISTINCT user_id FROM llama.audit_trail WHERE tenant_id = $1 AND operation = 'UPDATE'`,
      [tenant],
    );
    expect(trail).toEqual([{ user_id: fixture.database.server.administrator }]);
  });

  it('keeps a replaced key as long as the audit trail may contain its values', async () => {
    const tenant = randomName('tenant');
    await plant(tenant, 2);
    await keys('rotate', ...withKey(), '--tenant', tenant, '--grace', '0');
    await keys('rotate', ...withKey(), '--grace', '0');
    expect(await states(tenant)).toEqual(['retired', 'active']);
    const superuser = await fixture.database.connect('superuser');
    const age = (since: string) =>
      superuser.query(
        `UPDATE llama.data_keys SET state_since = ${since} WHERE tenant_id = $1 AND state = 'retired'`,
        [tenant],
      );
    await age("now() - interval '2 days'");
    await keys('rotate', ...withKey(), '--grace', '0');
    expect(await states(tenant)).toEqual(['retired', 'active']);
    // Retired before the oldest month of the trail.
    await age("date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '2 months'");
    const done = await keys('rotate', ...withKey(), '--grace', '0', '--json');
    expect(JSON.parse(done.stdout)).toMatchObject({ destroyed: 1 });
    expect(await states(tenant)).toEqual(['destroyed', 'active']);
    expect(await read(tenant)).toMatchObject({ numbers: expected(2) });
  });

  it('wraps all keys with a new wrapping key without changing a record, and reports before and after which keys are due', async () => {
    const tenant = randomName('tenant');
    await plant(tenant, 3);
    const before = await fixture.asAdmin(
      'SELECT id, mapped_data, updated_at FROM llama.storage_records ORDER BY id',
    );
    appendFileSync(file(), `${randomBytes(32).toString('base64')}\n`);
    const due = await keys('status', ...withKey());
    expect(due.code).toBe(1);
    expect(due.stdout).toContain('Due: llama-db keys rewrap');
    const done = await keys('rewrap', ...withKey(), '--json');
    const { rewrapped, version } = JSON.parse(done.stdout);
    expect(rewrapped).toBeGreaterThan(0);
    expect(version).toBe(await keyring().newest());
    const uses = await fixture.asAdmin(
      'SELECT DISTINCT wrapping_key_version AS version FROM llama.data_keys WHERE wrapped IS NOT NULL',
    );
    expect(uses).toEqual([{ version }]);
    expect(
      await fixture.asAdmin('SELECT id, mapped_data, updated_at FROM llama.storage_records ORDER BY id'),
    ).toEqual(before);
    expect(await read(tenant)).toEqual({ numbers: expected(3), stale: 0 });
    expect(JSON.parse((await keys('rewrap', ...withKey(), '--json')).stdout)).toMatchObject({ rewrapped: 0 });
  });

  it('loses no value if it is killed at any moment', async () => {
    const tenant = randomName('tenant');
    await plant(tenant, 60);
    const arguments_ = [
      ...['keys', 'rotate', '--url', fixture.database.url(), ...withKey()],
      ...['--all', '--batch-size', '5', '--grace', '0'],
    ];
    const whole = start(arguments_);
    const begun = performance.now();
    await whole.finished;
    const length = performance.now() - begun;
    for (let round = 0; round < 5; round += 1) {
      const running = start(arguments_);
      // The first third is the start of the program.
      await sleep(length * (0.35 + Math.random() * 0.6));
      running.kill();
      await running.finished;
      expect((await read(tenant)).numbers, `after kill ${round}`).toEqual(expected(60));
      expect((await states(tenant)).filter((state) => state === 'active')).toHaveLength(1);
    }
    const last = await keys('rotate', ...withKey(), '--grace', '0', '--json');
    expect(JSON.parse(last.stdout), last.stderr).toMatchObject({ more: false });
    expect(await read(tenant)).toEqual({ numbers: expected(60), stale: 0 });
    expect(new Set(await states(tenant))).toEqual(new Set(['retired', 'active']));
  });

  it('erases a tenant for good and records it in the audit trail', async () => {
    const [tenant, other] = [randomName('tenant'), randomName('tenant')];
    await plant(tenant, 2);
    await plant(other, 2);
    const application = fixture.encryption({ wrapping: keyring() });
    await application.encrypt({ tenant, table: 'notes', column: 'body', record: 'r' }, 'cached');
    const unconfirmed = await keys('erase', '--tenant', tenant);
    expect(unconfirmed).toMatchObject({ code: 2, stderr: expect.stringContaining(`--confirm ${tenant}`) });
    expect((await keys('erase', '--tenant', tenant, '--confirm', other)).code).toBe(2);
    const done = await keys('erase', '--tenant', tenant, '--confirm', tenant, '--json');
    expect(JSON.parse(done.stdout)).toMatchObject({ tenant, keys: 2 });
    await expect(read(tenant)).rejects.toMatchObject({ problem: 'destroyed' });
    expect(await read(other)).toMatchObject({ numbers: expected(2) });
    // An application that still has the key cannot write with it, and gets no other.
    const write = () =>
      fixture.within(tenant, (client) =>
        insertRecord(client, application, {
          ...{
            tenantId: tenant,
            mappedData: 1,
            sourceDataHash: sourceHash,
            modelVersion: 'm',
            detectorType: 'd',
          },
        }),
      );
    await expect(write()).rejects.toMatchObject({ code: '55000' });
    await expect(write()).rejects.toMatchObject({
      code: '55000',
      message: expect.stringContaining('was erased'),
    });
    const trail = await fixture.asAdmin(
      `SELECT record_key, new_values ->> 'state' AS state, user_id FROM llama.audit_trail
        WHERE tenant_id = $1 AND table_name = 'data_keys' AND operation = 'UPDATE'`,
      [tenant],
    );
    expect(trail).toHaveLength(2);
    for (const entry of trail) expect(entry).toMatchObject({ state: 'erased' });
    const again = await keys('erase', '--tenant', tenant, '--confirm', tenant, '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({ keys: 0 });
    const nobody = await keys('erase', '--tenant', 'nobody', '--confirm', 'nobody');
    expect(nobody).toMatchObject({ code: 2, stderr: expect.stringContaining('has no data keys') });
  });

  it('explains a missing option', async () => {
    expect(await keys('rotate')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('No wrapping key is named'),
    });
    expect(await keys('rewrap', '--wrapping-key', 'local:/nowhere')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('cannot be read (ENOENT)'),
    });
    const offline = await keys('status', '--offline');
    expect(offline.stdout).toContain('was not asked');
  });
});
