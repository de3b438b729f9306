/** The measured things: a migrated local server, and llama-db as a process. */
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { type Connection, withConnection } from '../database/connection.ts';
import { migrationsDirectory } from '../database/migrator/files.ts';
import { withLock } from '../database/migrator/lock.ts';
import { migrate } from '../database/migrator/migrate.ts';
import { resolveTarget, type Target } from '../database/target.ts';
import { within } from '../local/postgres/bootstrap.ts';
import { type LocalPostgres, type LocalPostgresOptions, startPostgres } from '../local/postgres/server.ts';
import { runProgram } from '../local/processes/program.ts';

export const silent = { line: () => {}, warn: () => {} };

/** A server that writes like one in production, with room between checkpoints. */
export const durableServer: LocalPostgresOptions = {
  databases: ['bench'],
  durable: true,
  settings: {
    shared_buffers: '256MB',
    max_wal_size: '4GB',
    min_wal_size: '1GB',
    checkpoint_timeout: '30min',
    // Azure's default. Indexes of random keys write a whole page per entry after a checkpoint.
    wal_compression: 'on',
  },
};

/** Does work on a server of its own, and stops the server. */
export async function onServer<Result>(
  options: LocalPostgresOptions,
  work: (server: LocalPostgres) => Promise<Result>,
): Promise<Result> {
  const server = await startPostgres(options);
  try {
    return await work(server);
  } finally {
    await server.stop();
  }
}

/** The server's own version, such as `17.10`. */
export function versionOf(server: LocalPostgres): Promise<string> {
  return within(server.connection('superuser'), async (client) => {
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
    return rows[0]?.server_version ?? 'unknown';
  });
}

/** Enables or disables the triggers of `llama.storage_records` that write the audit trail. */
export async function setAuditTriggers(superuser: pg.Client, how: 'ENABLE' | 'DISABLE'): Promise<void> {
  const { rows } = await superuser.query<{ statement: string }>(
    `SELECT format('ALTER TABLE %s ${how} TRIGGER %I', tgrelid::regclass, tgname) AS statement
       FROM pg_trigger WHERE tgfoid = ANY (ARRAY(SELECT oid FROM pg_proc WHERE pronamespace = 'llama'::regnamespace AND proname ~ 'audit'))
        AND tgrelid = 'llama.storage_records'::regclass
        -- They fire as a replica only; ENABLE would make them fire beside the others.
        AND tgname !~ '^audit_replica'`,
  );
  for (const { statement } of rows) await superuser.query(statement);
}

/** Applies all migrations to the server's default database, and then prepares it under the same lock. */
export async function migrateServer(
  server: LocalPostgres,
  prepare: (connection: Connection) => Promise<void> = async () => {},
): Promise<Target> {
  const target = await resolveTarget({ url: server.url('migrator') }, {});
  await withConnection(target, { reporter: silent }, (connection) =>
    withLock(connection, { reporter: silent }, async () => {
      await migrate(connection, { reporter: silent, migrationsDirectory });
      await prepare(connection);
    }),
  );
  return target;
}

const program = fileURLToPath(new URL('../commands/llama-db.mjs', import.meta.url));

/**
 * Runs llama-db as a process of its own.
 *
 * @param allowed exit statuses of a valid run; 1 includes findings
 * @returns its seconds
 * @throws Error for any other exit status
 */
export async function secondsOfCommand(
  parameters: readonly string[],
  allowed: readonly number[] = [0],
): Promise<number> {
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(PG|LLAMA_DB|AZURE|ARM)/.test(name)),
  );
  const { exitCode, output, milliseconds } = await runProgram(process.execPath, [program, ...parameters], {
    cwd: process.cwd(),
    environment,
  });
  if (!allowed.includes(exitCode))
    throw new Error(`llama-db ${parameters[0]} ended with ${exitCode}: ${output}`);
  return milliseconds / 1000;
}
