/**
 * Changes that Azure refuses because of what exists, refused in the plan: rules about settings do not know what was
 * deployed before. Each message has the steps; docs/journeys.md has the whole journeys.
 */
import type { Construct } from 'constructs';
import { skus } from '../azure/skus.ts';
import { type Condition, PresentResources, PresentServer } from '../constructs/present.ts';
import type { ResolvedEnvironment, ResolvedServer } from '../environments/resolved.ts';

export interface Transitions {
  readonly primary: readonly Condition[];
  readonly replica: readonly Condition[];
}

/** Conditions for every present server of a list; a server that does not exist yet meets them. */
const all = (list: string, holds: string): string => `alltrue([for one in ${list} : ${holds}])`;

export function transitions(scope: Construct, environment: ResolvedEnvironment): Transitions {
  const { servers, resourceGroup, recoveryResourceGroup } = environment;
  const found = new PresentResources(scope, 'present_servers', 'Microsoft.DBforPostgreSQL/flexibleServers');
  const group = resourceGroup.name;
  const place = { name: servers.primary.name, resourceGroupName: group };
  const present = () => new PresentServer(scope, 'present_server', place, found).list;
  const location = locations(scope, environment, found);
  if (!servers.replica) {
    const { highAvailability } = servers.primary;
    return {
      primary: [...location, ...(highAvailability ? standby(servers.primary, present()) : [])],
      replica: [],
    };
  }
  const primary = present();
  const replica = new PresentServer(
    scope,
    'present_replica',
    { name: servers.replica.name, resourceGroupName: recoveryResourceGroup?.name ?? group },
    found,
  ).list;
  const pair = scaling(environment, { primary, replica });
  return {
    primary: [
      ...location,
      ...standby(servers.primary, primary),
      ...upgrade(environment, { primary, replica }),
      ...(environment.changeFirst === 'primary' ? pair : []),
    ],
    replica: [...standby(servers.replica, replica), ...(environment.changeFirst === 'replica' ? pair : [])],
  };
}

/** Nothing of an environment moves: Azure keeps the names of servers and deleted vaults, and replaces everything. */
function locations(
  scope: Construct,
  { location, resourceGroup, servers, keyVault }: ResolvedEnvironment,
  found: PresentResources,
): Condition[] {
  const vaults = keyVault.existing
    ? []
    : [
        [
          'keyVault.name',
          keyVault.name,
          new PresentResources(scope, 'present_vaults', 'Microsoft.KeyVault/vaults'),
        ],
      ];
  return (
    [['server.name', servers.primary.name, found], ...vaults] as [string, string, PresentResources][]
  ).map(([setting, name, resources]) => ({
    holds: all(
      resources.at({ name, resourceGroupName: resourceGroup.name }),
      `lower(replace(one.location, " ", "")) == "${location}"`,
    ),
    message: `${name} exists in another region than ${location}, and Azure moves neither servers nor vaults: a replaced vault keeps its name where it was. Restore location, or give location together with new names for resourceGroup, server, keyVault and logAnalytics (${setting} is ${name}) as a new environment: docs/journeys.md, "Move to another region".`,
  }));
}

/** azurerm sends size and standby in one request: https://github.com/hashicorp/terraform-provider-azurerm/issues/27612 */
function standby({ name, highAvailability }: ResolvedServer, present: string): Condition[] {
  if (!highAvailability) return [];
  const { mode } = highAvailability;
  return [
    {
      holds: all(present, '!startswith(one.sku_name, "B_")'),
      message: `${name} is Burstable, and Azure does not change its tier and turn on high availability at once. Deploy server.sku without server.highAvailability first, then add it: docs/journeys.md, "From Burstable to a standby".`,
    },
    {
      holds: all(
        present,
        `alltrue([for had in one.high_availability : contains(["", "Disabled", "${mode}"], had.mode)])`,
      ),
      message: `${name} has a standby of another mode than ${mode}, and Azure does not switch the mode. Deploy without server.highAvailability first, then with ${mode}: docs/journeys.md, "Another mode of the standby".`,
    },
  ];
}

interface Pair {
  readonly primary: string;
  readonly replica: string;
}

/** https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-major-version-upgrade */
function upgrade({ version, servers }: ResolvedEnvironment, { primary, replica }: Pair): Condition[] {
  return [
    {
      holds: `length(${replica}) == 0 || ${all(primary, `one.version == "${version}"`)}`,
      message: `${servers.primary.name} has another major version than ${version}, and Azure upgrades no server with a replica. Remove the replica, upgrade, and add it again: docs/journeys.md, "Upgrade the major version".`,
    },
  ];
}

/**
 * The server that leads never exceeds the one that follows, at any moment between.
 * https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas, "Scale"
 */
function scaling(environment: ResolvedEnvironment, present: Pair): Condition[] {
  const { servers, changeFirst, writer } = environment;
  const first = changeFirst === 'replica' ? servers.replica : servers.primary;
  if (!first) return [];
  const leads = first.role === writer.role;
  const other = first.role === 'primary' ? 'replica' : 'primary';
  const list = present[other];
  const { sku, storage } = first;
  const fitting = skus.filter((one) =>
    leads
      ? one.tier !== 'Burstable' && one.vCores >= sku.vCores && one.memoryGb >= sku.memoryGb
      : one.vCores <= sku.vCores && one.memoryGb <= sku.memoryGb,
  );
  const remedy = `Set changeFirst to '${other}' for this deployment: docs/journeys.md, "Scale a pair".`;
  const names = `${first.name} changes before ${servers[other]?.name}`;
  return [
    {
      holds: all(list, `contains(${JSON.stringify(fitting.map(({ name }) => name))}, one.sku_name)`),
      message: `${names}, and the size ${sku.name} would be ${leads ? 'larger' : 'smaller'} than its size, which Azure refuses: a replica has at least the vCores and memory of its primary. ${remedy}`,
    },
    ...(storage.autoGrow === leads
      ? [
          {
            holds: all(list, `one.auto_grow_enabled == ${storage.autoGrow}`),
            message: `${names}, and a replica has auto-grow while its primary has it. ${remedy}`,
          },
        ]
      : []),
    ...(leads && (storage.resize || !storage.autoGrow)
      ? [
          {
            holds: all(list, `one.storage_mb >= ${storage.sizeGb * 1024}`),
            message: `${names}, and its disk of ${storage.sizeGb} GB would be larger, which Azure refuses: a replica has at least the disk of its primary. ${remedy}`,
          },
        ]
      : []),
  ];
}
