/** Stacks that real Terraform and azurerm plan changes of. The token in names and ids stands for one copy of a shape. */

export type Block = Record<string, unknown>;
export type Blocks = Record<string, Record<string, Block>>;

export const group = 'database';
export const type = 'azurerm_postgresql_flexible_server';

const place = { resource_group_name: group, location: 'eastus', zone: '1' };

const private_ = {
  ...place,
  version: '17',
  sku_name: 'GP_Standard_D4s_v3',
  storage_mb: 524288,
  auto_grow_enabled: true,
  backup_retention_days: 14,
  public_network_access_enabled: false,
};

const entra = {
  active_directory_auth_enabled: true,
  password_auth_enabled: false,
  tenant_id: '9d2ac018-e843-4e14-9e2b-4e0ddac75450',
};

/** Parameters one after another, as Azure accepts them. */
function parameters(
  token: string,
  server: string,
  values: Readonly<Record<string, string>>,
  after: readonly string[] = [],
): Record<string, Block> {
  let last = after;
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      const key = `${token}_${server}_${name.replaceAll('.', '_')}`;
      const block = { name, server_id: `\${${type}.${token}_${server}.id}`, value, depends_on: [...last] };
      last = [`${type}_configuration.${key}`];
      return [key, block];
    }),
  );
}

export type Shape = (token: string) => Blocks;

export const shapes = {
  /** Nothing: the change brings its own resources. */
  none: () => ({}),
  /** One server with a database and an administrator. */
  alone: (token) => ({
    [type]: {
      [`${token}_server`]: {
        ...private_,
        name: `${token}-server`,
        authentication: entra,
        storage_tier: 'P20',
      },
    },
    [`${type}_database`]: {
      [`${token}_database`]: { name: 'app', server_id: `\${${type}.${token}_server.id}` },
    },
    [`${type}_active_directory_administrator`]: {
      [`${token}_administrator`]: {
        server_name: `\${${type}.${token}_server.name}`,
        resource_group_name: group,
        tenant_id: entra.tenant_id,
        object_id: '11111111-1111-1111-1111-111111111111',
        principal_name: 'database-admins',
        principal_type: 'Group',
      },
    },
  }),
  /** One server with parameters. */
  parameters: (token) => ({
    [type]: { [`${token}_server`]: { ...private_, name: `${token}-server`, authentication: entra } },
    [`${type}_configuration`]: parameters(
      token,
      'server',
      {
        work_mem: '8192',
        max_connections: '400',
        require_secure_transport: 'on',
        ssl_min_protocol_version: 'TLSv1.3',
        log_connections: 'on',
        'pgaudit.log': 'ddl,role',
        'azure.extensions': 'pgaudit,pg_trgm',
        shared_preload_libraries: 'pg_stat_statements,pgaudit',
        log_statement: 'ddl',
        synchronous_commit: 'on',
        default_transaction_read_only: 'off',
        session_replication_role: 'origin',
        'pgbouncer.enabled': 'true',
        'pgaudit.log_parameter': 'on',
        log_line_prefix: '%t-%u-',
        'logfiles.retention_days': '7',
        wal_level: 'logical',
        'azure.accepted_password_auth_method': 'md5,scram-sha-256',
        autovacuum: 'on',
        idle_in_transaction_session_timeout: '0',
      },
      [],
    ),
  }),
  /** A server with a standby in another zone. */
  standby: (token) => ({
    [type]: {
      [`${token}_server`]: {
        ...private_,
        name: `${token}-server`,
        authentication: entra,
        high_availability: { mode: 'ZoneRedundant', standby_availability_zone: '2' },
      },
    },
  }),
  /** A server with a replica and a virtual endpoint. */
  pair: (token) => ({
    [type]: {
      [`${token}_primary`]: { ...private_, name: `${token}-primary`, authentication: entra },
      [`${token}_replica`]: {
        ...private_,
        name: `${token}-replica`,
        location: 'westus2',
        create_mode: 'Replica',
        source_server_id: `\${${type}.${token}_primary.id}`,
        version: undefined,
        backup_retention_days: undefined,
        depends_on: [`${type}_configuration.${token}_primary_max_wal_senders`],
      },
    },
    [`${type}_configuration`]: {
      ...parameters(token, 'primary', { max_connections: '400', max_wal_senders: '20' }),
      ...parameters(token, 'replica', { max_connections: '400', max_wal_senders: '20' }, [
        `${type}_configuration.${token}_primary_max_wal_senders`,
      ]),
    },
    [`${type}_virtual_endpoint`]: {
      [`${token}_endpoint`]: {
        name: `${token}-endpoint`,
        source_server_id: `\${${type}.${token}_primary.id}`,
        replica_server_id: `\${${type}.${token}_replica.id}`,
        type: 'ReadWrite',
        depends_on: [`${type}_configuration.${token}_replica_max_wal_senders`],
      },
    },
  }),
  burstable: (token) => ({
    [type]: {
      [`${token}_server`]: {
        ...private_,
        name: `${token}-server`,
        authentication: entra,
        sku_name: 'B_Standard_B2s',
        storage_mb: 65536,
      },
    },
  }),
  /** A public server with passwords and a firewall rule. */
  open: (token) => ({
    [type]: {
      [`${token}_server`]: {
        ...private_,
        name: `${token}-server`,
        public_network_access_enabled: true,
        administrator_login: 'llama',
        administrator_password_wo: 'a-Password-of-16',
        administrator_password_wo_version: 1,
        authentication: {
          ...entra,
          active_directory_auth_enabled: false,
          password_auth_enabled: true,
          tenant_id: undefined,
        },
      },
    },
    [`${type}_firewall_rule`]: {
      [`${token}_office`]: {
        name: 'office',
        server_id: `\${${type}.${token}_server.id}`,
        start_ip_address: '20.50.10.8',
        end_ip_address: '20.50.10.15',
      },
    },
  }),
} as const satisfies Readonly<Record<string, Shape>>;

export type ShapeName = keyof typeof shapes;
