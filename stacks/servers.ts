/**
 * The servers and everything that is an operation on them, as one chain: Azure refuses a second change on a server
 * that is still busy with the first, and Terraform makes in parallel whatever is not ordered
 * (terraform-provider-azurerm#28298, #29177).
 */
import type { ITerraformDependable } from 'cdktf';
import { TerraformVariable } from 'cdktf';
import type { Construct } from 'constructs';
import { Database } from '../constructs/database.ts';
import { EntraAdministrators } from '../constructs/entra-administrators.ts';
import { FirewallRules } from '../constructs/firewall-rules.ts';
import { FlexibleServer, type IFlexibleServer, type PasswordLogin } from '../constructs/flexible-server.ts';
import { FlexibleServerReplica } from '../constructs/flexible-server-replica.ts';
import { PrivateEndpoint } from '../constructs/private-endpoint.ts';
import { ServerParameters } from '../constructs/server-parameters.ts';
import type { ServerNetwork } from '../constructs/server-resource.ts';
import { VirtualEndpoint } from '../constructs/virtual-endpoint.ts';
import { serverParameters } from '../environments/parameters.ts';
import type { EnvironmentSettings, ReplicaSettings } from '../environments/settings.ts';
import type { Foundation, Region } from './foundation.ts';

export interface Servers {
  readonly primary: IFlexibleServer;
  readonly replica?: IFlexibleServer;
  readonly database: Database;
  readonly virtualEndpoint?: VirtualEndpoint;
  /** Ends of the chain: whoever needs all of it finished waits for these. */
  readonly last: readonly ITerraformDependable[];
}

export function servers(
  scope: Construct,
  settings: EnvironmentSettings,
  base: Foundation,
  tenantId: string,
): Servers {
  const given = settings.replica;
  if (!given) {
    const { last, ...alone } = primaryChain(scope, settings, base, tenantId, []);
    return { ...alone, last };
  }
  // The other way round, the primary cannot be referred to by what comes before it: it is there already.
  const first =
    settings.changeFirst === 'replica'
      ? replicaChain(scope, settings, given, base, tenantId, { id: existingPrimary(settings, base) }, [])
      : undefined;
  const { primary, database, last } = primaryChain(scope, settings, base, tenantId, first?.last ?? []);
  const { replica, last: replicaLast } =
    first ?? replicaChain(scope, settings, given, base, tenantId, primary, last);
  const pair = { primary, database, replica };
  const after = first ? last : replicaLast;
  if (!settings.virtualEndpoint) return { ...pair, last: after };
  const virtualEndpoint = new VirtualEndpoint(scope, 'virtual_endpoint', {
    name: settings.virtualEndpoint.name,
    primary,
    replica,
    after,
  });
  return { ...pair, virtualEndpoint, last: [virtualEndpoint.resource] };
}

/** Resource id of the primary, by its name. */
function existingPrimary({ server }: EnvironmentSettings, base: Foundation): string {
  return `${base.primary.resourceGroup.id}/providers/Microsoft.DBforPostgreSQL/flexibleServers/${server.name}`;
}

/** The primary with its endpoint, administrators, parameters and database, one after another. */
function primaryChain(
  scope: Construct,
  settings: EnvironmentSettings,
  base: Foundation,
  tenantId: string,
  after: readonly ITerraformDependable[],
): Pick<Servers, 'primary' | 'database' | 'last'> {
  const primary = primaryServer(scope, settings, base, tenantId, after);
  const reachable = access(scope, 'server', settings, base, base.primary, primary);
  const administrators = new EntraAdministrators(scope, 'server_administrators', {
    server: primary,
    tenantId,
    administrators: settings.server.authentication.administrators,
    after: reachable,
  });
  const parameters = new ServerParameters(scope, 'server_parameters', {
    server: primary,
    parameters: serverParameters(settings, 'primary'),
    after: administrators.last,
  });
  const { name, charset, collation } = settings.database;
  const database = new Database(scope, 'database', {
    name,
    charset,
    collation,
    server: primary,
    after: parameters.last,
  });
  return { primary, database, last: [database.resource] };
}

/** The replica with its endpoint and parameters. */
function replicaChain(
  scope: Construct,
  settings: EnvironmentSettings,
  given: ReplicaSettings,
  base: Foundation,
  tenantId: string,
  source: Pick<IFlexibleServer, 'id'>,
  after: readonly ITerraformDependable[],
): { readonly replica: IFlexibleServer; readonly last: readonly ITerraformDependable[] } {
  const replica = replicaServer(scope, settings, given, base, { source, after }, tenantId);
  const reachable = access(scope, 'replica', settings, base, base.recovery ?? base.primary, replica);
  const parameters = new ServerParameters(scope, 'replica_parameters', {
    server: replica,
    parameters: serverParameters(settings, 'replica'),
    after: reachable,
  });
  return { replica, last: parameters.last };
}

