/**
 * The names that Azure accepts, by type of resource, and the names that this project derives from those of the settings.
 *
 * Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
 */
import { createHash } from 'node:crypto';
import { stableGuid } from './guid.ts';
import type { ResourceTypeName } from './resource-types.ts';

export const namingSource =
  'https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules';

/** Letters, digits, underscores, periods and hyphens, as most names of Microsoft.Network. */
const ofNetwork = (minimum: number, maximum: number) =>
  new RegExp(`^(?=.{${minimum},${maximum}}$)[A-Za-z0-9](?:[\\w.-]*\\w)?$`);

/** Anything but the characters that Azure Monitor excludes, without a space or period at either end. */
const ofMonitor = /^[^*#:<>+/&%\\?|{}@\s.](?:[^*#:<>+/&%\\?|{}@]{0,258}[^*#:<>+/&%\\?|{}@\s.])?$/;

/** Whole names, by type. A type that is not here has names that no setting decides. */
export const resourceNames = {
  'Microsoft.App/jobs': /^(?=.{2,32}$)[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/,
  'Microsoft.App/managedEnvironments': /^(?=.{2,60}$)[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/,
  'Microsoft.Authorization/locks': /^[\w.()-]{0,89}[\w()-]$/,
  'Microsoft.Consumption/budgets': /^[\w.-]{1,63}$/,
  'Microsoft.DataProtection/backupVaults': /^[A-Za-z][A-Za-z0-9-]{1,49}$/,
  'Microsoft.DataProtection/backupVaults/backupPolicies': /^[A-Za-z][A-Za-z0-9-]{2,149}$/,
  'Microsoft.DBforPostgreSQL/flexibleServers': /^(?=.{3,63}$)[a-z0-9]+(?:-+[a-z0-9]+)*$/,
  'Microsoft.DBforPostgreSQL/flexibleServers/databases': /^[A-Za-z_][A-Za-z0-9_-]{0,62}$/,
  'Microsoft.DBforPostgreSQL/flexibleServers/firewallRules': /^[A-Za-z0-9_-]{1,128}$/,
  'Microsoft.DBforPostgreSQL/flexibleServers/virtualEndpoints': /^(?=.{3,63}$)[a-z0-9]+(?:-+[a-z0-9]+)*$/,
  'Microsoft.Insights/actionGroups': /^[^:<>+/&%\\?|\s.](?:[^:<>+/&%\\?|]{0,258}[^:<>+/&%\\?|\s.])?$/,
  'Microsoft.Insights/activityLogAlerts': ofMonitor,
  'Microsoft.Insights/metricAlerts': ofMonitor,
  'Microsoft.Insights/scheduledQueryRules': ofMonitor,
  'Microsoft.KeyVault/vaults': /^(?=.{3,24}$)[A-Za-z](?:-?[A-Za-z0-9])*$/,
  'Microsoft.KeyVault/vaults/keys': /^[A-Za-z0-9-]{1,127}$/,
  'Microsoft.ManagedIdentity/userAssignedIdentities': /^[A-Za-z0-9][A-Za-z0-9_-]{2,127}$/,
  'Microsoft.Network/networkInterfaces': ofNetwork(1, 80),
  'Microsoft.Network/networkSecurityGroups': ofNetwork(1, 80),
  // The limits of DNS: 63 characters in each of 2 to 34 labels.
  'Microsoft.Network/privateDnsZones': /^(?=.{1,253}$)[\w-]{1,63}(?:\.[\w-]{1,63}){1,33}$/,
  'Microsoft.Network/privateDnsZones/virtualNetworkLinks': ofNetwork(1, 80),
  'Microsoft.Network/privateEndpoints': ofNetwork(2, 64),
  'Microsoft.Network/virtualNetworks': ofNetwork(2, 64),
  'Microsoft.Network/virtualNetworks/subnets': ofNetwork(1, 80),
  'Microsoft.Network/virtualNetworks/virtualNetworkPeerings': ofNetwork(1, 80),
  'Microsoft.OperationalInsights/workspaces': /^[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]$/,
  'Microsoft.Resources/deployments': /^[\w.()-]{1,64}$/,
  'Microsoft.Resources/resourceGroups': /^[\w.()-]{0,89}[\w()-]$/,
  'Microsoft.Storage/storageAccounts': /^[a-z0-9]{3,24}$/,
  'Microsoft.Storage/storageAccounts/blobServices/containers': /^(?=.{3,63}$)[a-z0-9](?:-?[a-z0-9])*$/,
} as const satisfies Partial<Readonly<Record<ResourceTypeName, RegExp>>>;

const byLowerCase = new Map<string, RegExp>(
  Object.entries(resourceNames).map(([type, shape]) => [type.toLowerCase(), shape]),
);

/** Whether Azure accepts a name for a type, in any case of the type. True for a type that is not in the table. */
export function isResourceName(type: string, name: string): boolean {
  return byLowerCase.get(type.toLowerCase())?.test(name) ?? true;
}

const digestLength = 8;
const digestOf = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, digestLength);

/**
 * A name of at most `maximum` characters. A longer one keeps its beginning and ends with a digest of all of it, so that it
 * is the same in each synthesis, and two long names that begin alike stay two.
 */
export function limited(maximum: number, name: string): string {
  if (name.length <= maximum) return name;
  const digest = digestOf(name);
  return `${name.slice(0, maximum - digestLength - 1).replace(/[^A-Za-z0-9]+$/, '')}-${digest}`;
}

/** The same for a name of lower-case letters and digits alone. Every other character is left out. */
export function limitedWord(maximum: number, name: string): string {
  const word = name.toLowerCase().replace(/[^a-z0-9]/g, '');
  return word.length <= maximum ? word : `${word.slice(0, maximum - digestLength)}${digestOf(name)}`;
}

const injectedZone = '.private.postgres.database.azure.com';

/** Every name that is derived from a name of the settings, within the limit of its type. */
export const derivedNames = {
  /** Environment of Container Apps of a job. */
  jobEnvironment: (job: string) => limited(60, `${job}-environment`),
  /** Resource group of its machines. @param group of the environment itself */
  jobInfrastructure: (group: string, job: string) => limited(90, `${group}-${job}`),
  identity: (server: string) => limited(128, `${server}-identity`),
  /** @param target name of the server or vault */
  endpoint: (target: string) => limited(64, `${target}-endpoint`),
  endpointInterface: (endpoint: string) => limited(80, `${endpoint}-nic`),
  endpointConnection: (endpoint: string) => limited(80, `${endpoint}-connection`),
  /** Subnets of two networks often have the same name. */
  securityGroup: (network: string, subnet: string) => limited(80, `${network}-${subnet}-nsg`),
  keyDeployment: (key: string) => limited(64, `key-vault-key-${key}`),
  weeklyBackup: (server: string) => limited(150, `${server}-weekly`),
  /** @param terms what distinguishes a policy from its successor */
  weeklyPolicy: (server: string, terms: string) => limited(150, `${server}-weekly-${digestOf(terms)}`),
  /** @param watched name of the server or vault */
  alert: (watched: string, rule: string) => limited(260, `${watched}-${rule}`),
  /** The name of a role assignment is a GUID. */
  serverAccess: (server: string, objectId: string, role: string) =>
    stableGuid('server access', server, objectId.toLowerCase(), role),
  peering: (location: string) => limited(80, `to-${location}`),
  /** Zone of injected servers. Azure's table of names limits the whole name, and DNS each label. */
  injectedZone: (server: string) => `${limited(63 - injectedZone.length, server)}${injectedZone}`,
} as const;
