/** A rehearsal seals the trail in place of pg_cron, so that a slow one does not fail at AUD-010. */
import { expect, it } from 'vitest';
import { connectionOf } from '../../local/postgres/address.ts';
import { sealAsScheduled } from '../../rehearsal/sandbox/schedules.ts';
import { freshDatabase, migratedDatabase } from '../support/postgres.ts';

it('seals the trail', async () => {
  const { server, name, query } = await migratedDatabase();
  await query(
    'superuser',
    "INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key) VALUES ('some tenant', 'storage_records', 'SELECT', 'x')",
  );
  const unsealed = () =>
    query(
      'superuser',
      `SELECT count(*)::int AS rows FROM llama.audit_trail
      WHERE sequence > coalesce((SELECT max(last_sequence) FROM llama.audit_seals), 0)`,
    );
  expect(await unsealed()).toEqual([{ rows: 1 }]);
  await sealAsScheduled((options) => connectionOf(server, 'superuser', options), name);
  expect(await unsealed()).toEqual([{ rows: 0 }]);
});

it('does nothing without a database or a schema', async () => {
  const { server, name } = await freshDatabase();
  await sealAsScheduled((options) => connectionOf(server, 'superuser', options), name);
  await sealAsScheduled((options) => connectionOf(server, 'superuser', options), 'not_there');
});
