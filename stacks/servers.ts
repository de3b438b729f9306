/**
 * The servers and every operation on them, as one chain. Azure refuses a second change of a server that is still busy
 * with the first, and Terraform creates resources in parallel unless they are ordered
 * (terraform-provider-azurerm#28298, #29177).
 */
import type { ITerraformDependable } from 'cdktf';
import { TerraformVariable } from 'cdktf';
import type { Construct } from 'constructs';
import { derivedNames } from '../azure/resource-names.ts';
import { Database } from '../constructs/database.ts';
import { EntraAdministrators } from '../constructs/entra-administrators.ts';
import { FirewallRules } from '../constructs/firewall-rules.ts';
import { FlexibleServer, type PasswordLogin } from '../constructs/flexible-server.ts';
import { FlexibleServerReplica } from '../constructs/flexible-server-replica.ts';
import { PrivateEndpoint } from '../constructs/private-endpoint.ts';
import type { IFlexibleServer, ServerNetwork } from '../constructs/server.ts';
import { ServerParameters } from '../constructs/server-parameters.ts';
import { VirtualEndpoint } from '../constructs/virtual-endpoint.ts';
import type { ResolvedEnvironment, ResolvedServer } from '../environments/resolved.ts';
import type { StackContext } from './context.ts';
import type { Region, ServerAccess } from './foundation.ts';

export interface Servers {
  readonly primary: IFlexibleServer;
  readonly replica?: IFlexibleServer;
  readonly database: Database;
  readonly virtualEndpoint?: VirtualEndpoint;
  /** Ends of the chain: a resource that needs all of it waits for these. */
  readonly last: readonly ITerraformDependable[];
}

export function servers(scope: Construct, context: StackContext): Servers {
  const { environment } = context;
  const { replica: server } = environment.servers;
  if (!server) return primaryChain(scope, context, { after: [] });
  const { primary, replica, database, last } =
    environment.changeFirst === 'replica'
      ? replicaFirst(scope, context, server)
      : primaryFirst(scope, context, server);
  const pair = { primary, replica, database };
  if (!environment.virtualEndpoint) return { ...pair, last };
  const virtualEndpoint = new VirtualEndpoint(scope, 'virtual_endpoint', {
    name: environment.virtualEndpoint.name,
    primary,
    replica,
    after: last,
  });
  return { ...pair, virtualEndpoint, last: [virtualEndpoint.resource] };
}

type Pair = Omit<Servers, 'virtualEndpoint'> & { readonly replica: IFlexibleServer };

function primaryFirst(scope: Construct, context: StackContext, server: ResolvedServer): Pair {
  const { primary, database, last: after } = primaryChain(scope, context, { after: [] });
  const { replica, last } = replicaChain(scope, context, { server, source: primary, after });
  return { primary, replica, database, last };
}

/** The replica comes first in the graph here, so it uses the id of the existing primary instead of a reference. */
function replicaFirst(scope: Construct, context: StackContext, server: ResolvedServer): Pair {
  const { environment, foundation } = context;
  const source = {
    id: `${foundation.primary.resourceGroup.id}/providers/Microsoft.DBforPostgreSQL/flexibleServers/${environment.servers.primary.name}`,
  };
  const { replica, last: after } = replicaChain(scope, context, { server, source, after: [] });
  return { ...primaryChain(scope, context, { after }), replica };
}

interface ChainProps {
  /** Resources that must be finished before the chain starts. */
  readonly after: readonly ITerraformDependable[];
}

/** The primary with its endpoint, administrators, parameters and database, one after another. */
function primaryChain(
  scope: Construct,
  context: StackContext,
  props: ChainProps,
): Pick<Servers, 'primary' | 'database' | 'last'> {
  const { environment, foundation, tenantId } = context;
  const { primary: server } = environment.servers;
  const primary = new FlexibleServer(scope, 'server', {
    ...serverProps(environment, server, foundation.primary),
    resourceGroupName: foundation.primary.resourceGroup.name,
    version: environment.version,
    authentication: { tenantId, passwordLogin: passwordLogin(scope, environment) },
    paired: environment.servers.replica !== undefined,
    after: props.after,
  });
  const reachable = access(scope, context, { id: 'server', region: foundation.primary, server: primary });
  const administrators = new EntraAdministrators(scope, 'server_administrators', {
    server: primary,
    tenantId,
    administrators: environment.authentication.administrators,
    after: reachable,
  });
  const parameters = new ServerParameters(scope, 'server_parameters', {
    server: primary,
    parameters: server.parameters,
    after: administrators.last,
  });
  const { name, charset, collation } = environment.database;
  const database = new Database(scope, 'database', {
    name,
    charset,
    collation,
    server: primary,
    after: parameters.last,
  });
  return { primary, database, last: [database.resource] };
}

