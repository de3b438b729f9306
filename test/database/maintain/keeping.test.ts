import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { run, start } from '../../commands/run.ts';
import { migratedDatabase } from '../../support/postgres.ts';

/** Days for which a tenant keeps its records; undefined means a tenant without configuration. */
const days = fc.constantFrom(undefined, null, -1, 0, 30, 300, 500, 900, 36_500);
/** Ages in days, up to years, none within a day of the retention of any tenant. */
const ages = fc.array(fc.constantFrom(2, 15, 40, 200, 320, 450, 480, 600, 700, 950), {
  minLength: 1,
  maxLength: 6,
});
const tenants = fc.array(fc.record({ days, ages }), { minLength: 2, maxLength: 6 });
/** Milliseconds after which a maintenance run is killed. */
const kills = fc.array(fc.integer({ min: 300, max: 1500 }), { minLength: 1, maxLength: 2 });

it('loses no record within retention and audits each erased one, at any moment of a kill', {
  timeout: 180_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(tenants, kills, async (given, moments) => {
      const database = await migratedDatabase();
      try {
        const records = given.flatMap(({ days, ages }, nth) =>
          ages.map((age) => ({ tenant: `tenant-${nth}`, age, kept: days == null || days < 0 || age < days })),
        );
        await database.query(
          'superuser',
          `SELECT llama.create_monthly_partition('storage_records', (now() - make_interval(days => age))::date)
             FROM unnest($1::int[]) AS age`,
          [records.map(({ age }) => age)],
        );
        // The owner must own the partitions, as in maintenance; a superuser would own its own.
        await database.query(
          'superuser',
          `DO $$ DECLARE leaf regclass; BEGIN
             FOR leaf IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'llama.storage_records'::regclass LOOP
               EXECUTE format('ALTER TABLE %s OWNER TO llama_owner', leaf);
             END LOOP; END $$`,
        );
        for (const [nth, { days }] of given.entries()) {
          if (days === undefined) continue;
          await database.query(
            'superuser',
            'INSERT INTO llama.tenant_configs (tenant_id, storage_retention_days) VALUES ($1, $2)',
            [`tenant-${nth}`, days],
          );
        }
        await database.query(
          'superuser',
          `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, "timestamp")
           SELECT tenant, 'h', '{}', 'm', 'd', now() - make_interval(days => age) FROM unnest($1::text[], $2::int[]) AS r (tenant, age)`,
          [records.map(({ tenant }) => tenant), records.map(({ age }) => age)],
        );
        for (const moment of moments) {
          const running = start(['maintain', '--url', database.url()]);
          await sleep(moment);
          running.kill();
          await running.finished;
        }
        // The first run may reattach partitions that the killed run detached; the second run removes them.
        for (let round = 0; round < 2; round += 1) {
          const { code, stderr } = await run(['maintain', '--url', database.url()]);
          expect(code, stderr).toBe(0);
        }
        const [found] = await database.query<{ kept: string[] | null; traces: number }>(
          'superuser',
          `SELECT (SELECT array_agg(tenant_id ORDER BY tenant_id) FROM llama.storage_records) AS kept,
                  (SELECT count(*)::int FROM llama.audit_trail WHERE operation = 'DELETE' AND content_hash IS NOT NULL) AS traces`,
        );
        expect(found?.kept ?? []).toEqual(
          records
            .filter(({ kept }) => kept)
            .map(({ tenant }) => tenant)
            .sort(),
        );
        expect(found?.traces).toBe(records.filter(({ kept }) => !kept).length);
      } finally {
        await database.drop();
      }
    }),
    { numRuns: 3 },
  );
});
