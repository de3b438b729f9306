/** Names that may be taken once: in all of Azure, in a resource group, or in a network, zone or vault. */
import { derivedNames } from '../../azure/resource-names.ts';
import type { Problem, RuleId } from '../problems.ts';
import { endpointZones } from '../resolved.ts';
import { problemOf, type RuleText, urls } from '../rule.ts';
import type { EnvironmentSettings, NetworkSettings } from '../settings.ts';

/** A name that an environment takes. */
interface Taken {
  readonly field: string;
  readonly name: string | undefined;
  /**
   * The place in which the name is unique, from the outside in.
   * @default - all of Azure
   */
  readonly within?: readonly string[];
  /** Name in Azure, if it is derived from the one of the field. @default - `name` */
  readonly as?: string;
}

/** A rule about all environments together, and about the names of each one. */
export interface UniquenessRule extends RuleText {
  readonly taken: (settings: EnvironmentSettings) => readonly Taken[];
}

function defineUniqueness<const Id extends `across/${string}`>(
  rules: Readonly<Record<Id, UniquenessRule>>,
): Readonly<Record<Id, UniquenessRule>> {
  return rules;
}

/** Groups of the two regions. Resources of a replica are in the second, which may be the first. */
function groupsOf({ resourceGroup, recoveryResourceGroup }: EnvironmentSettings) {
  return { primary: resourceGroup.name, recovery: recoveryResourceGroup?.name ?? resourceGroup.name };
}

interface Network {
  readonly field: string;
  readonly group: string;
  readonly given: NetworkSettings['primary'];
}

function networksOf(settings: EnvironmentSettings): readonly Network[] {
  const { network } = settings;
  const recovery = network.mode === 'public' ? undefined : network.recovery;
  const groups = groupsOf(settings);
  return (['primary', 'recovery'] as const).flatMap((side) => {
    const given = side === 'primary' ? network.primary : recovery;
    if (!given) return [];
    return [{ field: `network.${side}`, group: given.virtualNetwork.resourceGroup ?? groups[side], given }];
  });
}

function subnetsOf({ field, given: { endpointSubnet, delegatedSubnet } }: Pick<Network, 'field' | 'given'>) {
  return [
    { field: `${field}.endpointSubnet.name`, name: endpointSubnet.name },
    ...(delegatedSubnet ? [{ field: `${field}.delegatedSubnet.name`, name: delegatedSubnet.name }] : []),
  ];
}

function zonesOf(settings: EnvironmentSettings) {
  const { network, server } = settings;
  const { mode } = network;
  const zone = (field: string, given: NetworkSettings['keyVaultZone'], standard: string) => ({
    field: `network.${field}.name`,
    name: given.name ?? standard,
    group: given.resourceGroup ?? groupsOf(settings).primary,
    existing: given.existing,
    byPolicy: given.byPolicy,
  });
  const all = [
    zone('keyVaultZone', network.keyVaultZone, endpointZones.keyVault),
    ...(mode === 'public'
      ? []
      : [
          zone(
            'postgresqlZone',
            network.postgresqlZone,
            mode === 'privateEndpoint' ? endpointZones.postgresql : derivedNames.injectedZone(server.name),
          ),
        ]),
  ];
  // An Azure Policy has the others.
  return all.filter(({ byPolicy }) => !byPolicy);
}

const groupScope = `docs/decisions.md, 36; ${urls.naming}`;

