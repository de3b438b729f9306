/** Refusals of a Flexible Server itself: creation, change, actions. */
import { backupRetentionDays } from '../../../azure/vocabulary.ts';
import { defineRefusals, learn } from '../core/refusal.ts';

const { minimum, maximum } = backupRetentionDays;
const docs = `${learn}/postgresql`;
const naming = `${learn}/azure-resource-manager/management/resource-name-rules#microsoftdbforpostgresql`;
const storage = `${docs}/extensions/concepts-storage`;
const reliability = `${learn}/reliability/reliability-postgresql-flexible-server`;
const backups = `${docs}/backup-restore/concepts-backup-restore`;
const logins = `${docs}/security/security-entra-concepts`;
const rest = 'https://learn.microsoft.com/rest/api/postgresql/servers/create-or-update';
const privateAccess = `${docs}/network/concepts-networking-private`;
const encryption = `${docs}/security/security-data-encryption`;
const upgrade = `${docs}/configure-maintain/concepts-major-version-upgrade`;
const stopping = `${docs}/configure-maintain/how-to-stop-server`;
const capabilities = 'https://learn.microsoft.com/rest/api/postgresql/capabilities-by-location/list';
const azurerm = (issues: string) => `azurerm ${issues}`;

export const server = defineRefusals('Flexible Server', {
  busy: {
    status: 409,
    code: 'ServerIsBusy',
    rule: 'One operation runs on a server at a time; a private endpoint, replica, promotion or virtual endpoint occupies both of its servers',
    source: `${docs}/troubleshoot/troubleshoot-common-errors-flexible-server; ${azurerm('#28298, #29177')}`,
    message: (name: string, operation: string) =>
      `The server '${name}' is busy processing another operation (${operation}). Please try again later.`,
  },
  notReady: {
    status: 409,
    code: 'OperationNotAllowedOnServerState',
    rule: 'A server that is not ready takes no change; a stopped one can be started and deleted',
    source: stopping,
    message: (name: string, state: string) =>
      `The operation is not allowed on server '${name}' while it is ${state}.`,
  },
  notStopped: {
    status: 409,
    code: 'OperationNotAllowedOnServerState',
    rule: 'Only a stopped server is started',
    source: stopping,
    message: (name: string, state: string) =>
      `Server '${name}' is ${state}; only a stopped one can be started.`,
  },
  nameNotValid: {
    status: 400,
    code: 'InvalidServerName',
    rule: 'A server name has 3 to 63 lower-case letters, digits and inner hyphens',
    source: naming,
    message: (name: string) =>
      `Server name '${name}' must have 3 to 63 lower-case letters, digits and hyphens, with no hyphen at either end.`,
  },
  nameTaken: {
    status: 409,
    code: 'ServerNameAlreadyExists',
    rule: 'A server name is unique in all of Azure',
    source: naming,
    message: (name: string) => `Specified server name '${name}' is already used.`,
  },
  regionUnknown: {
    status: 400,
    code: 'LocationNotAvailableForResourceType',
    rule: 'The region offers Flexible Server',
    source: capabilities,
    message: (location: string, type: string) => `Location '${location}' is not available for ${type}.`,
  },
  regionWithoutCapabilities: {
    status: 400,
    code: 'LocationNotAvailable',
    rule: 'Capabilities are read of a region that offers Flexible Server',
    source: capabilities,
    message: (location: string) => `Location '${location}' is not available for Flexible Server.`,
  },
  skuUnknown: {
    status: 400,
    code: 'InvalidSku',
    rule: 'The size belongs to the tier',
    source: `${docs}/configure-maintain/concepts-limits; azurerm 4.55.0, flexible_server_sku_name.go`,
    message: (name: string, tier: string) => `Sku '${name}' of tier '${tier}' does not exist.`,
  },
  versionNotOffered: {
    status: 400,
    code: 'InvalidServerVersion',
    rule: 'The major version is offered: 11 to 18',
    source: `${docs}/configure-maintain/concepts-version-policy`,
    message: (version: string, name: string) => `Version '${version}' of server '${name}' is not offered.`,
  },
  noAuthentication: {
    status: 400,
    code: 'InvalidAuthConfig',
    rule: 'Entra login or password login is on',
    source: logins,
    message: () => 'At least one way to log in must be enabled.',
  },
  zoneRedundancyWithoutZones: {
    status: 400,
    code: 'ZoneRedundantHaNotSupported',
    rule: 'A zone-redundant standby needs a region with availability zones',
    source: reliability,
    message: (location: string) => `Region '${location}' has no availability zones.`,
  },
  zoneWithoutZones: {
    status: 400,
    code: 'AvailabilityZoneNotSupported',
    rule: 'A zone is chosen only in a region with availability zones',
    source: reliability,
    message: (location: string) => `Region '${location}' has no availability zones.`,
  },
  zoneUnknown: {
    status: 400,
    code: 'InvalidAvailabilityZone',
    rule: 'A zone is 1, 2 or 3',
    source: reliability,
    message: (zone: string, name: string) => `Availability zone '${zone}' of '${name}' is not 1, 2 or 3.`,
  },
  standbyOnBurstable: {
    status: 400,
    code: 'HighAvailabilityNotSupported',
    rule: 'A Burstable server has no standby',
    source: reliability,
    message: () => 'High availability is not supported on the Burstable tier.',
  },
  standbyOnReplica: {
    status: 400,
    code: 'HighAvailabilityOnReplica',
    rule: 'A replica has no standby',
    source: `${docs}/read-replica/concepts-read-replicas`,
    message: () => 'High availability cannot be enabled on a replica.',
  },
  standbyInSameZone: {
    status: 400,
    code: 'InvalidStandbyZone',
    rule: 'A zone-redundant standby is in another zone',
    source: reliability,
    message: (name: string, zone: string) =>
      `The standby zone of '${name}' must differ from its own zone ${zone}.`,
  },
  standbyInAnotherZone: {
    status: 400,
    code: 'InvalidStandbyZone',
    rule: 'A same-zone standby is in the same zone',
    source: reliability,
    message: (name: string, zone: string) => `A standby in the same zone as '${name}' is in zone ${zone}.`,
  },
  standbyModeSwitched: {
    status: 400,
    code: 'InvalidParameterValue',
    rule: 'One mode of high availability changes to another by way of none',
    source: `${docs}/high-availability/how-to-configure-high-availability`,
    message: (modes: string) =>
      `Cannot switch Properties.HighAvailability.Mode directly from ${modes}. Please disable HA and then enable HA.`,
  },
  standbyWithTierChange: {
    status: 400,
    code: 'HighAvailabilityWithTierChange',
    rule: 'A server does not leave Burstable and change its standby at once',
    source: azurerm('#27612'),
    message: () => 'Compute tier and high availability cannot change together.',
  },
  failoverWithoutStandby: {
    status: 400,
    code: 'FailoverNotSupported',
    rule: 'A failover needs a standby',
    source: reliability,
    message: (name: string) => `Server '${name}' has no standby to fail over to.`,
  },
  diskSizeUnknown: {
    status: 400,
    code: 'InvalidStorageSize',
    rule: 'A disk has one of the sizes that Azure offers',
    source: storage,
    message: (size: number) => `A disk of ${size} GB is not offered.`,
  },
  diskTierUnknown: {
    status: 400,
    code: 'InvalidStorageTier',
    rule: 'The performance tier is offered for the size of the disk',
    source: storage,
    message: (tier: string, size: number) => `Storage tier '${tier}' is not available for ${size} GB.`,
  },
  throughputOfPremiumDisk: {
    status: 400,
    code: 'InvalidStorageThroughput',
    rule: 'Throughput is chosen for Premium SSD v2 disks only',
    source: storage,
    message: () => 'Throughput can be chosen for Premium SSD v2 disks only.',
  },
  diskShrinks: {
    status: 400,
    code: 'StorageDecreaseNotSupported',
    rule: 'A disk never shrinks',
    source: storage,
    message: (before: number, after: number) => `Storage cannot shrink from ${before} to ${after} GB.`,
  },
  diskTierLoweredTwice: {
    status: 400,
    code: 'StorageTierDowngradeTooSoon',
    rule: 'A performance tier is lowered once in 12 hours',
    source: `${learn}/virtual-machines/disks-change-performance`,
    message: () => 'A performance tier can be lowered once in 12 hours.',
  },
  diskDoesNotGrow: {
    status: 400,
    code: 'StorageDoesNotGrow',
    rule: 'A disk grows by itself if auto-grow is on, and not across 4,095 GB',
    source: `${docs}/scale-compute-storage/concepts-storage-autogrow`,
    message: (name: string, size: number) => `The disk of '${name}' (${size} GB) does not grow by itself.`,
  },
  retentionOutOfRange: {
    status: 400,
    code: 'InvalidBackupRetention',
    rule: `Backups are kept for ${minimum} to ${maximum} days`,
    source: backups,
    message: (days: number) => `Backups are kept from ${minimum} to ${maximum} days, not ${days}.`,
  },
  geoBackupWithoutPair: {
    status: 400,
    code: 'GeoRedundantBackupNotSupported',
    rule: 'Geo-redundant backup needs a region with a pair',
    source: backups,
    message: (location: string) => `Region '${location}' has no paired region for geo-redundant backup.`,
  },
  geoBackupWithoutKey: {
    status: 400,
    code: 'GeoBackupKeyRequired',
    rule: 'Geo-redundant backup with a customer-managed key needs a second key in the paired region',
    source: encryption,
    message: () =>
      'Geo-redundant backup with a customer-managed key needs a second key in the paired region.',
  },
  geoBackupChanged: {
    status: 400,
    code: 'GeoRedundantBackupImmutable',
    rule: 'Geo-redundant backup is chosen at creation',
    source: backups,
    message: () => 'Geo-redundant backup can only be chosen when the server is created.',
  },
  windowOutOfRange: {
    status: 400,
    code: 'InvalidMaintenanceWindow',
    rule: 'A maintenance window has a day of 0 to 6, an hour of 0 to 23 and a minute of 0 to 59',
    source: `${docs}/configure-maintain/concepts-maintenance`,
    message: (name: string, most: number, value: number) =>
      `${name} of a maintenance window is 0 to ${most}, not ${value}.`,
  },
  windowAtCreation: {
    status: 400,
    code: 'MaintenanceWindowNotSupportedOnCreate',
    rule: 'A maintenance window is set after the server exists',
    source: 'azurerm 4.55.0, postgresql_flexible_server_resource.go, sends it in a PATCH of its own',
    message: (name: string) => `The maintenance window of '${name}' can be set once the server exists.`,
  },
  roleAtCreation: {
    status: 400,
    code: 'InvalidReplicationRole',
    rule: 'A new server takes no replication role from the request',
    source: rest,
    message: (role: string) => `A new server cannot be given the replication role '${role}'.`,
  },
  loginWithoutPasswords: {
    status: 400,
    code: 'AdministratorLoginNotAllowed',
    rule: 'Without password login there is no administrator login or password',
    source: logins,
    message: () => 'An administrator login and its password need password authentication, which is disabled.',
  },
  loginMissing: {
    status: 400,
    code: 'MissingAdministratorLogin',
    rule: 'Password login needs an administrator login and a password',
    source: rest,
    message: () => 'Password login needs an administrator login and a password.',
  },
  loginChanged: {
    status: 400,
    code: 'AdministratorLoginImmutable',
    rule: 'The administrator login stays',
    source: rest,
    message: (login: string) => `The administrator login '${login}' cannot be changed.`,
  },
  loginReserved: {
    status: 400,
    code: 'InvalidAdministratorLogin',
    rule: 'The administrator login is not a reserved name',
    source: rest,
    message: (login: string) => `The administrator login '${login}' is reserved.`,
  },
  passwordWeak: {
    status: 400,
    code: 'InvalidPassword',
    rule: 'A password has 8 to 128 characters of three kinds and does not contain the login',
    source: rest,
    message: () =>
      'The administrator password must have 8 to 128 characters of three of: upper case, lower case, digits, others; and not the login.',
  },
  versionLowered: {
    status: 400,
    code: 'VersionDowngradeNotSupported',
    rule: 'A major version never goes back',
    source: upgrade,
    message: (before: number, after: number) => `Version ${before} cannot become ${after}.`,
  },
  propertyImmutable: {
    status: 400,
    code: 'ImmutableProperty',
    rule: 'Zone, delegated subnet and source of a server stay',
    source: 'https://learn.microsoft.com/rest/api/postgresql/servers/update',
    message: (name: string) => `'${name}' of a server cannot be changed after its creation.`,
  },
  keyIdentityNotAttached: {
    status: 400,
    code: 'InvalidUserAssignedIdentity',
    rule: 'The identity of a customer-managed key is assigned to the server',
    source: encryption,
    message: (id: string) => `Identity '${id}' of the customer-managed key is not assigned to the server.`,
  },
  zoneWithoutSubnet: {
    status: 400,
    code: 'PrivateDnsZoneNotSupported',
    rule: 'A private DNS zone is for a server in a delegated subnet',
    source: privateAccess,
    message: (name: string) =>
      `A private DNS zone is for a server in a delegated subnet, and '${name}' has none.`,
  },
  subnetWithoutZone: {
    status: 400,
    code: 'PrivateDnsZoneRequired',
    rule: 'A server in a delegated subnet has a private DNS zone',
    source: privateAccess,
    message: (zone: string) =>
      `A server in a delegated subnet needs a private DNS zone; '${zone}' was not found.`,
  },
  zoneOfAnotherSuffix: {
    status: 400,
    code: 'InvalidPrivateDnsZoneName',
    rule: "A server's private DNS zone ends in .postgres.database.azure.com",
    source: privateAccess,
    message: () => 'The private DNS zone must end in .postgres.database.azure.com.',
  },
  zoneOfServersName: {
    status: 400,
    code: 'InvalidPrivateDnsZoneName',
    rule: "A server's private DNS zone has another name than the server",
    source: privateAccess,
    message: (name: string) => `The private DNS zone cannot have the name of server '${name}'.`,
  },
  publicAccessWhenInjected: {
    status: 400,
    code: 'PublicNetworkAccessNotSupported',
    rule: 'A server in a delegated subnet has no public access',
    source: azurerm('#26098, #25812'),
    message: (name: string) => `Server '${name}' is in a virtual network and cannot have public access.`,
  },
  zoneChangedWithStandby: {
    status: 400,
    code: 'PrivateDnsZoneChangeNotSupported',
    rule: 'The private DNS zone stays while there is a standby',
    source: privateAccess,
    message: () => 'The private DNS zone of a server with high availability cannot be changed.',
  },
  subnetNotDelegated: {
    status: 400,
    code: 'SubnetNotDelegated',
    rule: 'The subnet of a server is delegated to Flexible Server',
    source: privateAccess,
    message: (subnet: string, type: string, id: string) =>
      `Subnet '${subnet}' is not delegated to ${type} (server '${id}').`,
  },
  networkInAnotherRegion: {
    status: 400,
    code: 'VirtualNetworkInAnotherRegion',
    rule: 'The network of a server is in its region',
    source: privateAccess,
    message: (subnet: string, there: string, here: string) =>
      `The virtual network of subnet '${subnet}' is in ${there}, the server in ${here}.`,
  },
  subnetTooSmall: {
    status: 400,
    code: 'SubnetTooSmall',
    rule: 'The subnet of a server has at least 16 addresses (/28)',
    source: privateAccess,
    message: (subnet: string, range: string) =>
      `Subnet '${subnet}' (${range}) is smaller than /28, the smallest allowed.`,
  },
});
