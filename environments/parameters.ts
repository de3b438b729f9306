/** The server parameters an environment sets: the project's own, then whatever its settings add or change. */
import { extension, libraryDefaults } from '../azure/extensions.ts';
import { azureValue, isStatic, type ParameterInput, parameter } from '../azure/parameters.ts';
import { parseSku } from '../azure/skus.ts';
import type { ServerRole } from '../azure/vocabulary.ts';
import type { EnvironmentSettings, ServerSettings } from './settings.ts';

export interface ServerParameter {
  readonly name: string;
  /** As Azure spells it. */
  readonly value: string;
  /** Takes effect with a restart only. */
  readonly static: boolean;
  /** Unit of the number. @default - none */
  readonly unit?: string;
}

/** Parameters the settings decide in another field, by the field that does. They cannot be given a second time. */
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

/** Whether query texts, plans and waits are recorded: unless refused, wherever the tier has a query store. */
export function queryStoreEnabled(server: Pick<ServerSettings, 'sku' | 'queryStore'>): boolean {
  return server.queryStore ?? parseSku(server.sku)?.tier !== 'Burstable';
}

/** Libraries for `shared_preload_libraries`: Azure's defaults, which setting it would lose, then what is needed. */
export function preloadLibraries(
  server: Pick<ServerSettings, 'version' | 'extensions' | 'preloadLibraries'>,
): string[] {
  const needed = server.extensions.flatMap((name) => extension(name)?.preload ?? []);
  return [...new Set([...libraryDefaults(server.version), ...needed, ...server.preloadLibraries])].sort();
}

/**
 * All parameters of one server, in the order they have to be applied (the control plane takes one at a time).
 *
 * What waits for a restart comes first, so that one restart serves all of it; PgBouncer's switch comes before its
 * other parameters, which Azure hides until it is on; the query store comes before the wait sampling it feeds.
 * Memory and `max_connections` stay unset unless the settings say otherwise: Azure derives them from the size.
 */
export function serverParameters(
  settings: EnvironmentSettings,
  role: ServerRole = 'primary',
): ServerParameter[] {
  const given: Record<string, ParameterInput> = {
    ...settings.server.parameters,
    ...(role === 'replica' ? settings.replica?.parameters : {}),
  };
  const values = new Map<string, ParameterInput>(projectParameters(settings.server, settings.database.name));
  // Replacing keeps the place in the order; what is new goes last.
  for (const [name, value] of Object.entries(given)) values.set(name, value);
  return staticFirst([...values].map(([name, value]) => serverParameter(name, value)));
}

function serverParameter(name: string, value: ParameterInput): ServerParameter {
  const unit = parameter(name)?.unit;
  return {
    name,
    value: azureValue(name, value),
    static: isStatic(name),
    ...(unit === undefined ? {} : { unit }),
  };
}

function staticFirst(parameters: readonly ServerParameter[]): ServerParameter[] {
  // The allow-list leads: a preloaded library whose extension is not allowed is a warning nobody needs.
  const rank = (one: ServerParameter) => (one.name === 'azure.extensions' ? 0 : one.static ? 1 : 2);
  return parameters
    .map((one, position) => ({ one, position }))
    .sort((left, right) => rank(left.one) - rank(right.one) || left.position - right.position)
    .map(({ one }) => one);
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
 * What happens on the server, never what is in it: statement parameters stay out of the log, because they carry
 * the tenants' data. `log_statement = all`, as the original design had it, would put all of that there.
 */
const logging: readonly [string, ParameterInput][] = [
  ['log_statement', 'ddl'],
  ['log_min_duration_statement', 1000],
  ['log_parameter_max_length', 0],
  ['log_parameter_max_length_on_error', 0],
  ['log_connections', true],
  ['log_disconnections', true],
  ['log_checkpoints', true],
  ['log_lock_waits', true],
  ['log_temp_files', 10_240],
  ['log_autovacuum_min_duration', 10_000],
  // Azure's own prefix and then who: without it a line names neither user nor database.
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

/** The disk is an SSD behind a network: random reads cost little more than sequential ones, and many fit at once. */
const planner: readonly [string, ParameterInput][] = [
  ['random_page_cost', 1.1],
  ['effective_io_concurrency', 200],
  ['checkpoint_completion_target', 0.9],
];

/**
 * Backstops in ms for sessions that set none of their own. Whoever needs longer says so in the session: migrations,
 * `llama-db maintain` and pg_dump all do.
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
    // Said even when off: Azure's pages disagree about the default, and on Burstable it must be off.
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
