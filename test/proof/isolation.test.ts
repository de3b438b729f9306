import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { provePooled } from './isolation/pooled.ts';
import { proveIsolation } from './isolation/run.ts';
import { type IsolationTestbed, isolationTestbed } from './isolation/testbed.ts';
import { Disproved } from './proof.ts';
import { Random } from './random.ts';

let testbed: IsolationTestbed;
beforeAll(async () => {
  testbed = await isolationTestbed();
});
afterAll(() => testbed.server.stop());

const prove = (statements: number, hole?: string) => {
  const random = new Random(Random.seed());
  return proveIsolation({ ...testbed, statements, random, log: () => {}, ...(hole ? { hole } : {}) }).catch(
    (error: Error) => {
      // The seed repeats a failure.
      error.message = `seed ${random.seed}: ${error.message}`;
      throw error;
    },
  );
};

describe('random statements of the application (npm run prove -- isolation)', () => {
  it('reveal nothing about another tenant', { timeout: 120_000 }, async () => {
    const { ends, compared } = await prove(600);
    // A run in which all statements are refused proves nothing.
    expect(ends.get('ok')).toBeGreaterThan(200);
    expect(ends.get('42501')).toBeGreaterThan(20);
    expect(compared).toBeGreaterThan(200);
  });

  it.each([
    ['policies are switched off', 'ALTER TABLE llama.model_metrics DISABLE ROW LEVEL SECURITY'],
    [
      'a partition is open',
      `DO $$ DECLARE leaf regclass := (SELECT tableoid FROM llama.audit_trail LIMIT 1)::regclass;
       BEGIN
         EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', leaf);
         EXECUTE format('GRANT SELECT ON %s TO application_role', leaf);
       END $$`,
    ],
    ['keys are unique across tenants', 'CREATE UNIQUE INDEX ON llama.model_metrics (id, "timestamp")'],
    [
      'a view lets a cheap function print hidden rows',
      `ALTER VIEW llama.tenant_performance RESET (security_barrier);
       CREATE FUNCTION public.peek(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 0.0001
       AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$`,
    ],
    [
      "writes reach other tenants' rows",
      `DROP POLICY tenant_floor_storage ON llama.storage_records;
       CREATE POLICY erase ON llama.storage_records FOR DELETE TO application_role USING (true);
       CREATE POLICY look ON llama.storage_records FOR SELECT TO application_role USING (tenant_id LIKE '%')`,
    ],
  ])('detect that %s', { timeout: 180_000 }, async (_, hole) => {
    // The run ends with the first leak. Most seeds need a tenth of these statements.
    await expect(prove(60_000, hole)).rejects.toThrow(Disproved);
  });
});

describe('tenants that share the sessions of a pool', () => {
  const pooled = (statements: number, hole?: string) =>
    provePooled({
      ...testbed,
      ...{ statements, random: new Random(Random.seed()), log: () => {} },
      ...(hole ? { hole } : {}),
    });
  /** The function without one of its parts. */
  const without = (part: string, rest = '') =>
    `DO $hole$
     DECLARE whole text := pg_get_functiondef('llama.set_tenant_context(text, text, uuid, inet, text)'::regprocedure);
     BEGIN
       ASSERT position($part$${part}$part$ IN whole) > 0;
       EXECUTE replace(whole, $part$${part}$part$, $rest$${rest}$rest$);
     END $hole$`;

  it('find nothing of each other', { timeout: 180_000 }, async () => {
    const { ends, handedOn, compared } = await pooled(600);
    expect(ends.get('ok')).toBeGreaterThan(300);
    expect(handedOn).toBeGreaterThan(10);
    expect(compared).toBeGreaterThan(20);
  });

  // LISTEN takes too many statements to find; test/migrations/session-state.test.ts looks for it directly.
  it.each([
    ['settings', 'RESET ALL;', ''],
    ['characteristics of transactions', 'IF found OPERATOR(pg_catalog.<>) initial', 'IF false'],
    ['prepared statements', 'WHERE s.from_sql', 'WHERE false'],
    ['cursors', 'WHERE c.is_holdable', 'WHERE false'],
    ['advisory locks', 'pg_catalog.pg_advisory_unlock_all(),', ''],
    ['large objects', 'PERFORM pg_catalog.lo_unlink(remains.oid);', 'NULL;'],
  ])('show if the context leaves %s', { timeout: 300_000 }, async (_, part, rest) => {
    await expect(pooled(60_000, without(part, rest))).rejects.toThrow(Disproved);
  });
});
