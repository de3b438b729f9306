/** How many connections there are and who may take them: for the rules, and for alerts that mean something. */
import { parameter } from '../azure/parameters.ts';
import { parseSku, reservedConnections } from '../azure/skus.ts';
import type { ServerRole } from '../azure/vocabulary.ts';
import type { EnvironmentSettings } from './settings.ts';

/** Connections a migration run holds at once: the one with the lock, and the one that migrates. */
export const migrationConnections = 2;

/** Azure's default of `cron.max_running_jobs`; its jobs are client sessions (`cron.use_background_workers` is off). */
const cronJobsDefault = Number(parameter('cron.max_running_jobs')?.default);

function setNumber(settings: EnvironmentSettings, role: ServerRole, name: string): number | undefined {
  const given =
    (role === 'replica' ? settings.replica?.parameters[name] : undefined) ?? settings.server.parameters[name];
  // What is no number is refused by the rule about that parameter; it must not spoil the arithmetic too.
  return given === undefined || Number.isNaN(Number(given)) ? undefined : Number(given);
}

/**
 * `max_connections` in force on a server created from these settings: as set, or else Azure's default for the size.
 * Undefined when the SKU is unknown.
 */
export function maxConnections(
  settings: EnvironmentSettings,
  role: ServerRole = 'primary',
): number | undefined {
  const sku = role === 'replica' ? (settings.replica?.sku ?? settings.server.sku) : settings.server.sku;
  return setNumber(settings, role, 'max_connections') ?? parseSku(sku)?.maxConnectionsDefault;
}

/** What is left of `max_connections` for everybody but Azure. */
export function userConnections(
  settings: EnvironmentSettings,
  role: ServerRole = 'primary',
): number | undefined {
  const all = maxConnections(settings, role);
  return all === undefined ? undefined : all - reservedConnections;
}

/** Connections pg_cron's jobs may take at once. */
export function cronConnections(settings: EnvironmentSettings): number {
  if (!settings.server.extensions.includes('pg_cron')) return 0;
  return setNumber(settings, 'primary', 'cron.max_running_jobs') ?? cronJobsDefault;
}

/** Connections all clients together may open, at full scale, while a migration runs. */
export function claimedConnections(settings: EnvironmentSettings): number {
  const pools = settings.database.pools.reduce((sum, pool) => sum + pool.maxSize * pool.instances, 0);
  return pools + migrationConnections + cronConnections(settings);
}