export const acrossRules = defineUniqueness({
  'across/environment-name': {
    rule: "an environment's name is used once: it is its stack's id",
    source: 'docs/decisions.md, 1',
    taken: ({ name }) => [{ field: 'name', name }],
  },

  'across/server-name': {
    rule: "a server's name is used once: it is the host name under postgres.database.azure.com",
    source: urls.naming,
    taken: ({ server, replica }) => [
      { field: 'server.name', name: server.name },
      { field: 'replica.name', name: replica?.name },
    ],
  },

  'across/virtual-endpoint-name': {
    rule: "a virtual endpoint's name is used once: it is a host name under postgres.database.azure.com",
    source: urls.endpoints,
    taken: ({ virtualEndpoint }) => [{ field: 'virtualEndpoint.name', name: virtualEndpoint?.name }],
  },

  'across/key-vault-name': {
    rule: 'the name of a key vault that is created here is used once: it is the host name under vault.azure.net',
    source: urls.naming,
    taken: ({ keyVault }) => [
      { field: 'keyVault.name', name: keyVault.existing ? undefined : keyVault.name },
    ],
  },

  'across/state-account': {
    rule: "each environment keeps its state in a storage account of its own: the name of an account is unique in all of Azure, and an identity that may write one environment's state must not reach another's",
    source: `docs/decisions.md, 1; ${urls.naming}`,
    taken: ({ state }) => [
      {
        field: 'state.storageAccount',
        name: state.backend === 'azurerm' ? state.storageAccount : undefined,
      },
    ],
  },

  'across/resource-group': {
    rule: 'a resource group that is created here belongs to one environment, for one purpose: environments may share a subscription, and a group that two created would go with the first',
    source: groupScope,
    taken: ({ resourceGroup, recoveryResourceGroup, state }) => [
      { field: 'resourceGroup.name', name: resourceGroup.existing ? undefined : resourceGroup.name },
      {
        field: 'recoveryResourceGroup.name',
        name: recoveryResourceGroup?.existing ? undefined : recoveryResourceGroup?.name,
      },
      { field: 'state.resourceGroup', name: state.backend === 'azurerm' ? state.resourceGroup : undefined },
    ],
  },

  'across/virtual-network': {
    rule: 'a virtual network that is created here has its name once in its resource group',
    source: groupScope,
    taken: (settings) =>
      networksOf(settings).map(({ field, group, given: { virtualNetwork } }) => ({
        field: `${field}.virtualNetwork.name`,
        name: virtualNetwork.existing ? undefined : virtualNetwork.name,
        within: [group],
      })),
  },

  'across/subnet': {
    rule: 'a subnet has its name once in its network, and its security group, NETWORK-SUBNET-nsg, once in the resource group of the network',
    source: groupScope,
    taken: (settings) =>
      networksOf(settings).flatMap(({ field, group, given }) => {
        const network = given.virtualNetwork.name;
        return subnetsOf({ field, given }).flatMap((subnet) => [
          { ...subnet, within: ['network', group, network] },
          {
            ...subnet,
            within: ['security group', group],
            as: derivedNames.securityGroup(network, subnet.name),
          },
        ]);
      }),
  },

  'across/private-dns-zone': {
    rule: 'a private DNS zone that is created here has its name once in its resource group',
    source: groupScope,
    remedy: 'Set existing: true where the zone is only used, or give each environment a group of its own.',
    taken: (settings) =>
      zonesOf(settings).map(({ field, name, group, existing }) => ({
        field,
        name: existing ? undefined : name,
        within: [group],
      })),
  },

  'across/private-dns-link': {
    rule: "a network's link to a private DNS zone, which has the name of the network, has its name once in the zone",
    source: groupScope,
    taken: (settings) =>
      zonesOf(settings).flatMap((zone) =>
        networksOf(settings).map(({ field, given: { virtualNetwork } }) => ({
          field: `${field}.virtualNetwork.name`,
          // The owners of an adopted network and an adopted zone link them.
          name: virtualNetwork.existing && zone.existing ? undefined : virtualNetwork.name,
          within: [zone.group, zone.name],
        })),
      ),
  },

  'across/zone-of-network': {
    rule: 'a network is linked to one private DNS zone of a name: Azure refuses a second one, because a name would have two answers',
    source: 'https://learn.microsoft.com/azure/dns/private-dns-virtual-network-links',
    remedy: 'Let the environments of one network adopt one zone (existing: true).',
    taken: (settings) =>
      zonesOf(settings).flatMap((zone) =>
        networksOf(settings).map(({ group, given: { virtualNetwork } }) => ({
          field: zone.field,
          name: virtualNetwork.existing && zone.existing ? undefined : zone.name,
          within: [group, virtualNetwork.name],
        })),
      ),
  },

  'across/private-endpoint': {
    rule: 'a private endpoint, TARGET-endpoint, has its name once in its resource group',
    source: groupScope,
    taken: (settings) => {
      const { network, server, replica, keyVault } = settings;
      const groups = groupsOf(settings);
      const endpoint = (field: string, name: string, group: string): Taken => ({
        field,
        name,
        within: [group],
        as: derivedNames.endpoint(name),
      });
      return [
        endpoint('keyVault.name', keyVault.name, groups.primary),
        ...(network.mode === 'privateEndpoint'
          ? [
              endpoint('server.name', server.name, groups.primary),
              ...(replica ? [endpoint('replica.name', replica.name, groups.recovery)] : []),
            ]
          : []),
      ];
    },
  },

  'across/vault-key': {
    rule: 'a key has its name once in its vault, and the deployment that creates it, key-vault-key-KEY, once in the resource group of the vault',
    source: groupScope,
    taken: (settings) => {
      const { keyVault } = settings;
      const { name } = keyVault.fieldEncryptionKey;
      const field = 'keyVault.fieldEncryptionKey.name';
      return [
        { field, name, within: ['vault', keyVault.name] },
        {
          field,
          name,
          within: ['group', keyVault.resourceGroup ?? groupsOf(settings).primary],
          as: derivedNames.keyDeployment(name),
        },
      ];
    },
  },

  'across/workspace': {
    rule: 'a Log Analytics workspace that is created here has its name once in its resource group',
    source: groupScope,
    taken: (settings) => {
      const { name, existing, resourceGroup } = settings.logAnalytics;
      const group = resourceGroup ?? groupsOf(settings).primary;
      return [{ field: 'logAnalytics.name', name: existing ? undefined : name, within: [group] }];
    },
  },

  'across/action-group': {
    rule: 'an action group has its name once in its resource group',
    source: groupScope,
    taken: (settings) => [
      {
        field: 'monitoring.actionGroup.name',
        name: settings.monitoring.actionGroup.name,
        within: [groupsOf(settings).primary],
      },
    ],
  },

  'across/backup-vault': {
    rule: 'a backup vault has its name once in its resource group',
    source: groupScope,
    taken: (settings) => [
      {
        field: 'longTermBackup.vaultName',
        name: settings.longTermBackup?.vaultName,
        within: [groupsOf(settings).primary],
      },
    ],
  },

  'across/budget': {
    rule: 'a budget has its name once in its resource group',
    source: groupScope,
    taken: (settings) => [
      { field: 'budget.name', name: settings.budget?.name, within: [groupsOf(settings).primary] },
    ],
  },
});