function primaryServer(
  scope: Construct,
  settings: EnvironmentSettings,
  base: Foundation,
  tenantId: string,
  after: readonly ITerraformDependable[],
): FlexibleServer {
  const { server } = settings;
  const key = server.customerManagedKey;
  return new FlexibleServer(scope, 'server', {
    name: server.name,
    resourceGroupName: base.primary.resourceGroup.name,
    location: settings.location,
    version: server.version,
    sku: server.sku,
    zone: server.zone,
    storage: server.storage,
    maintenanceWindow: server.maintenanceWindow,
    network: serverNetwork(settings, base, base.primary),
    ...byRole(settings, 'primary'),
    customerManagedKey: key,
    authentication: { tenantId, passwordLogin: passwordLogin(scope, settings) },
    paired: settings.replica !== undefined,
    after,
  });
}

function replicaServer(
  scope: Construct,
  settings: EnvironmentSettings,
  given: ReplicaSettings,
  base: Foundation,
  from: {
    readonly source: Pick<IFlexibleServer, 'id'>;
    readonly after: readonly ITerraformDependable[];
  },
  tenantId: string,
): FlexibleServerReplica {
  const { server } = settings;
  const key = server.customerManagedKey?.replica;
  return new FlexibleServerReplica(scope, 'replica', {
    name: given.name,
    resourceGroupName: base.recoveryGroup.name,
    location: given.location,
    sku: given.sku ?? server.sku,
    zone: given.zone,
    storage: given.storage ?? server.storage,
    maintenanceWindow: server.maintenanceWindow,
    network: serverNetwork(settings, base, base.recovery ?? base.primary),
    ...byRole(settings, 'replica'),
    ...(key && { customerManagedKey: { primary: key } }),
    source: from.source,
    ...(settings.writer === 'replica' && {
      authentication: { tenantId, passwordLogin: server.authentication.passwordLogin },
    }),
    after: from.after,
  });
}

/**
 * What goes with the role: standby and backups belong to the server that takes writes, and a switchover exchanges
 * them.
 */
function byRole(settings: EnvironmentSettings, server: EnvironmentSettings['writer']) {
  const { backup, highAvailability } = settings.server;
  const writes = settings.writer === server;
  return {
    ...(writes && { backup, highAvailability }),
    tags: settings.replica ? { ...settings.tags, Role: writes ? 'primary' : 'read-replica' } : settings.tags,
  };
}

function serverNetwork(settings: EnvironmentSettings, base: Foundation, region: Region): ServerNetwork {
  const { mode } = settings.network;
  if (mode !== 'virtualNetworkInjected') return { mode };
  const { servers: subnet } = region;
  const { postgresqlZone: zone } = base;
  if (!subnet || !zone) {
    throw new Error(
      `${settings.name} has no delegated subnet for its servers, which its settings' rules refuse`,
    );
  }
  return {
    mode,
    subnetId: subnet.id,
    privateDnsZoneId: zone.id,
    // An injected replica copies over the peering, another one over Azure's own network.
    ready: [subnet.ready, ...zone.links, ...base.peering],
  };
}

/** How clients reach one server. @returns what the next operation on it waits for */
function access(
  scope: Construct,
  id: string,
  settings: EnvironmentSettings,
  base: Foundation,
  region: Region,
  server: IFlexibleServer,
): readonly ITerraformDependable[] {
  const { network, tags } = settings;
  if (network.mode === 'public') {
    return new FirewallRules(scope, `${id}_firewall`, {
      server,
      ranges: network.allowedRanges,
      after: [server.resource],
    }).last;
  }
  if (network.mode === 'virtualNetworkInjected' || !base.postgresqlZone) return [server.resource];
  return [
    new PrivateEndpoint(scope, `${id}_endpoint`, {
      name: `${server.name}-endpoint`,
      resourceGroupName: server.resourceGroupName,
      location: region.network.location,
      subnet: region.endpoints,
      targetId: server.id,
      subresource: 'postgresqlServer',
      zone: base.postgresqlZone,
      after: [server.resource],
      tags,
    }).last,
  ];
}

/**
 * The password enters as an ephemeral variable and leaves as a write-only argument: it is in no file, no plan and
 * no state. Terraform asks for it in every plan and apply (`TF_VAR_administrator_password`); only a raised version
 * sends it.
 */
function passwordLogin(scope: Construct, { server }: EnvironmentSettings): PasswordLogin | undefined {
  const { passwordLogin: allowed, administratorLogin, passwordVersion } = server.authentication;
  if (!allowed || administratorLogin === undefined) return undefined;
  const password = new TerraformVariable(scope, 'administrator_password', {
    type: 'string',
    description: `Password of ${administratorLogin}; sent when server.authentication.passwordVersion rises.`,
    sensitive: true,
    nullable: false,
  });
  password.addOverride('ephemeral', true);
  return { login: administratorLogin, password: password.stringValue, version: passwordVersion ?? 1 };
}
