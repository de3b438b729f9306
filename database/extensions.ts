/** Creates the extensions of the deployment as the login, because Azure requires membership in azure_pg_admin. */
import pg from 'pg';
import { extension } from '../azure/extensions.ts';
import { Fault } from '../core/fault.ts';
import type { Reporter } from '../core/report.ts';
import type { Connection } from './connection.ts';

/** Installed in one database of the server only; schedules.ts creates it. */
const elsewhere = new Set(['pg_cron']);

interface Found {
  readonly name: string;
  readonly installed: boolean;
  /** Schema that the extension requires. */
  readonly schema: string | null;
}

/**
 * Creates missing extensions in schema `extensions`. An extension that the server does not offer causes a warning only,
 * because a deployment cannot add it.
 *
 * @throws Fault if the server offers a missing extension and `azure.extensions` does not allow it
 */
export async function ensureExtensions(
  connection: Connection,
  wanted: readonly string[],
  reporter: Reporter,
): Promise<void> {
  const names = wanted.filter((name) => !elsewhere.has(name));
  if (names.length === 0) return;
  const { client } = connection;
  const found = await availableExtensions(connection, names);
  const { rows: settings } = await client.query<{ allowed: string | null; preloaded: string }>(
    `SELECT pg_catalog.current_setting('azure.extensions', true) AS allowed,
            pg_catalog.current_setting('shared_preload_libraries') AS preloaded`,
  );
  const allowed = list(settings[0]?.allowed ?? '');
  const preloaded = list(settings[0]?.preloaded ?? '');
  const missing = names.filter((name) => !found.has(name));
  const created: string[] = [];
  for (const { name, installed, schema } of found.values()) {
    const library = extension(name)?.preload;
    if (library && !preloaded.includes(library.toLowerCase())) {
      reporter.warn(`Extension ${name} has no effect until ${library} is in shared_preload_libraries`);
    }
    if (installed) continue;
    refuseUnlisted(name, allowed, connection);
    if (created.length === 0) await client.query('CREATE SCHEMA IF NOT EXISTS extensions');
    const into = schema === null ? ' WITH SCHEMA extensions' : '';
    await client.query(`CREATE EXTENSION IF NOT EXISTS ${pg.escapeIdentifier(name)}${into}`);
    created.push(name);
  }
  if (created.length > 0) reporter.line(`Created extensions ${created.join(', ')}`);
  if (missing.length > 0)
    reporter.warn(`This server does not offer the extensions ${missing.join(', ')}: skipped`);
}

async function availableExtensions(
  { client }: Connection,
  names: readonly string[],
): Promise<ReadonlyMap<string, Found>> {
  const { rows } = await client.query<Found>(
    `SELECT a.name, a.installed_version IS NOT NULL AS installed, v.schema
       FROM pg_catalog.pg_available_extensions AS a
       JOIN pg_catalog.pg_available_extension_versions AS v ON v.name = a.name AND v.version = a.default_version
      WHERE a.name = ANY ($1)`,
    [names],
  );
  return new Map(rows.map((row) => [row.name, row]));
}

function refuseUnlisted(name: string, allowed: readonly string[], { circumstances }: Connection): void {
  if (allowed.length === 0 || allowed.includes(name.toLowerCase())) return;
  throw new Fault(
    'extensions/not-allowed',
    `Extension ${name} is not allowed on ${circumstances.target}`,
    `azure.extensions lists ${allowed.join(', ')}`,
    'Add it to server.extensions in the environment file and deploy.',
  );
}

function list(setting: string): readonly string[] {
  return setting
    .split(',')
    .map((name) => name.trim().replace(/^"|"$/g, '').toLowerCase())
    .filter((name) => name !== '');
}
