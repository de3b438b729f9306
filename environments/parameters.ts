/** The server parameters of an environment: the project's own, then those that its settings add or change. */
import { extension, libraryDefaults } from '../azure/extensions.ts';
import { azureValue, isStatic, type ParameterInput } from '../azure/parameters.ts';
import { parseSku, type Sku } from '../azure/skus.ts';
import type { ServerSettings } from './settings.ts';

/** Parameters that another field of the settings decides, by that field. They cannot be set a second time. */
export const decidedElsewhere: Readonly<Record<string, string>> = {
  'azure.extensions': 'server.extensions',
  shared_preload_libraries: 'server.extensions and server.preloadLibraries',
  'cron.database_name': 'database.name',
  'pgaudit.log': 'server.auditClasses',
  'pg_qs.query_capture_mode': 'server.queryStore',
  'pgms_wait_sampling.query_capture_mode': 'server.queryStore',
  'pgbouncer.enabled': 'server.pgBouncer',
  'pgbouncer.default_pool_size': 'server.pgBouncer.defaultPoolSize',
  'pgbouncer.max_client_conn': 'server.pgBouncer.maxClientConnections',
  'pgbouncer.pool_mode': 'server.pgBouncer.poolMode',
  'metrics.pgbouncer_diagnostics': 'server.pgBouncer',
};

/** Whether query texts, plans and waits are recorded. @default true if the tier has a query store */
export function queryStoreEnabled(server: Pick<ServerSettings, 'sku' | 'queryStore'>): boolean {
  return server.queryStore ?? parseSku(server.sku)?.tier !== 'Burstable';
}

/** Libraries for `shared_preload_libraries`: Azure's defaults, which a set value replaces, and the needed ones. */
export function preloadLibraries(
  server: Pick<ServerSettings, 'version' | 'extensions' | 'preloadLibraries'>,
): string[] {
  const needed = server.extensions.flatMap((name) => extension(name)?.preload ?? []);
  return [...new Set([...libraryDefaults(server.version), ...needed, ...server.preloadLibraries])].sort();
}

/**
 * All parameters of one server with their values as Azure spells them, in the order in which they have to be applied:
 * the control plane takes one at a time.
 *
 * Static parameters come first, so that one restart serves all of them. PgBouncer's switch comes before its other
 * parameters, which Azure hides until it is on, and the query store before the wait sampling that it feeds. Memory stays
 * unset unless the settings set it: Azure derives it from the size at creation.
 *
 * @param sku size of this server. Undefined if azurerm does not know it
 * @param given parameters of the settings; each replaces the project's own value and keeps its place in the order
 */
export function serverParameters(
  server: ServerSettings,
  databaseName: string,
  sku: Sku | undefined,
  given: Readonly<Record<string, ParameterInput>>,
): ReadonlyMap<string, string> {
  const values = new Map<string, ParameterInput>([
    ...(sku ? sized(sku) : []),
    ...projectParameters(server, databaseName),
  ]);
  for (const [name, value] of Object.entries(given)) values.set(name, value);
  return new Map(staticFirst([...values].map(([name, value]) => [name, azureValue(name, value)])));
}

/**
 * Azure computes the default of `max_connections` at creation only. Set, it follows the size, so that the rules about
 * pools and the thresholds of alerts, which are computed from the size, hold for a scaled server too.
 */
function sized({ maxConnectionsDefault }: Sku): [string, ParameterInput][] {
  return [['max_connections', maxConnectionsDefault]];
}

function staticFirst(parameters: readonly [string, string][]): [string, string][] {
  // The list of allowed extensions leads: preloading a library of an extension that is not allowed logs a warning.
  const rank = ([name]: [string, string]) => (name === 'azure.extensions' ? 0 : isStatic(name) ? 1 : 2);
  // Sorting is stable.
  return [...parameters].sort((left, right) => rank(left) - rank(right));
}

