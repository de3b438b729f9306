/** Changes with the impacts that a database administrator names, for real plans. `?` marks an impact under a condition. */
import type { Block, Blocks } from './shapes.ts';
import { group, type ShapeName, type } from './shapes.ts';
import type { PlannedChange, StateResource } from './testbed.ts';

export interface Row extends PlannedChange {
  readonly name: string;
  /** Impacts of all verdicts, worst first, each once. */
  readonly impacts: string;
  /** Whether azurerm restarts for static parameters itself. @default false, as in this project's stacks */
  readonly restarts?: true;
}

/** The block of a resource of a copy. */
function at(blocks: Blocks, resource: string, name: string): Block {
  const block = blocks[resource]?.[name];
  if (!block) throw new Error(`no ${resource}.${name}`);
  return block;
}

const nested = (block: Block, path: readonly string[], value: unknown): void => {
  const [key = '', ...rest] = path;
  if (rest.length > 0) {
    block[key] = { ...(block[key] as Block | undefined) };
    nested(block[key] as Block, rest, value);
  } else if (value === undefined) delete block[key];
  else block[key] = value;
};

/** Values by path of arguments of a server. */
type Values = Readonly<Record<string, unknown>>;

const set = (server: string, values: Values) => (blocks: Blocks, token: string) => {
  for (const [path, value] of Object.entries(values))
    nested(at(blocks, type, `${token}_${server}`), path.split('.'), value);
};

const server = (
  name: string,
  impacts: string,
  values: Values,
  shape: ShapeName = 'alone',
  had?: Block,
): Row => ({
  name,
  impacts,
  shape,
  change: set('server', values),
  ...(had ? { had: { server: had } } : {}),
});

const pair = (
  name: string,
  impacts: string,
  primary: Values,
  replica: Values = {},
  more: Partial<Row> = {},
): Row => ({
  name,
  impacts,
  shape: 'pair',
  change(blocks, token) {
    set('primary', primary)(blocks, token);
    set('replica', replica)(blocks, token);
  },
  ...more,
});

const parameter = (
  name: string,
  impacts: string,
  parameterName: string,
  value: string,
  more: Partial<Row> = {},
): Row => ({
  name,
  impacts,
  shape: 'parameters',
  change(blocks, token) {
    at(blocks, `${type}_configuration`, `${token}_server_${parameterName.replaceAll('.', '_')}`)['value'] =
      value;
  },
  ...more,
});

const limits = (
  name: string,
  impacts: string,
  values: Readonly<Record<string, string>>,
  more: Partial<Row> = {},
): Row => ({
  name,
  impacts,
  shape: 'pair',
  change(blocks, token) {
    for (const [key, value] of Object.entries(values))
      at(blocks, `${type}_configuration`, `${token}_${key}`)['value'] = value;
  },
  ...more,
});

/** Removes a block and everything that refers to it. */
function remove(blocks: Blocks, resource: string, name: string): void {
  delete blocks[resource]?.[name];
  for (const block of Object.values(blocks).flatMap((one) => Object.values(one)))
    if (Array.isArray(block['depends_on']))
      block['depends_on'] = block['depends_on'].filter((one) => one !== `${resource}.${name}`);
}

const removal = (name: string, impacts: string, kind: string, key: string, more: Partial<Row> = {}): Row => ({
  name,
  impacts,
  shape: kind === '_configuration' ? 'parameters' : 'alone',
  change: (blocks, token) => remove(blocks, `${type}${kind}`, `${token}_${key}`),
  ...more,
});

type Level = 'CanNotDelete' | 'ReadOnly';

const lock =
  (lock_level: Level) =>
  (_: string, id: (server: string) => string): readonly StateResource[] => [
    {
      type: 'azurerm_management_lock',
      name: 'lock',
      attributes: {
        id: `${id('server')}/providers/Microsoft.Authorization/locks/do-not-delete`,
        name: 'do-not-delete',
        scope: id('server'),
        lock_level,
        notes: '',
      },
    },
  ];

const withLock = (
  change: Row['change'],
  stays: boolean,
  lock_level: Level = 'CanNotDelete',
): Pick<Row, 'also' | 'change'> => ({
  also: lock(lock_level),
  change(blocks, token) {
    change(blocks, token);
    if (stays)
      blocks['azurerm_management_lock'] = {
        [`${token}_lock`]: {
          name: 'do-not-delete',
          scope: `\${${type}.${token}_server.id}`,
          lock_level,
        },
      };
  },
});

