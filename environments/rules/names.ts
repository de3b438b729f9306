/** Names, by the grammars of the services that hold them. */
import { builtInDatabases, reservedWordIn, reservedWordsSource } from '../../azure/reserved-names.ts';
import { resourceNames } from '../../azure/resource-names.ts';
import type { Candidate } from '../resolved.ts';
import { check, defineRules, type Rule, type RuleText, urls } from '../rule.ts';

interface NameRule extends RuleText {
  /** Matches a whole name. */
  readonly shape: RegExp;
  /** The names, by their fields. */
  readonly names: (candidate: Candidate) => Readonly<Record<string, string | undefined>>;
}

function nameRule({ shape, names, ...text }: NameRule): Rule {
  return {
    ...text,
    check: (candidate) =>
      Object.entries(names(candidate)).flatMap(([field, name]) =>
        check(name === undefined || shape.test(name), field, name),
      ),
  };
}

/** The networks of an environment, by their fields. */
function networks({ network }: Candidate) {
  const recovery = network.mode === 'public' ? undefined : network.recovery;
  return [
    { field: 'network.primary', ...network.primary },
    ...(recovery ? [{ field: 'network.recovery', ...recovery }] : []),
  ];
}

/** Names of networks, by their fields. */
function ofNetworks(
  candidate: Candidate,
  names: (network: ReturnType<typeof networks>[number]) => Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  return Object.fromEntries(
    networks(candidate).flatMap((network) =>
      Object.entries(names(network)).map(([field, name]) => [`${network.field}.${field}`, name]),
    ),
  );
}

function resourceGroups(candidate: Candidate): Record<string, string | undefined> {
  const { network, state } = candidate;
  return {
    'resourceGroup.name': candidate.resourceGroup.name,
    'recoveryResourceGroup.name': candidate.recoveryResourceGroup?.name,
    ...ofNetworks(candidate, ({ virtualNetwork }) => ({
      'virtualNetwork.resourceGroup': virtualNetwork.resourceGroup,
    })),
    ...(network.mode !== 'public' && {
      'network.postgresqlZone.resourceGroup': network.postgresqlZone.resourceGroup,
    }),
    'network.keyVaultZone.resourceGroup': network.keyVaultZone.resourceGroup,
    'keyVault.resourceGroup': candidate.keyVault.resourceGroup,
    'logAnalytics.resourceGroup': candidate.logAnalytics.resourceGroup,
    ...(state.backend === 'azurerm' && { 'state.resourceGroup': state.resourceGroup }),
  };
}

/** Names that become host names, by their fields. Azure has accepted those of adopted resources. */
function hostNames({ server, replica, virtualEndpoint, keyVault, state }: Candidate) {
  return {
    'server.name': server.name,
    'replica.name': replica?.name,
    'virtualEndpoint.name': virtualEndpoint?.name,
    'keyVault.name': keyVault.existing ? undefined : keyVault.name,
    'state.storageAccount': state.backend === 'azurerm' ? state.storageAccount : undefined,
  };
}