function projectParameters(server: ServerSettings, databaseName: string): [string, ParameterInput][] {
  const has = (name: string) => server.extensions.includes(name);
  return [
    ...extensionParameters(server, databaseName),
    ['require_secure_transport', true],
    ['ssl_min_protocol_version', 'TLSv1.3'],
    ...logging,
    ...(has('pgaudit') ? audit(server.auditClasses) : []),
    ...planner,
    ...timeouts,
    ...observation(server),
    ...pooler(server),
  ];
}

function extensionParameters(server: ServerSettings, databaseName: string): [string, ParameterInput][] {
  const allowed = [...new Set(server.extensions)].sort();
  const parameters: [string, ParameterInput][] = [];
  if (allowed.length > 0) parameters.push(['azure.extensions', allowed.join(',')]);
  parameters.push(['shared_preload_libraries', preloadLibraries(server).join(',')]);
  if (allowed.includes('pg_cron')) parameters.push(['cron.database_name', databaseName]);
  return parameters;
}

/**
 * The log records events on the server, not data: statement parameters stay out of it, because they carry the tenants'
 * data. `log_statement = all`, as in the original design, would log all of it, and `ddl` the password of an ALTER ROLE.
 * pgaudit logs both classes of statement without passwords.
 */
const logging: readonly [string, ParameterInput][] = [
  ['log_statement', 'none'],
  ['log_min_duration_statement', 1000],
  ['log_parameter_max_length', 0],
  ['log_parameter_max_length_on_error', 0],
  ['log_connections', true],
  ['log_disconnections', true],
  ['log_checkpoints', true],
  ['log_lock_waits', true],
  ['log_temp_files', 10_240],
  ['log_autovacuum_min_duration', 10_000],
  // Azure's own prefix, extended: without the extension a line names neither user nor database.
  ['log_line_prefix', '%t-%c-user=%u,db=%d,app=%a,client=%h:'],
];

function audit(classes: readonly string[]): [string, ParameterInput][] {
  return [
    // Azure refuses the minus shorthand, so the classes are listed.
    ['pgaudit.log', classes.length > 0 ? [...new Set(classes)].join(',') : 'none'],
    ['pgaudit.log_catalog', false],
    ['pgaudit.log_parameter', false],
  ];
}

/** The disk is an SSD behind a network: random reads cost little more than sequential ones, and many run at once. */
const planner: readonly [string, ParameterInput][] = [
  ['random_page_cost', 1.1],
  ['effective_io_concurrency', 200],
  ['checkpoint_completion_target', 0.9],
];

/**
 * Limits in ms for sessions that set none of their own. Sessions that need longer set their own: migrations,
 * `llama-db maintain` and pg_dump do.
 */
const timeouts: readonly [string, ParameterInput][] = [
  ['statement_timeout', 900_000],
  ['lock_timeout', 30_000],
  ['idle_in_transaction_session_timeout', 300_000],
];

function observation(server: ServerSettings): [string, ParameterInput][] {
  const recorded = queryStoreEnabled(server);
  return [
    ['track_io_timing', true],
    ['pg_stat_statements.track', 'top'],
    // Set even if off: Azure's pages disagree about the default, and Burstable servers need it off.
    ['pg_qs.query_capture_mode', recorded ? 'top' : 'none'],
    ['pgms_wait_sampling.query_capture_mode', recorded ? 'all' : 'none'],
    ['metrics.collector_database_activity', true],
  ];
}

function pooler(server: ServerSettings): [string, ParameterInput][] {
  if (!server.pgBouncer) return [];
  return [
    ['pgbouncer.enabled', true],
    ['pgbouncer.default_pool_size', server.pgBouncer.defaultPoolSize],
    ['pgbouncer.max_client_conn', server.pgBouncer.maxClientConnections],
    ['pgbouncer.pool_mode', server.pgBouncer.poolMode],
    ['metrics.pgbouncer_diagnostics', true],
  ];
}
