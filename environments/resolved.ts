/**
 * The meaning of an environment's settings for each of its servers and networks: sizes parsed, defaults applied,
 * values of the replica completed from the primary. Stacks and the expectations of verification take only this.
 */
import { parameter } from '../azure/parameters.ts';
import { derivedNames } from '../azure/resource-names.ts';
import { parseSku, reservedConnections, type Sku } from '../azure/skus.ts';
import type { ServerRole } from '../azure/vocabulary.ts';
import { serverParameters } from './parameters.ts';
import type { RuleId } from './problems.ts';
import type { EnvironmentSettings, NetworkSettings, ServerSettings } from './settings.ts';

/** One server of an environment, as the rules see it: resolved as far as its settings allow. */
export interface CandidateServer {
  /** Name of the server in the settings. It stays the same in a switchover. */
  readonly role: ServerRole;
  readonly name: string;
  /** Region by its programmatic name. */
  readonly location: string;
  /** Availability zone at creation. @default - Azure chooses */
  readonly zone?: string;
  /** Undefined if azurerm does not know the size. */
  readonly sku: Sku | undefined;
  readonly storage: ServerSettings['storage'];
  /** All parameters that Terraform sets, values as Azure spells them, in order of application. */
  readonly parameters: ReadonlyMap<string, string>;
  /**
   * `max_connections`: as the settings have it, or else Azure's default for a new server of the size. Undefined if the size
   * is unknown and the parameter is not set.
   */
  readonly maxConnections: number | undefined;
  /** Whether the settings' `writer` names this server. */
  readonly acceptsWrites: boolean;
}

/** One server of an environment. */
export interface ResolvedServer extends CandidateServer {
  readonly sku: Sku;
  readonly maxConnections: number;
  /** `maxConnections` without the slots that Azure reserves. */
  readonly availableConnections: number;
  /** Role in the replication: `primary` for the server that accepts writes. A switchover exchanges it. */
  readonly replicationRole: ServerRole;
  /** @default - none; only the server that accepts writes has a standby */
  readonly highAvailability?: NonNullable<ServerSettings['highAvailability']>;
  /** @default - none; only the server that accepts writes has backups of its own */
  readonly backup?: ServerSettings['backup'];
  /**
   * Zones of the server and its standby, in any order: a failover exchanges them.
   * @default - Azure chose one of them
   */
  readonly zones?: readonly string[];
  /** @default - keys managed by Azure */
  readonly customerManagedKey?: ServerKeys;
  /** Who may read it in Azure. */
  readonly access: ServerSettings['access'];
  /** Second place of its logs, in its own region. @default - the workspace only */
  readonly archive?: NonNullable<EnvironmentSettings['monitoring']['archive']>;
  readonly tags: Readonly<Record<string, string>>;
}

type Keys = NonNullable<ServerSettings['customerManagedKey']>;

export interface ServerKeys {
  readonly primary: Keys['primary'];
  /** Key of the geo-redundant backups. @default - none */
  readonly geoBackup?: Keys['primary'];
}

type AdministratorSettings = ServerSettings['authentication']['administrators'][number];

export interface Authentication {
  /** Entra tenant. @default - the tenant of the deploying identity */
  readonly tenantId?: string;
  /** Deployments log in as the first one, a group. */
  readonly administrators: readonly [AdministratorSettings, ...AdministratorSettings[]];
  /** @default - Entra only */
  readonly passwordLogin?: { readonly login: string; readonly version: number };
}

export interface RegionalNetwork {
  /** Region by its programmatic name. */
  readonly location: string;
  readonly virtualNetwork: NetworkSettings['primary']['virtualNetwork'];
  readonly endpointSubnet: NetworkSettings['primary']['endpointSubnet'];
}

export interface InjectedRegionalNetwork extends RegionalNetwork {
  /** Subnet delegated to the Flexible Server. */
  readonly delegatedSubnet: NetworkSettings['primary']['endpointSubnet'];
}

export interface PrivateDnsZoneReference {
  readonly name: string;
  /** @default - the environment's own resource group */
  readonly resourceGroup?: string;
  /** The zone exists already and is only referred to. */
  readonly existing: boolean;
  /** Of an existing zone. @default - the environment's own */
  readonly subscriptionId?: string | undefined;
  /** An Azure Policy registers the endpoints: the stack has no zone. */
  readonly byPolicy: boolean;
}

interface Networks<Regional extends RegionalNetwork> {
  readonly primary: Regional;
  /** Network of the recovery region. @default - none */
  readonly recovery?: Regional;
  readonly keyVaultZone: PrivateDnsZoneReference;
}

export interface PrivateEndpointNetwork extends Networks<RegionalNetwork> {
  readonly mode: 'privateEndpoint';
  readonly postgresqlZone: PrivateDnsZoneReference;
}

export interface InjectedNetwork extends Networks<InjectedRegionalNetwork> {
  readonly mode: 'virtualNetworkInjected';
  readonly postgresqlZone: PrivateDnsZoneReference;
}

