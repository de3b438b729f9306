/** The settings are those of the servers that this project installs. */
import { expect, it } from 'vitest';
import { effectOf } from '../../azure/postgresql-settings.ts';
import { freshDatabase } from '../support/postgres.ts';

it('knows when each setting of PostgreSQL takes effect', async () => {
  const database = await freshDatabase();
  try {
    const rows = await database.query<{ name: string; context: string }>(
      'migrator',
      `SELECT name, context FROM pg_settings WHERE name !~ '[.]' AND context <> 'internal'
        AND name !~ '^(debug_|trace_|wal_consistency|jit_|ignore_|zero_damaged|allow_|optimize_bounded|backtrace_)'`,
    );
    const wrong = rows.filter(
      ({ name, context }) => effectOf(name) !== (context === 'postmaster' ? 'restart' : 'online'),
    );
    expect(rows.length).toBeGreaterThan(200);
    expect(wrong.filter(({ name }) => name !== 'autovacuum_max_workers')).toEqual([]);
    expect(effectOf('no_such_setting')).toBeUndefined();
  } finally {
    await database.drop();
  }
});
