/**
 * The closed sets of words that Azure or the settings use, each declared once. Schemas, props, expectations and the
 * local Azure derive from them.
 */

/** Modes of a standby. */
export const highAvailabilityModes = ['ZoneRedundant', 'SameZone'] as const;
export type HighAvailabilityMode = (typeof highAvailabilityModes)[number];

/** High availability as the API reports it: a mode, or `Disabled` without a standby. */
export const highAvailabilityStates = [...highAvailabilityModes, 'Disabled'] as const;

/** How clients reach the servers. A server is created in one mode and keeps it. */
export const networkModes = ['privateEndpoint', 'virtualNetworkInjected', 'public'] as const;
export type NetworkMode = (typeof networkModes)[number];

/** Compute tiers, smallest first. */
export const tiers = ['Burstable', 'GeneralPurpose', 'MemoryOptimized'] as const;
export type Tier = (typeof tiers)[number];

/**
 * State of the management locks: `none` never locks, `inPlace` locks, and `lifted` removes the locks for the one deployment
 * in which a child of a locked resource is removed or replaced.
 */
export const deletionLockModes = ['none', 'inPlace', 'lifted'] as const;
export type DeletionLockMode = (typeof deletionLockModes)[number];

/** Types of an Entra principal. */
export const principalTypes = ['Group', 'ServicePrincipal', 'User'] as const;
export type PrincipalType = (typeof principalTypes)[number];

/**
 * The two servers of a pair, by the names of their settings. After a switchover the server called `replica` accepts
 * the writes.
 */
export const serverRoles = ['primary', 'replica'] as const;
export type ServerRole = (typeof serverRoles)[number];

/** The other server of the pair. */
export function otherRole(role: ServerRole): ServerRole {
  return role === 'primary' ? 'replica' : 'primary';
}

/**
 * Days that Azure keeps automatic backups.
 * https://learn.microsoft.com/azure/postgresql/backup-restore/concepts-backup-restore
 */
export const backupRetentionDays = { minimum: 7, maximum: 35 } as const;

/** Availability zones of every region that has zones. */
export const availabilityZones = ['1', '2', '3'] as const;
export type AvailabilityZone = (typeof availabilityZones)[number];

export function isAvailabilityZone(text: string): text is AvailabilityZone {
  return availabilityZones.some((zone) => zone === text);
}