/** Names that one environment takes twice. */
export function problemsOfNames(settings: EnvironmentSettings): Problem[] {
  return repetitions([settings], () => true);
}

/** Names that two environments take. Each problem names the later of the two and says where the earlier one is. */
export function problemsAcross(environments: readonly EnvironmentSettings[]): Problem[] {
  return repetitions(environments, (earlier, later) => earlier !== later);
}

function repetitions(
  environments: readonly EnvironmentSettings[],
  matters: (earlier: EnvironmentSettings, later: EnvironmentSettings) => boolean,
): Problem[] {
  return (Object.entries(acrossRules) as [RuleId, UniquenessRule][]).flatMap(([id, rule]) => {
    const taken = environments.flatMap((settings) =>
      rule.taken(settings).flatMap(({ name, as = name, within = [], ...rest }) =>
        name === undefined || as === undefined
          ? []
          : // Names of resources have no case.
            [{ ...rest, settings, name, key: [...within, as].join('/').toLowerCase() }],
      ),
    );
    const found = taken.flatMap((later, position) => {
      const earlier = taken
        .slice(0, position)
        .find((one) => one.key === later.key && matters(one.settings, later.settings));
      return earlier ? [{ earlier, later }] : [];
    });
    // A field that takes its name in several places is reported once.
    const fields = new Map(found.map((one) => [`${one.later.settings.name} ${one.later.field}`, one]));
    return [...fields.values()].map(({ earlier, later: { settings, field, name } }) => {
      const by = earlier.settings === settings ? 'This environment' : earlier.settings.name;
      const remedy = `${by} already has it as ${earlier.field}.${rule.remedy ? ` ${rule.remedy}` : ''}`;
      return problemOf(settings.name, id, rule, { field, value: name, remedy });
    });
  });
}