/** A replica of public servers needs no network of its own region. */
export interface PublicNetwork extends Omit<Networks<RegionalNetwork>, 'recovery'> {
  readonly mode: 'public';
  /** Only the Key Vault's endpoint is in a network, in the primary's region. */
  readonly recovery?: undefined;
  readonly allowedRanges: Extract<NetworkSettings, { mode: 'public' }>['allowedRanges'];
}

export type ResolvedNetwork = PrivateEndpointNetwork | InjectedNetwork | PublicNetwork;

/** One environment. Every rule holds for it. */
export interface ResolvedEnvironment
  extends Omit<EnvironmentSettings, 'network' | 'replica' | 'server' | 'writer'> {
  readonly servers: { readonly primary: ResolvedServer; readonly replica?: ResolvedServer };
  /** The server that accepts writes. */
  readonly writer: ResolvedServer;
  readonly network: ResolvedNetwork;
  /** PostgreSQL major version. */
  readonly version: number;
  readonly authentication: Authentication;
  readonly extensions: readonly string[];
  readonly maintenanceWindow: ServerSettings['maintenanceWindow'];
  /** Ports of PostgreSQL and, if it is on, of PgBouncer. */
  readonly databasePorts: readonly number[];
}

/** An environment as the rules see it: its settings, with the servers resolved as far as possible. */
export interface Candidate extends EnvironmentSettings {
  readonly servers: { readonly primary: CandidateServer; readonly replica?: CandidateServer };
}

/** Settings with their servers, resolved as far as possible, for the rules. */
export function candidateOf(settings: EnvironmentSettings): Candidate {
  const { server, replica, location } = settings;
  const primary = candidateServer(settings, { ...server, role: 'primary', location, ownParameters: {} });
  if (!replica) return { ...settings, servers: { primary } };
  const { sku = server.sku, storage = server.storage, parameters: ownParameters, ...rest } = replica;
  const copy = candidateServer(settings, { ...rest, role: 'replica', sku, storage, ownParameters });
  return { ...settings, servers: { primary, replica: copy } };
}

interface ServerInput extends Pick<ServerSettings, 'name' | 'sku' | 'storage'> {
  readonly zone?: string | undefined;
  readonly role: ServerRole;
  readonly location: string;
  /** Parameters that differ from the primary's. */
  readonly ownParameters: ServerSettings['parameters'];
}

function candidateServer(settings: EnvironmentSettings, input: ServerInput): CandidateServer {
  const { server, database, writer } = settings;
  const { role, name, location, zone, storage, ownParameters } = input;
  const sku = parseSku(input.sku);
  const given = { ...server.parameters, ...ownParameters };
  const parameters = serverParameters(server, database.name, sku, given);
  const maxConnections = numeric(parameters.get('max_connections')) ?? sku?.maxConnectionsDefault;
  return {
    role,
    name,
    location,
    ...(zone !== undefined && { zone }),
    sku,
    storage,
    parameters,
    maxConnections,
    acceptsWrites: writer === role,
  };
}

/** Rules about parameters report values that are not numbers; here they count as unset. */
function numeric(value: string | undefined): number | undefined {
  return value === undefined || Number.isNaN(Number(value)) ? undefined : Number(value);
}

/** A number that is in force on a server: as set, or else Azure's default. Undefined if it is not a number. */
export function numberInForce(server: CandidateServer, name: string): number | undefined {
  if (name === 'max_connections') return server.maxConnections;
  return numeric(server.parameters.get(name) ?? parameter(name)?.default);
}

const postgresqlPort = 5432;
const pgBouncerPort = 6432;

/** @param settings of an environment that no rule refuses */
export function resolve(settings: EnvironmentSettings): ResolvedEnvironment {
  const { server, replica: _, network, writer, ...rest } = settings;
  const candidates = candidateOf(settings).servers;
  const primary = resolveServer(settings, candidates.primary);
  const replica = candidates.replica && resolveServer(settings, candidates.replica);
  return {
    ...rest,
    servers: { primary, ...(replica && { replica }) },
    writer: writer === 'primary' ? primary : guaranteed(replica, 'replica/writer-exists'),
    network: resolveNetwork(settings, network),
    version: server.version,
    authentication: resolveAuthentication(server.authentication),
    extensions: server.extensions,
    maintenanceWindow: server.maintenanceWindow,
    databasePorts: server.pgBouncer ? [postgresqlPort, pgBouncerPort] : [postgresqlPort],
  };
}

/** A value that a rule demands. Its absence is a defect of the rule, not of the settings. */
function guaranteed<Value>(value: Value | undefined, rule: RuleId): Value {
  if (value === undefined) throw new Error(`rule ${rule} accepts settings that it must refuse`);
  return value;
}

