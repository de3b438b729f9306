/** The schedules that pg_cron runs on Azure and that a local server, which has no pg_cron, leaves to somebody else. */
import type pg from 'pg';
import type { UrlOptions } from '../../local/postgres/address.ts';
import { within } from '../../local/postgres/bootstrap.ts';

/** A call seals up to the position that the call before recorded (database/audit/seals.ts). */
const calls = 2;

/**
 * Seals the audit trail. Does nothing before the first migration, or without the database.
 *
 * @param connection a superuser's
 */
export async function sealAsScheduled(
  connection: (options: UrlOptions) => pg.ClientConfig,
  database: string,
): Promise<void> {
  await within(connection({ database }), async (client) => {
    const { rows } = await client.query<{ migrated: boolean }>(
      "SELECT to_regprocedure('llama.seal_audit_trail(integer, integer)') IS NOT NULL AS migrated",
    );
    if (!rows[0]?.migrated) return;
    for (let call = 0; call < calls; call += 1) await client.query('SELECT llama.seal_audit_trail()');
  }).catch((error) => {
    // A server that somebody deletes loses its database at any moment.
    if (error instanceof Error && 'code' in error && error.code === '3D000') return;
    throw error;
  });
}
