import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { Fault } from '../../core/fault.ts';
import { within } from './bootstrap.ts';

/**
 * Makes a running server read its configuration file again.
 *
 * @param name the changed parameter
 * @returns whether the new value is in force or waits for a restart
 * @throws Fault if PostgreSQL refuses the new value; the caller must then restore the file
 */
export async function reload(administration: pg.ClientConfig, name: string): Promise<'inForce' | 'pending'> {
  return within(administration, async (client) => {
    const loaded = async () => {
      const { rows } = await client.query<{ at: string }>('SELECT pg_conf_load_time()::text AS at');
      return rows[0]?.at;
    };
    const before = await loaded();
    await client.query('SELECT pg_reload_conf()');
    const deadline = Date.now() + 10_000;
    while ((await loaded()) === before) {
      if (Date.now() > deadline)
        throw refusal(name, 'it has not read its configuration within ten seconds', 'Read its log.');
      await sleep(10);
    }
    // pg_file_settings reports an error for a value that waits for a restart too; only a refused one is not pending.
    const { rows } = await client.query<{ error: string }>(
      `SELECT file.error
         FROM pg_file_settings AS file LEFT JOIN pg_settings AS shown ON lower(shown.name) = lower(file.name)
        WHERE file.error IS NOT NULL AND lower(file.name) = lower($1) AND shown.pending_restart IS NOT TRUE`,
      [name],
    );
    if (rows[0]) throw refusal(name, rows[0].error, 'Set a value that PostgreSQL accepts.');
    const { rows: shown } = await client.query<{ pending: boolean }>(
      'SELECT pending_restart AS pending FROM pg_settings WHERE lower(name) = lower($1)',
      [name],
    );
    return shown[0]?.pending ? 'pending' : 'inForce';
  });
}

function refusal(name: string, why: string, remedy: string): Fault {
  return new Fault('local-postgres/parameter-refused', `The local PostgreSQL refuses ${name}`, why, remedy);
}
