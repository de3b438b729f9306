/** Content leaves the audit trail with its record, the chain stays intact, and nothing else can remove it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { maintain } from '../../../database/maintain/maintain.ts';
import { resolveTarget } from '../../../database/target.ts';
import { makeTrail, sealAll, type Trail, verified } from '../audit/trail.ts';

let trail: Trail;

beforeAll(async () => {
  trail = await makeTrail();
});
afterAll(() => trail.database.drop());

let number = 0;
let tenant = '';

/** Inserts, updates and deletes a record of `days` ago, which leaves its content three times. @returns its id */
async function record(canary: string, days: number, remove?: 'admin_role'): Promise<string> {
  const { client } = trail;
  await client.query('BEGIN; SET LOCAL ROLE admin_role');
  const { rows } = await client.query<{ id: string }>(
    `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, "timestamp")
     VALUES ($1, 'h', jsonb_build_object('text', $2::text), 'm', 'd', now() - make_interval(days => $3)) RETURNING id`,
    [tenant, canary, days],
  );
  const id = rows[0]?.id ?? '';
  await client.query(
    `UPDATE llama.storage_records SET metadata = jsonb_build_object('more', mapped_data ->> 'text') WHERE tenant_id = $1 AND id = $2`,
    [tenant, id],
  );
  if (remove)
    await client.query('DELETE FROM llama.storage_records WHERE tenant_id = $1 AND id = $2', [tenant, id]);
  await client.query('COMMIT');
  return id;
}

async function configure(days: number): Promise<void> {
  await trail.client.query('BEGIN; SET LOCAL ROLE admin_role');
  await trail.client.query(
    `INSERT INTO llama.tenant_configs (tenant_id, storage_retention_days) VALUES ($1, $2)
     ON CONFLICT (tenant_id) DO UPDATE SET storage_retention_days = excluded.storage_retention_days`,
    [tenant, days],
  );
  await trail.client.query('COMMIT');
}

const retain = async () => {
  await trail.client.query('SET ROLE maintenance_role');
  const { rows } = await trail.client.query<{ erased: number }>('SELECT llama.apply_retention() AS erased');
  await trail.client.query('RESET ROLE');
  return rows[0]?.erased;
};

const copies = async (canary: string) => {
  const { rows } = await trail.superuser.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM llama.audit_trail AS a WHERE to_jsonb(a)::text LIKE '%' || $1 || '%'`,
    [canary],
  );
  return rows[0]?.n;
};

beforeEach(() => {
  number += 1;
  tenant = `tenant${number}`;
});

describe('retention', () => {
  it('removes every copy of an erased record from the trail, whose chain stays intact', async () => {
    await configure(10);
    const canary = `canary-${tenant}`;
    const kept = `kept-${tenant}`;
    await record(canary, 12);
    const keptId = await record(kept, 5);
    await sealAll(trail);
    expect(await copies(canary)).toBe(2);
    expect(await retain()).toBe(1);
    expect(await copies(canary)).toBe(0);
    expect(await copies(kept)).toBe(2);
    await sealAll(trail);
    const { findings, erasures } = await verified(trail);
    expect(findings).toEqual([]);
    expect(erasures.filter((erasure) => erasure.tenant === tenant)).toMatchObject([
      { reason: 'retention', rows: 2, login: expect.any(String), user: expect.any(String) },
    ]);
    expect(keptId).not.toBe('');
  });

  it('removes the copy that a delete by an administrator left, once the record would have been erased', async () => {
    await configure(10);
    const old = `old-${tenant}`;
    const young = `young-${tenant}`;
    await record(old, 12, 'admin_role');
    await record(young, 5, 'admin_role');
    await sealAll(trail);
    expect([await copies(old), await copies(young)]).toEqual([3, 3]);
    expect(await retain()).toBe(1);
    expect([await copies(old), await copies(young)]).toEqual([0, 3]);
    await configure(1);
    expect(await retain()).toBe(1);
    expect(await copies(young)).toBe(0);
    expect(await retain()).toBe(0);
    await sealAll(trail);
    expect((await verified(trail)).findings).toEqual([]);
  });

  it('keeps the content of a record with the same id and another timestamp', async () => {
    await configure(10);
    const canary = `first-${tenant}`;
    const id = await record(canary, 12);
    await trail.client.query('BEGIN; SET LOCAL ROLE admin_role');
    await trail.client.query(
      `INSERT INTO llama.storage_records (tenant_id, id, source_data_hash, mapped_data, model_version, detector_type)
       VALUES ($1, $2, 'h', jsonb_build_object('text', $3::text), 'm', 'd')`,
      [tenant, id, `second-${tenant}`],
    );
    await trail.client.query('COMMIT');
    expect(await retain()).toBe(1);
    expect([await copies(canary), await copies(`second-${tenant}`)]).toEqual([0, 1]);
  });

  it('removes the copies of metrics and executions before their month leaves, and none of a later month', async () => {
    const { client } = trail;
    const old = `gone-${tenant}`;
    const kept = `stays-${tenant}`;
    await client.query(`SET ROLE llama_owner;
      SELECT llama.create_monthly_partition(t, (now() - interval '6 months')::date) FROM unnest(ARRAY['model_metrics', 'detector_executions']) AS t;
      RESET ROLE`);
    await client.query('BEGIN; SET LOCAL ROLE admin_role');
    for (const [text, months] of [
      [old, 6],
      [kept, 0],
    ] as const) {
      await client.query(
        `INSERT INTO llama.model_metrics (tenant_id, model_version, metric_type, metric_value, "timestamp", metadata)
         SELECT $1, 'm', 't', 0.5, now() - make_interval(months => $3), jsonb_build_object('text', $2::text) FROM generate_series(1, 3)`,
        [tenant, text, months],
      );
      await client.query(
        `INSERT INTO llama.detector_executions (tenant_id, detector_type, execution_time_ms, success, error_message, "timestamp")
         SELECT $1, 'd', 1, false, $2, now() - make_interval(months => $3) FROM generate_series(1, 3)`,
        [tenant, text, months],
      );
    }
    await client.query('COMMIT');
    await expect(
      client.query(
        `SET ROLE llama_owner; SELECT llama.erase_audit_of_month('model_metrics', now()::date, NULL, NULL, 10)`,
      ),
    ).rejects.toMatchObject({ code: '55000' });
    await client.query('RESET ROLE');
    expect([await copies(old), await copies(kept)]).toEqual([6, 6]);
    const { actions } = await maintain(await resolveTarget({ url: trail.database.url() }, {}), {
      reporter: { line: () => {}, warn: () => {} },
    });
    expect(actions.filter(({ done, object }) => done === 'erased' && object === 'audit_trail')).toMatchObject(
      [{ rows: 3 }, { rows: 3 }],
    );
    expect([await copies(old), await copies(kept)]).toEqual([0, 6]);
    await sealAll(trail);
    expect((await verified(trail)).findings).toEqual([]);
  });
});
