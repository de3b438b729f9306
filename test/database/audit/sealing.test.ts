import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rowHash } from '../../../database/audit/canonical.ts';
import {
  change,
  makeTrail,
  noted,
  sealAll,
  sealOnce,
  sealsOf,
  type Trail,
  tamper,
  verified,
} from './trail.ts';

let trail: Trail;
beforeEach(async () => {
  trail = await makeTrail();
});
afterEach(() => trail.database.drop());

const month = (offset = 0) => {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset)).toISOString().slice(0, 10);
};

const begin = async (tenant: string): Promise<pg.Client> => {
  const client = await trail.database.connect();
  await client.query('BEGIN; SET LOCAL ROLE application_role');
  await client.query("SELECT set_config('app.current_tenant_id', $1, true)", [tenant]);
  return client;
};

/** Repeats the call until all sealable rows are sealed; transactions in databases of other tests can delay it. */
async function sealPatiently(): Promise<void> {
  for (let run = 0; run < 12; run += 1) {
    await sealOnce(trail.client);
    await sleep(40);
  }
}

describe('sealing', () => {
  it('records a position first and seals up to it later, each row once, in contiguous ranges', async () => {
    await change(trail.client, 'alpha', 3);
    expect(await sealOnce(trail.client)).toBe(0);
    expect(await noted(trail)).toBe('3');
    await sealAll(trail);
    await change(trail.client, 'beta', 2);
    await sealAll(trail);
    expect(await sealsOf(trail)).toEqual([
      { number: 1, kind: 'rows', month: month(), first: 1, last: 3, rows: 3 },
      { number: 2, kind: 'rows', month: month(), first: 4, last: 5, rows: 2 },
    ]);
    expect(await sealOnce(trail.client)).toBe(0);
    expect(await verified(trail)).toMatchObject({ findings: [], rows: 5, seals: 2, unsealed: { rows: 0 } });
  });

  it('waits for a transaction with lower sequence numbers, and seals its rows once it ends', async () => {
    const late = await trail.database.connect();
    await late.query('BEGIN; SET LOCAL ROLE admin_role');
    await late.query(
      `INSERT INTO llama.model_metrics (tenant_id, model_version, metric_type, metric_value) VALUES ('late', 'm', 'f1', 1)`,
    );
    await change(trail.client, 'early', 2);
    await sealPatiently();
    expect(await sealsOf(trail)).toEqual([]);
    await late.query('COMMIT');
    await sealAll(trail);
    expect(await sealsOf(trail)).toMatchObject([{ first: 1, last: 3, rows: 3 }]);
    expect((await verified(trail)).findings).toEqual([]);
  });

  it('seals a reported read whose transaction got its sequence number before its id', async () => {
    // One in 32 values of a sequence is logged, which assigns a transaction id; here another session took that value.
    const first = await begin('alpha');
    await first.query(`SELECT llama.record_read('storage_records', 'first')`);
    await first.query('COMMIT');
    // Routing a row to its leaf waits for this lock: the row has its sequence number and is not yet written.
    const holder = await trail.database.connect();
    const leaf = `llama.audit_trail_y${month().slice(0, 7).replace('-', 'm')}`;
    await holder.query(`BEGIN; SET LOCAL ROLE llama_owner; LOCK TABLE ${leaf} IN SHARE MODE`);
    const reader = await begin('alpha');
    const reading = reader.query(`SELECT llama.record_read('storage_records', 'second')`);
    await sleep(150);
    await sealPatiently();
    expect((await sealsOf(trail)).filter(({ last }) => last >= 2)).toEqual([]);
    await holder.query('ROLLBACK');
    await reading;
    await sealPatiently();
    expect((await sealsOf(trail)).filter(({ last }) => last >= 2)).toEqual([]);
    await reader.query('COMMIT');
    await sealAll(trail);
    expect(await verified(trail)).toMatchObject({ findings: [], rows: 2 });
  });

  it('seals every row exactly once while writers commit, roll back and read in any order', async () => {
    let written = 0;
    let running = true;
    const random = (below: number) => Math.floor(Math.random() * below);
    const writer = async (name: string) => {
      const client = await trail.database.connect();
      for (let round = 0; round < 25; round += 1) {
        await client.query('BEGIN; SET LOCAL ROLE admin_role');
        await client.query("SELECT set_config('app.current_tenant_id', $1, true)", [name]);
        const rows = 1 + random(4);
        for (let row = 0; row < rows; row += 1) {
          if (random(3) === 0) await client.query(`SELECT llama.record_read('storage_records', 'x')`);
          else {
            await client.query(
              `INSERT INTO llama.model_metrics (tenant_id, model_version, metric_type, metric_value) VALUES ($1, 'm', 'f1', 0)`,
              [name],
            );
          }
          if (random(4) === 0) await sleep(random(12));
        }
        const kept = random(4) > 0;
        await client.query(kept ? 'COMMIT' : 'ROLLBACK');
        if (kept) written += rows;
      }
    };
    const sealer = async () => {
      const client = await trail.database.connect();
      // With batches smaller than the writes, ranges end at arbitrary rows.
      while (running) await sealOnce(client, 7);
    };
    const sealers = [sealer(), sealer()];
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map(writer));
    running = false;
    await Promise.all(sealers);
    await sealAll(trail);
    const seals = await sealsOf(trail);
    expect(seals.length).toBeGreaterThan(5);
    expect(seals.reduce((sum, { rows }) => sum + rows, 0)).toBe(written);
    expect(await verified(trail)).toMatchObject({ findings: [], rows: written, unsealed: { rows: 0 } });
  });

  it('works in bounded batches, and skips numbers without rows', async () => {
    await change(trail.client, 'alpha', 5);
    await trail.superuser.query(`SELECT setval('llama.audit_sequence', 50000)`);
    await change(trail.client, 'alpha', 2);
    await sealOnce(trail.client);
    for (let left = 1000; left > 0 && (await sealsOf(trail)).length < 1; left -= 1) {
      await sealOnce(trail.client, 2, 1);
      await sleep(20);
    }
    expect(await sealsOf(trail)).toMatchObject([{ first: 1, last: 2, rows: 2 }]);
    // Three batches: two with rows, and one that finds none and searches for the next row.
    expect(await sealOnce(trail.client, 2, 3)).toBe(3);
    expect(await sealOnce(trail.client, 2, 3)).toBe(2);
    expect((await sealsOf(trail)).map(({ first, last, rows }) => [first, last, rows])).toEqual([
      [1, 2, 2],
      [3, 4, 2],
      [5, 6, 1],
      [50001, 50002, 2],
    ]);
    for (const [size, batches] of [
      [0, 1],
      [100_001, 1],
      [1, 0],
    ] as const) {
      await expect(sealOnce(trail.client, size, batches)).rejects.toMatchObject({ code: '22023' });
    }
  });

  it('writes one seal per month of the rows in a range', async () => {
    await change(trail.client, 'alpha');
    await tamper(
      trail,
      `INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, "timestamp")
       VALUES ('alpha', 'storage_records', 'SELECT', 'x', '${month(-1)}'::timestamptz + interval '1 day')`,
    );
    await change(trail.client, 'alpha');
    await sealAll(trail);
    expect(await sealsOf(trail)).toEqual([
      { number: 1, kind: 'rows', month: month(-1), first: 1, last: 3, rows: 1 },
      { number: 2, kind: 'rows', month: month(), first: 1, last: 3, rows: 2 },
    ]);
    expect((await verified(trail)).findings).toEqual([]);
  });

  it('continues after a restore into a cluster with other transaction ids or sequence values', async () => {
    await change(trail.client, 'alpha', 2);
    await sealOnce(trail.client);
    await trail.superuser.query(`UPDATE llama.audit_sealing SET noted_transaction = '4611686018427387904'`);
    await sealAll(trail);
    await change(trail.client, 'alpha');
    await sealOnce(trail.client);
    await trail.superuser.query(`UPDATE llama.audit_sealing SET noted_sequence = 1000`);
    await sealAll(trail);
    expect((await sealsOf(trail)).map(({ first, last, rows }) => [first, last, rows])).toEqual([
      [1, 2, 2],
      [3, 3, 1],
    ]);
  });

  it('blocks no writers, and a second sealer only for a time', async () => {
    await change(trail.client, 'alpha', 2);
    await sealOnce(trail.client);
    const sealer = await trail.database.connect();
    await sealer.query('BEGIN; SET LOCAL ROLE maintenance_role; SELECT llama.seal_audit_trail()');
    await trail.client.query("SET statement_timeout = '3s'");
    await change(trail.client, 'alpha', 2);
    const second = sealOnce(await trail.database.connect());
    await sealer.query('COMMIT');
    await second;
    await trail.client.query('RESET statement_timeout');
    await sealAll(trail);
    expect(await verified(trail)).toMatchObject({ findings: [], rows: 4 });
  });

  it('seals unusual reports of clients: infinite times, odd texts', async () => {
    const client = await begin('alpha');
    await client.query(
      `SELECT llama.record_read('storage_records', $1, 'infinity'), llama.record_read('storage_records', $2, '-infinity'),
              llama.record_read('storage_records', $3, '0044-03-15 BC')`,
      ['"quoted" \\ and, [bracketed]', 'ünï\u2028cödé', `'\n\t`],
    );
    await client.query('COMMIT');
    await sealAll(trail);
    expect(await verified(trail)).toMatchObject({ findings: [], rows: 3 });
  });

  it('hashes a row identically under all session settings, in the database and outside it', async () => {
    const client = await begin('alpha');
    await client.query(
      `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, correlation_id)
       VALUES ('alpha', 'h', '{"n": 1.10, "t": "é", "e": 1e3}', 'm', 'd', gen_random_uuid())`,
    );
    await client.query(`SELECT llama.record_read('storage_records', 'x', '2026-03-29 01:30:00.123456+00')`);
    await client.query('COMMIT');
    const settings: Record<string, string>[] = [
      {},
      { timezone: 'Asia/Kathmandu', datestyle: 'German', bytea_output: 'escape', extra_float_digits: '-15' },
      { timezone: 'America/New_York', intervalstyle: 'iso_8601', standard_conforming_strings: 'off' },
    ];
    const seen = new Set<string>();
    for (const own of settings) {
      const session = await trail.database.connect();
      for (const [name, value] of Object.entries(own)) {
        await session.query('SELECT set_config($1, $2, false)', [name, value]);
      }
      await session.query('SET ROLE audit_sealer');
      const { rows } = await session.query<{ content: string }>(
        `SELECT encode(content_hash, 'hex') AS content FROM llama.audit_content(NULL, 0, 100)`,
      );
      const { rows: beside } = await session.query<{ content: string }>(
        `SELECT encode(sha256(string_agg(${rowHash}, ''::bytea ORDER BY a.sequence)), 'hex') AS content FROM llama.audit_trail a`,
      );
      for (const row of [...rows, ...beside]) seen.add(row.content);
    }
    expect(seen.size).toBe(1);
  });

  it.each(['application_role', 'admin_role', 'analytics_role', 'audit_writer'])(
    'is out of reach of %s',
    async (role) => {
      const client = await trail.database.connect();
      await client.query(`SET ROLE ${role}`);
      for (const statement of [
        'SELECT llama.seal_audit_trail()',
        `SELECT llama.close_audit_partition('2020-01-01')`,
        `SELECT llama.append_audit_seal('rows', '2020-01-01', 1, 1, 1, '')`,
        'SELECT * FROM llama.audit_sealing',
        'DO $$ BEGIN LOCK TABLE llama.audit_sealing IN SHARE MODE; END $$',
        'DELETE FROM llama.audit_seals',
        `INSERT INTO llama.audit_seals SELECT * FROM llama.audit_seals`,
        'SELECT sequence FROM llama.audit_trail'.concat(role === 'admin_role' ? ' FOR UPDATE' : ''),
        `SELECT setval('llama.audit_sequence', 1)`,
        ...(role === 'admin_role' ? [] : ['SELECT * FROM llama.audit_seals']),
      ]) {
        await expect(client.query(statement), statement).rejects.toMatchObject({ code: '42501' });
      }
    },
  );

  it('protects its seals from their owner and from the sealer', async () => {
    await change(trail.client, 'alpha');
    await sealAll(trail);
    const owner = await trail.database.connect();
    await owner.query('SET ROLE llama_owner');
    expect((await owner.query('SELECT FROM llama.audit_seals')).rowCount).toBe(0);
    await expect(
      owner.query(`INSERT INTO llama.audit_seals SELECT 2, 'rows', '2020-01-01', 1, 1, 1,
      sha256(''), sha256(''), sha256(''), now()`),
    ).rejects.toMatchObject({ code: '42501' });
    await owner.query(
      'CREATE POLICY slip ON llama.audit_seals TO llama_owner USING (true) WITH CHECK (true)',
    );
    for (const statement of [
      'UPDATE llama.audit_seals SET row_count = 0',
      'DELETE FROM llama.audit_seals',
      'TRUNCATE llama.audit_seals',
    ]) {
      await expect(owner.query(statement), statement).rejects.toMatchObject({
        code: '42501',
        message: expect.stringContaining('append-only'),
      });
    }
    await owner.query('RESET ROLE; SET ROLE audit_sealer');
    await expect(owner.query('DELETE FROM llama.audit_seals')).rejects.toMatchObject({ code: '42501' });
  });
});