const projectName = /^(?=.{2,21}$)[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;

export const nameRules = defineRules({
  'names/reserved-word': {
    rule: 'a name that becomes a host name is no reserved word, has neither microsoft nor windows in it and does not start with login',
    source: reservedWordsSource,
    check: (candidate) =>
      Object.entries(hostNames(candidate)).flatMap(([field, name]) => {
        const word = name === undefined ? undefined : reservedWordIn(name);
        return check(word === undefined, field, name, {
          rule: `Azure reserves ${word} in names that become host names`,
        });
      }),
  },

  'names/environment': nameRule({
    shape: /^[a-z][a-z0-9-]{0,31}$/,
    rule: "an environment's name is 1-32 lower-case letters, digits and hyphens and starts with a letter: it is the stack's id and the argument of `cdktf deploy`",
    source: 'docs/decisions.md, 1',
    names: ({ name }) => ({ name }),
  }),

  'names/project': {
    rule: 'both names of the project are 2-21 lower-case letters, digits and single hyphens and start with a letter: the longest name made of one, that of a virtual endpoint in an environment with a name of 32 characters, then fits into 63',
    source: `environments/naming.ts; ${urls.endpoints}`,
    check: ({ project }) =>
      (['name', 'organization'] as const).flatMap((field) =>
        check(projectName.test(project[field]), `project.${field}`, project[field], {
          remedy: 'It is in environments/project.ts.',
        }),
      ),
  },

  'names/resource-group': nameRule({
    shape: resourceNames['Microsoft.Resources/resourceGroups'],
    rule: "a resource group's name is 1-90 letters, digits, underscores, hyphens, periods and parentheses and does not end in a period",
    source: urls.naming,
    names: resourceGroups,
  }),

  'names/server': nameRule({
    shape: resourceNames['Microsoft.DBforPostgreSQL/flexibleServers'],
    rule: "a server's name is 3-63 lower-case letters, digits and hyphens, with no hyphen at either end",
    source: `${urls.provider}/validate/flexible_server_name.go`,
    names: ({ server, replica }) => ({ 'server.name': server.name, 'replica.name': replica?.name }),
  }),

  'names/virtual-endpoint': nameRule({
    shape: resourceNames['Microsoft.DBforPostgreSQL/flexibleServers/virtualEndpoints'],
    rule: "a virtual endpoint's name is 3-63 lower-case letters, digits and hyphens, with no hyphen at either end",
    source: urls.endpoints,
    names: ({ virtualEndpoint }) => ({ 'virtualEndpoint.name': virtualEndpoint?.name }),
  }),

  'names/database': nameRule({
    shape: resourceNames['Microsoft.DBforPostgreSQL/flexibleServers/databases'],
    rule: "a database's name is 1-63 letters, digits, underscores and hyphens and starts with a letter or an underscore",
    source: `${urls.provider}/validate/flexible_server_database_name.go`,
    names: ({ database }) => ({ 'database.name': database.name }),
  }),

  'names/database-is-not-built-in': {
    rule: `the database is not one that every server has (${builtInDatabases.join(', ')}), in any case`,
    source: 'https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-servers',
    check: ({ database: { name } }) =>
      check(!builtInDatabases.includes(name.toLowerCase()), 'database.name', name),
  },

  'names/virtual-network': nameRule({
    shape: resourceNames['Microsoft.Network/virtualNetworks'],
    rule: "a virtual network's name is 2-64 letters, digits, underscores, periods and hyphens, starts with a letter or digit and ends with a letter, digit or underscore",
    source: urls.naming,
    names: (candidate) =>
      ofNetworks(candidate, ({ virtualNetwork }) => ({ 'virtualNetwork.name': virtualNetwork.name })),
  }),

  'names/subnet': nameRule({
    shape: resourceNames['Microsoft.Network/virtualNetworks/subnets'],
    rule: "a subnet's name is 1-80 letters, digits, underscores, periods and hyphens, starts with a letter or digit and ends with a letter, digit or underscore",
    source: urls.naming,
    names: (candidate) => ({
      ...ofNetworks(candidate, ({ endpointSubnet, delegatedSubnet }) => ({
        'endpointSubnet.name': endpointSubnet.name,
        'delegatedSubnet.name': delegatedSubnet?.name,
      })),
      'postDeployJob.subnet.name': candidate.postDeployJob?.subnet.name,
    }),
  }),

  'names/private-dns-zone': nameRule({
    shape: resourceNames['Microsoft.Network/privateDnsZones'],
    rule: "a private DNS zone's name is 2-34 labels of 1-63 letters, digits, underscores and hyphens, with periods between them",
    source: urls.naming,
    names: ({ network }) =>
      network.mode === 'virtualNetworkInjected'
        ? { 'network.postgresqlZone.name': network.postgresqlZone.name }
        : {},
  }),

  'names/firewall-rule': nameRule({
    shape: resourceNames['Microsoft.DBforPostgreSQL/flexibleServers/firewallRules'],
    rule: "a firewall rule's name is 1-128 letters, digits, underscores and hyphens",
    source: `${urls.provider}/validate/flexible_server_firewall_rule_name.go`,
    names: ({ network }) =>
      Object.fromEntries(
        network.mode === 'public'
          ? network.allowedRanges.map(({ name }, position) => [
              `network.allowedRanges.${position}.name`,
              name,
            ])
          : [],
      ),
  }),

  'names/key-vault': nameRule({
    shape: resourceNames['Microsoft.KeyVault/vaults'],
    rule: "a key vault's name is 3-24 letters, digits and hyphens, starts with a letter, ends with a letter or digit and has no two hyphens in a row",
    source: urls.naming,
    names: ({ keyVault }) => ({ 'keyVault.name': keyVault.name }),
  }),

  'names/key': nameRule({
    shape: resourceNames['Microsoft.KeyVault/vaults/keys'],
    rule: "a key's name is 1-127 letters, digits and hyphens",
    source: urls.naming,
    names: ({ keyVault }) => ({ 'keyVault.fieldEncryptionKey.name': keyVault.fieldEncryptionKey.name }),
  }),

  'names/workspace': nameRule({
    shape: resourceNames['Microsoft.OperationalInsights/workspaces'],
    rule: "a Log Analytics workspace's name is 4-63 letters, digits and hyphens, with no hyphen at either end",
    source: 'AZR-000486, https://azure.github.io/PSRule.Rules.Azure/en/rules/Azure.Log.Name/',
    names: ({ logAnalytics }) => ({ 'logAnalytics.name': logAnalytics.name }),
  }),

  'names/action-group': nameRule({
    shape: resourceNames['Microsoft.Insights/actionGroups'],
    rule: "an action group's name is 1-260 characters, has none of :<>+/&%\\?| and does not end in a space or period",
    source: urls.naming,
    names: ({ monitoring }) => ({ 'monitoring.actionGroup.name': monitoring.actionGroup.name }),
  }),

  'names/action-group-short-name': nameRule({
    shape: /^[A-Za-z0-9][A-Za-z0-9 _-]{0,11}$/,
    rule: "an action group's short name is 1-12 letters, digits, spaces, underscores and hyphens: it is the sender of text messages",
    source: 'https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups',
    names: ({ monitoring }) => ({ 'monitoring.actionGroup.shortName': monitoring.actionGroup.shortName }),
  }),

  'names/backup-vault': nameRule({
    shape: resourceNames['Microsoft.DataProtection/backupVaults'],
    rule: "a backup vault's name is 2-50 letters, digits and hyphens and starts with a letter",
    source: urls.naming,
    names: ({ longTermBackup }) => ({ 'longTermBackup.vaultName': longTermBackup?.vaultName }),
  }),

  'names/budget': nameRule({
    shape: resourceNames['Microsoft.Consumption/budgets'],
    rule: "a budget's name is 1-63 letters, digits, underscores, periods and hyphens",
    source: urls.naming,
    names: ({ budget }) => ({ 'budget.name': budget?.name }),
  }),

  'names/post-deploy-job': nameRule({
    shape: resourceNames['Microsoft.App/jobs'],
    rule: "a job's name is 2-32 lower-case letters, digits and single hyphens, starts with a letter and ends with a letter or digit",
    source: urls.naming,
    names: ({ postDeployJob }) => ({ 'postDeployJob.name': postDeployJob?.name }),
  }),

  'names/pool': nameRule({
    shape: /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/,
    rule: "a pool's name is 1-63 letters, digits, underscores and hyphens: clients send it as `application_name`",
    source: 'https://www.postgresql.org/docs/17/runtime-config-logging.html#GUC-APPLICATION-NAME',
    names: ({ database }) =>
      Object.fromEntries(
        database.pools.map(({ name }, position) => [`database.pools.${position}.name`, name]),
      ),
  }),

  'names/storage-account': nameRule({
    shape: resourceNames['Microsoft.Storage/storageAccounts'],
    rule: "a storage account's name is 3-24 lower-case letters and digits",
    source: urls.naming,
    names: ({ state }) =>
      state.backend === 'azurerm' ? { 'state.storageAccount': state.storageAccount } : {},
  }),

  'names/container': nameRule({
    shape: resourceNames['Microsoft.Storage/storageAccounts/blobServices/containers'],
    rule: "a blob container's name is 3-63 lower-case letters, digits and single hyphens between them",
    source: urls.naming,
    names: ({ state }) => (state.backend === 'azurerm' ? { 'state.container': state.container } : {}),
  }),

  'names/state-blob': nameRule({
    shape: /^(?=.{1,1024}$)[^\s?#\\](?:[^?#\\]*[^./\\?#\s])?$/,
    rule: "the state's key is a blob's name: 1-1024 characters, with no period or slash at the end",
    source: urls.naming,
    names: ({ state }) => (state.backend === 'azurerm' ? { 'state.key': state.key } : {}),
  }),
});
