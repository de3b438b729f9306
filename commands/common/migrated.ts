/** The schema as the migrations make it, read from servers that exist for nothing else. */
import { supportedVersions } from '../../azure/versions.ts';
import type { Reporter } from '../../core/report.ts';
import { withConnection } from '../../database/connection.ts';
import { listMigrations } from '../../database/migrator/files.ts';
import { withLock } from '../../database/migrator/lock.ts';
import { migrate } from '../../database/migrator/migrate.ts';
import { type Description, describeSchema } from '../../database/schema/describe.ts';
import { type Manifest, manifestOf } from '../../database/schema/manifest.ts';
import { resolveTarget } from '../../database/target.ts';
import { binariesOf } from '../../local/postgres/installation.ts';
import { startPostgres } from '../../local/postgres/server.ts';

const silent: Reporter = { line: () => {}, warn: () => {} };

/**
 * The manifest of the migrations in a folder: starts one server per major, migrates an empty database on each and
 * removes the servers.
 *
 * @param majors @default - every supported one
 * @throws Fault if the programs of a major are not installed, or a migration fails on it
 */
export async function generateManifest(
  directory: string,
  majors: readonly number[] = supportedVersions,
): Promise<Manifest> {
  const migrations = listMigrations(directory);
  const descriptions = await Promise.allSettled(majors.map((major) => describeMigrated(directory, major)));
  return manifestOf(
    descriptions.map((settled) => {
      // All servers are gone by now, whichever of them failed.
      if (settled.status === 'rejected') throw settled.reason;
      return settled.value;
    }),
    migrations,
  );
}

async function describeMigrated(directory: string, major: number): Promise<Description> {
  const server = await startPostgres({ binaries: await binariesOf(major), databases: ['described'] });
  try {
    const target = await resolveTarget({ url: server.url('migrator') }, {});
    return await withConnection(target, { applicationName: 'llama-db schema' }, (connection) =>
      withLock(connection, { reporter: silent }, async () => {
        await migrate(connection, { reporter: silent, migrationsDirectory: directory });
        await connection.restoreSession();
        return describeSchema(connection.client);
      }),
    );
  } finally {
    await server.stop();
  }
}
