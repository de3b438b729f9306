// Duration: 6 s
/** Searches of metadata under row-level security. */
import { describe, expect, it } from 'vitest';
import { record, useRecords } from './record-fixture.ts';

const on = useRecords();
const { clear } = on;

describe('a search of metadata', () => {
  it('finds what contains the fields, of this tenant alone, in pages', async () => {
    const given = Array.from({ length: 5 }, (_, n) =>
      record({ metadata: { kind: 'rare', n, deep: { x: [1, 2] } } }),
    );
    await clear('open').insertAll(given);
    await clear('other').insertAll(given);
    const first = await clear('open').search({ kind: 'rare', deep: { x: [2] } }, { limit: 3 });
    expect(first.rows).toHaveLength(3);
    const { next = '' } = first;
    const rest = await clear('open').search({ kind: 'rare' }, { after: next });
    expect(rest.rows).toHaveLength(2);
    const all = [...first.rows, ...rest.rows];
    expect(all.map(({ metadata }) => metadata['n']).sort()).toEqual([0, 1, 2, 3, 4]);
    expect(all.every(({ tenantId }) => tenantId === 'open')).toBe(true);
    expect((await clear('open').search({ kind: 'common' })).rows).toEqual([]);
  });

  it('uses the index of the metadata as the application, under row-level security', async () => {
    await on.superuser.query('SET session_replication_role = replica');
    await on.superuser.query(
      `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, metadata)
       SELECT 't' || n % 5, 'h', '{}', 'm', 'd', jsonb_build_object('serial', n, 'kind', 'k' || n % 7)
         FROM generate_series(1, 15000) AS n`,
    );
    await on.superuser.query('RESET session_replication_role');
    await on.superuser.query('ANALYZE llama.storage_records');
    await on.superuser.query(
      `LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
       SET auto_explain.log_level = notice`,
    );
    await on.superuser.query(`SET SESSION AUTHORIZATION ${on.testbed.login.user}`);
    const plans: string[] = [];
    on.superuser.on('notice', ({ message }) => plans.push(String(message)));
    const planOf = async (sql: string) => {
      plans.length = 0;
      await on.superuser.query(`BEGIN; SET LOCAL app.current_tenant_id = 't3'`);
      const { rowCount } = await on.superuser.query(sql);
      await on.superuser.query('COMMIT');
      return { rowCount, plan: plans.join('\n') };
    };
    const direct = await planOf(
      `SELECT id FROM llama.storage_records WHERE tenant_id = 't3' AND metadata @> '{"serial": 10003}'`,
    );
    const search = await planOf(
      `SELECT record_id FROM llama.find_records('{"serial": 10003}', '-infinity', 'infinity', NULL, NULL, 101)`,
    );
    await on.superuser.query('RESET SESSION AUTHORIZATION');
    expect([direct.rowCount, search.rowCount]).toEqual([1, 1]);
    expect(direct.plan).not.toMatch(/metadata_(gin|idx)/);
    expect(search.plan).toMatch(/Bitmap Index Scan on \w*metadata\w*/);
    const { rows } = await clear('t3').search({ serial: 10_003 });
    expect(rows).toHaveLength(1);
    expect((await clear('t4').search({ serial: 10_003 })).rows).toEqual([]);
  });
});

describe('llama.find_records', () => {
  const call = (sql: string, tenant: string, values: readonly unknown[] = []) =>
    on.db.tenant(tenant).read((tx) => tx.query(sql, [...values]));

  it('needs a tenant', async () => {
    const [one] = await Promise.all([on.testbed.connect(on.testbed.login)]);
    await expect(
      one.query("SELECT llama.find_records('{}', '-infinity', 'infinity', NULL, NULL, 1)"),
    ).rejects.toMatchObject({ code: '22023' });
  });

  it('follows the tenant of the transaction, which a plan of another one does not change', async () => {
    for (const tenant of ['t0', 't1', 't0', 't2', 't3', 't1', 't0']) {
      const { rows } = await call(
        `SELECT DISTINCT r.tenant_id AS tenant FROM llama.find_records('{}', '-infinity', 'infinity', NULL, NULL, 20) AS f
           JOIN llama.storage_records AS r ON r.id = f.record_id`,
        tenant,
      );
      expect(rows).toEqual([{ tenant }]);
    }
  });

  it('is not for other roles', async () => {
    for (const role of ['analytics_role', 'maintenance_role', 'import_writer']) {
      const { rows } = await on.superuser.query(
        `SELECT has_function_privilege($1, p.oid, 'EXECUTE') AS may FROM pg_proc AS p
          WHERE p.oid = 'llama.find_records'::regproc`,
        [role],
      );
      expect([role, rows[0]?.may]).toEqual([role, false]);
    }
  });
});