const larger = { sku_name: 'GP_Standard_D8s_v3' };
const smaller = { sku_name: 'GP_Standard_D2s_v3' };
const subnet = `/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/${group}/providers/Microsoft.Network/virtualNetworks/n/subnets/s`;
const terabytes = (count: number) => ({ storage_mb: count * 1024 * 1024, storage_tier: undefined });
const removeDatabase: Row['change'] = (blocks, token) =>
  remove(blocks, `${type}_database`, `${token}_database`);

export const changes: readonly Row[] = [
  server('no change', '', {}),
  server('a larger size', 'restart, cost', larger),
  server('a smaller size', 'restart, cost', smaller),
  server('another series of the same size', 'restart', { sku_name: 'GP_Standard_D4ds_v5' }),
  server('a larger size with a standby', 'restart, cost', larger, 'standby'),
  server('a larger Burstable size', 'restart, cost', { sku_name: 'B_Standard_B4ms' }, 'burstable'),
  server(
    'from Burstable to General Purpose',
    'restart, cost',
    { sku_name: 'GP_Standard_D4s_v3' },
    'burstable',
  ),
  server(
    'from Burstable to a standby at once',
    'refused-by-azure, restart, cost, online',
    { sku_name: 'GP_Standard_D4s_v3', high_availability: { mode: 'SameZone' } },
    'burstable',
  ),
  server(
    'a standby on Burstable',
    'refused-by-azure, cost, online',
    { high_availability: { mode: 'SameZone' } },
    'burstable',
  ),
  server('to Burstable', 'restart, cost, online', { sku_name: 'B_Standard_B2s' }),
  server(
    'to Burstable with a standby',
    'refused-by-azure, restart, cost, online',
    { sku_name: 'B_Standard_B2s' },
    'standby',
  ),

  server('a larger disk', 'cost, online', { storage_mb: 1048576, storage_tier: 'P30' }),
  server('a larger disk with the tier left out', 'cost, online', { ...terabytes(1) }),
  server('a smaller disk', 'data-loss', { storage_mb: 262144, storage_tier: 'P15' }),
  server('a disk across 4,096 GiB', 'restart, cost, online', { ...terabytes(8) }, 'alone', {
    storage_mb: 2097152,
    storage_tier: 'P40',
  }),
  server('a disk to 4,096 GiB', 'restart, cost', { storage_mb: 4194304, storage_tier: 'P50' }, 'alone', {
    storage_mb: 4193280,
    storage_tier: 'P50',
  }),
  server('a disk from 8 to 16 TiB', 'cost, online', { storage_mb: 16777216, storage_tier: 'P70' }, 'alone', {
    storage_mb: 8388608,
    storage_tier: 'P70',
  }),
  server('a higher storage tier', 'cost, online', { storage_tier: 'P30' }),
  server('a lower storage tier', 'refused-by-azure?, online', { storage_tier: 'P20' }, 'alone', {
    storage_tier: 'P30',
  }),
  server('no auto-grow', 'online', { auto_grow_enabled: false }),

  server('to a tier with another price', 'restart, cost', { sku_name: 'MO_Standard_E4ds_v5' }),
  server('a standby in the zone of its primary', 'refused-by-azure, cost, online', {
    high_availability: { mode: 'ZoneRedundant', standby_availability_zone: '1' },
  }),
  server('a standby of the same zone in another one', 'refused-by-azure, cost, online', {
    high_availability: { mode: 'SameZone', standby_availability_zone: '2' },
  }),
  server('a standby in the same zone', 'cost, online', { high_availability: { mode: 'SameZone' } }),
  {
    ...server('tags below a ReadOnly lock', 'refused-by-azure, nothing', {}),
    ...withLock(set('server', { tags: { Owner: 'platform' } }), true, 'ReadOnly'),
  },
  server('longer backups', 'online', { backup_retention_days: 35 }),
  server('shorter backups', 'recovery-weakened', { backup_retention_days: 7 }),
  server('geo-redundant backups', 'data-loss', { geo_redundant_backup_enabled: true }),
  server('a maintenance window', 'nothing', { maintenance_window: { day_of_week: 3, start_hour: 2 } }),
  server('a standby', 'cost, online', {
    high_availability: { mode: 'ZoneRedundant', standby_availability_zone: '2' },
  }),
  server('no standby', 'recovery-weakened, cost', { high_availability: undefined }, 'standby'),
  server(
    'another mode of the standby',
    'refused-by-azure',
    { 'high_availability.mode': 'SameZone', 'high_availability.standby_availability_zone': '2' },
    'standby',
  ),
  server(
    'zones exchanged',
    'failover',
    { zone: '2', 'high_availability.standby_availability_zone': '1' },
    'standby',
  ),
  server('another zone of the primary', 'refused-by-azure', { zone: '3' }, 'standby'),
  server('another zone without a standby', 'refused-by-azure', { zone: '2' }),
  server(
    'another zone of the standby',
    'refused-by-azure',
    { 'high_availability.standby_availability_zone': '3' },
    'standby',
  ),

  server('a newer major version', 'long-outage', { version: '18' }),
  server('an older major version', 'data-loss', { version: '16' }),
  server('another name', 'data-loss, nothing', { name: 'renamed-server' }),
  server('another region', 'data-loss', { location: 'westeurope' }),
  server('a subnet of its own', 'data-loss', { delegated_subnet_id: subnet }),
  server('public access', 'security-weakened', { public_network_access_enabled: true }),
  server('no public access', 'online', { public_network_access_enabled: false }, 'open'),
  server(
    'Entra logins',
    'restart',
    {
      'authentication.active_directory_auth_enabled': true,
      'authentication.tenant_id': '9d2ac018-e843-4e14-9e2b-4e0ddac75450',
    },
    'open',
  ),
  server('a new password', 'online', { administrator_password_wo_version: 2 }, 'open'),
  server('another administrator login', 'data-loss, nothing', { administrator_login: 'other' }, 'open'),
  server('passwords', 'security-weakened', { 'authentication.password_auth_enabled': true }),
  server('tags', 'nothing', { tags: { Owner: 'platform' } }),
  server('a longer timeout', '', { timeouts: { update: '4h' } }),
  server('an identity', 'online', { identity: { type: 'SystemAssigned' } }),
  server('another mode of creation', 'refused-by-azure', { create_mode: 'PointInTimeRestore' }),
  {
    ...server('the server removed', 'data-loss', {}, 'standby'),
    change: (blocks, token) => remove(blocks, type, `${token}_server`),
  },

  pair('a pair scaled up, primary first', 'refused-by-azure, restart, cost', larger, larger),
  pair('a pair scaled down, primary first', 'restart, cost', smaller, smaller),
  pair('only the replica scaled up', 'restart, cost', {}, larger),
  pair('only the replica scaled down', 'refused-by-azure, restart, cost', {}, smaller),
  pair('only the primary scaled up', 'refused-by-azure, restart, cost', larger),
  pair('a larger disk of the primary', 'refused-by-azure, cost, online', { storage_mb: 1048576 }),
  pair('auto-grow of the replica off', 'refused-by-azure, online', {}, { auto_grow_enabled: false }),
  pair('an upgrade with a replica', 'refused-by-azure, long-outage', { version: '18' }),
  pair('the replica promoted', 'recovery-weakened', {}, { replication_role: 'None' }),
  pair(
    'a standby on the replica',
    'refused-by-azure, cost, online',
    {},
    { high_availability: { mode: 'SameZone' } },
  ),
  pair('the replica in another region', 'long-outage, online, nothing', {}, { location: 'northeurope' }),
  pair(
    'the virtual endpoint renamed',
    'long-outage',
    {},
    {},
    {
      change: (blocks, token) => {
        at(blocks, `${type}_virtual_endpoint`, `${token}_endpoint`)['name'] = `${token}-other`;
      },
    },
  ),
  pair(
    'the virtual endpoint removed',
    'long-outage',
    {},
    {},
    { change: (blocks, token) => remove(blocks, `${type}_virtual_endpoint`, `${token}_endpoint`) },
  ),
  limits('only the primary with more connections', 'refused-by-azure, restart', {
    primary_max_connections: '800',
  }),
  limits('a pair with more connections', 'restart', {
    primary_max_connections: '800',
    replica_max_connections: '800',
  }),
  limits('limits that rise and fall', 'refused-by-azure, restart', {
    primary_max_connections: '800',
    replica_max_connections: '800',
    primary_max_wal_senders: '10',
    replica_max_wal_senders: '10',
  }),
  limits(
    'more connections at once, primary first',
    'refused-by-azure, restart',
    { primary_max_connections: '800', replica_max_connections: '800' },
    { restarts: true },
  ),
  limits(
    'fewer connections at once, primary first',
    'restart',
    { primary_max_connections: '300', replica_max_connections: '300' },
    { restarts: true },
  ),

  parameter('a dynamic parameter', 'online', 'work_mem', '16384'),
  parameter('only reads', 'read-only, online', 'default_transaction_read_only', 'on'),
  parameter('no triggers', 'security-weakened, online', 'session_replication_role', 'replica'),
  parameter('no pooler', 'long-outage, online', 'pgbouncer.enabled', 'false'),
  parameter('no audited values', 'security-weakened, online', 'pgaudit.log_parameter', 'off'),
  parameter('lines of the log without users', 'security-weakened, online', 'log_line_prefix', '%t-'),
  parameter('a shorter log', 'security-weakened, online', 'logfiles.retention_days', '3'),
  parameter('logical replication off', 'recovery-weakened, restart', 'wal_level', 'replica'),
  parameter('passwords of SCRAM only', 'online', 'azure.accepted_password_auth_method', 'scram-sha-256'),
  parameter('no vacuum', 'recovery-weakened, online', 'autovacuum', 'off'),
  parameter('an idle limit', 'online', 'idle_in_transaction_session_timeout', '60000'),
  parameter('a static parameter at once', 'restart', 'max_connections', '500', { restarts: true }),
  parameter('a static parameter by the post-deploy step', 'restart', 'max_connections', '500'),
  parameter('TLS not required', 'security-weakened, online', 'require_secure_transport', 'off'),
  parameter('an older TLS', 'security-weakened, online', 'ssl_min_protocol_version', 'TLSv1.2'),
  parameter('logins not logged', 'security-weakened, online', 'log_connections', 'off'),
  parameter('fewer audit classes', 'security-weakened, online', 'pgaudit.log', 'ddl'),
  parameter(
    'all audit classes but one',
    'refused-by-azure, security-weakened, online',
    'pgaudit.log',
    'all,-role',
  ),
  parameter('more audit classes', 'online', 'pgaudit.log', 'ddl,role,read'),
  parameter('no audit extension', 'security-weakened, online', 'azure.extensions', 'pg_trgm'),
  parameter('another extension', 'online', 'azure.extensions', 'pgaudit,pg_trgm,hstore'),
  parameter(
    'the audit library not loaded',
    'security-weakened, restart',
    'shared_preload_libraries',
    'pg_stat_statements',
  ),
  parameter('fewer statements logged', 'security-weakened, online', 'log_statement', 'none'),
  parameter('more statements logged', 'online', 'log_statement', 'all'),
  parameter('a read-only parameter', 'refused-by-azure, recovery-weakened', 'synchronous_commit', 'off'),
  parameter('a value out of range', 'refused-by-azure, restart', 'max_connections', '6000'),
  removal('a parameter reset', 'online', '_configuration', 'server_work_mem'),
  removal(
    'a control reset to its default',
    'security-weakened, online',
    '_configuration',
    'server_ssl_min_protocol_version',
  ),
  removal('audit classes reset', 'security-weakened, online', '_configuration', 'server_pgaudit_log'),

  removal('the database removed', 'data-loss', '_database', 'database'),
  {
    ...removal('the database removed under a lock', 'data-loss, refused-by-azure', '_database', 'database'),
    ...withLock(removeDatabase, true),
  },
  {
    ...removal('the database removed with its lock', 'data-loss, security-weakened', '_database', 'database'),
    ...withLock(removeDatabase, false),
  },
  {
    ...server('another collation', 'data-loss', {}),
    change(blocks, token) {
      at(blocks, `${type}_database`, `${token}_database`)['collation'] = 'de_DE.utf8';
    },
  },
  removal('an administrator removed', 'online', '_active_directory_administrator', 'administrator'),
  {
    ...server('another administrator', 'security-weakened', {}),
    change(blocks, token) {
      blocks[`${type}_active_directory_administrator`] = {
        ...blocks[`${type}_active_directory_administrator`],
        [`${token}_second`]: {
          ...at(blocks, `${type}_active_directory_administrator`, `${token}_administrator`),
          object_id: '22222222-2222-2222-2222-222222222222',
          principal_name: 'others',
        },
      };
    },
  },
  {
    ...server('a wider firewall rule', 'security-weakened', {}, 'open'),
    change(blocks, token) {
      at(blocks, `${type}_firewall_rule`, `${token}_office`)['end_ip_address'] = '20.50.10.255';
    },
  },
  {
    ...server('a narrower firewall rule', 'online', {}, 'open'),
    change(blocks, token) {
      at(blocks, `${type}_firewall_rule`, `${token}_office`)['end_ip_address'] = '20.50.10.8';
    },
  },
  removal('a firewall rule removed', 'online', '_firewall_rule', 'office', { shape: 'open' }),
];