interface ReplicaChainProps extends ChainProps {
  readonly server: ResolvedServer;
  /** The primary. */
  readonly source: Pick<IFlexibleServer, 'id'>;
}

/** The replica with its endpoint and parameters. */
function replicaChain(
  scope: Construct,
  context: StackContext,
  { server, source, after }: ReplicaChainProps,
): { readonly replica: IFlexibleServer; readonly last: readonly ITerraformDependable[] } {
  const { environment, foundation, tenantId } = context;
  const { primary, recovery = primary, recoveryGroup } = foundation;
  const region = server.location === environment.location ? primary : recovery;
  const replica = new FlexibleServerReplica(scope, 'replica', {
    ...serverProps(environment, server, region),
    resourceGroupName: recoveryGroup.name,
    source,
    ...(server.acceptsWrites && {
      authentication: { tenantId, passwordLogin: environment.authentication.passwordLogin !== undefined },
    }),
    after,
  });
  const reachable = access(scope, context, { id: 'replica', region, server: replica });
  const parameters = new ServerParameters(scope, 'replica_parameters', {
    server: replica,
    parameters: server.parameters,
    after: reachable,
  });
  return { replica, last: parameters.last };
}

/** Props that a primary and a replica share. */
function serverProps({ maintenanceWindow }: ResolvedEnvironment, server: ResolvedServer, region: Region) {
  const { name, location, sku, zone, storage, backup, highAvailability, customerManagedKey, tags } = server;
  return {
    name,
    location,
    sku: sku.name,
    zone,
    storage,
    maintenanceWindow,
    network: serverNetwork(region.access),
    backup,
    highAvailability,
    customerManagedKey,
    tags,
  };
}

function serverNetwork(access: ServerAccess): ServerNetwork {
  return access.mode === 'virtualNetworkInjected' ? access : { mode: access.mode };
}

interface AccessProps {
  /** Prefix of the addresses in the stack. */
  readonly id: string;
  readonly region: Region;
  readonly server: IFlexibleServer;
}

/** How clients reach one server. @returns what the next operation on it waits for */
function access(
  scope: Construct,
  { environment: { tags } }: StackContext,
  { id, region, server }: AccessProps,
): readonly ITerraformDependable[] {
  switch (region.access.mode) {
    case 'virtualNetworkInjected':
      return [server.resource];
    case 'public':
      return new FirewallRules(scope, `${id}_firewall`, {
        server,
        ranges: region.access.allowedRanges,
        after: [server.resource],
      }).last;
    case 'privateEndpoint':
      return [
        new PrivateEndpoint(scope, `${id}_endpoint`, {
          name: derivedNames.endpoint(server.name),
          resourceGroupName: server.resourceGroupName,
          location: region.network.location,
          subnet: region.endpoints,
          targetId: server.id,
          subresource: 'postgresqlServer',
          zone: region.access.zone,
          after: [server.resource],
          tags,
        }).last,
      ];
  }
}

/**
 * The password enters as an ephemeral variable and leaves as a write-only argument: it is in no file, no plan and
 * no state. Terraform asks for it in every plan and apply (`TF_VAR_administrator_password`), and sends it only if its
 * version rises.
 */
function passwordLogin(scope: Construct, { authentication }: ResolvedEnvironment): PasswordLogin | undefined {
  if (!authentication.passwordLogin) return undefined;
  const { login, version } = authentication.passwordLogin;
  const password = new TerraformVariable(scope, 'administrator_password', {
    type: 'string',
    description: `Password of ${login}; sent if server.authentication.passwordVersion rises.`,
    sensitive: true,
    nullable: false,
  });
  password.addOverride('ephemeral', true);
  return { login, password: password.stringValue, version };
}