function resolveServer(settings: EnvironmentSettings, candidate: CandidateServer): ResolvedServer {
  const { server, replica, tags } = settings;
  const { role, acceptsWrites } = candidate;
  const sku = guaranteed(candidate.sku, 'compute/known-sku');
  const maxConnections = guaranteed(candidate.maxConnections, 'compute/known-sku');
  const replicationRole = acceptsWrites ? 'primary' : 'replica';
  const standby = acceptsWrites ? server.highAvailability : undefined;
  const zones = zonesOf(candidate, standby);
  const { archive, recoveryArchive } = settings.monitoring;
  const ownArchive = candidate.location === settings.location ? archive : recoveryArchive;
  const customerManagedKey = server.customerManagedKey && keysOf(server.customerManagedKey, role);
  return {
    ...candidate,
    sku,
    maxConnections,
    availableConnections: maxConnections - reservedConnections,
    replicationRole,
    ...(standby && { highAvailability: standby }),
    ...(acceptsWrites && { backup: server.backup }),
    ...(zones && { zones }),
    ...(customerManagedKey && { customerManagedKey }),
    access: server.access,
    ...(ownArchive && { archive: ownArchive }),
    tags: replica ? { ...tags, Role: acceptsWrites ? 'primary' : 'read-replica' } : tags,
  };
}

function zonesOf(
  { role, zone }: CandidateServer,
  standby: ServerSettings['highAvailability'],
): readonly string[] | undefined {
  if (zone === undefined) return undefined;
  if (standby?.mode !== 'ZoneRedundant') return [zone];
  // The settings choose the standby's zone at creation. Azure chooses it when a replica becomes the writer.
  return standby.standbyZone && role === 'primary' ? [zone, standby.standbyZone] : undefined;
}

function keysOf(keys: Keys, role: ServerRole): ServerKeys {
  if (role === 'replica') return { primary: guaranteed(keys.replica, 'encryption/replica-key') };
  return { primary: keys.primary, ...(keys.geoBackup && { geoBackup: keys.geoBackup }) };
}

function resolveAuthentication(settings: ServerSettings['authentication']): Authentication {
  const { administrators, tenantId, passwordLogin, administratorLogin, passwordVersion } = settings;
  const [first, ...others] = administrators;
  return {
    ...(tenantId !== undefined && { tenantId }),
    administrators: [guaranteed(first, 'authentication/has-administrator'), ...others],
    ...(passwordLogin && {
      passwordLogin: {
        login: guaranteed(administratorLogin, 'authentication/password-login-name'),
        version: passwordVersion ?? 1,
      },
    }),
  };
}

/** Azure prescribes these names for private endpoints. Injected servers have a zone of the environment's own. */
export const endpointZones = {
  keyVault: 'privatelink.vaultcore.azure.net',
  postgresql: 'privatelink.postgres.database.azure.com',
} as const;

function resolveNetwork(settings: EnvironmentSettings, network: NetworkSettings): ResolvedNetwork {
  const common = { keyVaultZone: resolveZone(network.keyVaultZone, endpointZones.keyVault) };
  switch (network.mode) {
    case 'public': {
      const { mode, allowedRanges, primary } = network;
      return { ...common, mode, allowedRanges, primary: resolveRegion(primary, settings.location) };
    }
    case 'privateEndpoint': {
      const { mode, postgresqlZone } = network;
      return {
        ...common,
        mode,
        postgresqlZone: resolveZone(postgresqlZone, endpointZones.postgresql),
        ...bothRegions(settings, network, resolveRegion),
      };
    }
    case 'virtualNetworkInjected': {
      const { mode, postgresqlZone } = network;
      return {
        ...common,
        mode,
        postgresqlZone: resolveZone(postgresqlZone, derivedNames.injectedZone(settings.server.name)),
        ...bothRegions(settings, network, resolveInjectedRegion),
      };
    }
  }
}

function bothRegions<Regional extends RegionalNetwork>(
  { location, recoveryLocation }: EnvironmentSettings,
  { primary, recovery }: Exclude<NetworkSettings, { mode: 'public' }>,
  resolveOne: (network: NetworkSettings['primary'], location: string) => Regional,
): Pick<Networks<Regional>, 'primary' | 'recovery'> {
  return {
    primary: resolveOne(primary, location),
    ...(recovery && {
      recovery: resolveOne(recovery, guaranteed(recoveryLocation, 'network/recovery-region')),
    }),
  };
}

function resolveRegion(network: NetworkSettings['primary'], location: string): RegionalNetwork {
  const { virtualNetwork, endpointSubnet } = network;
  return { location, virtualNetwork, endpointSubnet };
}

function resolveInjectedRegion(
  network: NetworkSettings['primary'],
  location: string,
): InjectedRegionalNetwork {
  return {
    ...resolveRegion(network, location),
    delegatedSubnet: guaranteed(network.delegatedSubnet, 'network/delegated-subnet'),
  };
}

function resolveZone(zone: NetworkSettings['keyVaultZone'], name: string): PrivateDnsZoneReference {
  const { existing, resourceGroup, subscriptionId, byPolicy } = zone;
  return {
    name: zone.name ?? name,
    existing,
    subscriptionId,
    byPolicy,
    ...(resourceGroup !== undefined && { resourceGroup }),
  };
}
