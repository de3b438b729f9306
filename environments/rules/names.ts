/** Names by the rules of whoever gives them out. */
import type { EnvironmentSettings } from '../settings.ts';
import { type Finding, finding, type Rule, urls } from './rule.ts';

interface Grammar {
  readonly shape: RegExp;
  readonly rule: string;
  readonly source: string;
}

const grammars = {
  environment: {
    shape: /^[a-z][a-z0-9-]{0,31}$/,
    rule: 'an environment’s name is 1-32 lower-case letters, digits and hyphens and starts with a letter: it is the stack’s id and the argument of `cdktf deploy`',
    source: 'docs/decisions.md, 1',
  },
  server: {
    shape: /^(?=.{3,63}$)[a-z0-9]+(-+[a-z0-9]+)*$/,
    rule: 'a server’s name is 3-63 lower-case letters, digits and hyphens, with no hyphen at either end',
    source: `${urls.provider}/validate/flexible_server_name.go`,
  },
  virtualEndpoint: {
    shape: /^(?=.{3,63}$)[a-z0-9]+(-+[a-z0-9]+)*$/,
    rule: 'a virtual endpoint’s name is 3-63 lower-case letters, digits and hyphens, with no hyphen at either end',
    source: urls.endpoints,
  },
  database: {
    shape: /^[A-Za-z_][A-Za-z0-9_-]{0,62}$/,
    rule: 'a database’s name is 1-63 letters, digits, underscores and hyphens and starts with a letter or an underscore',
    source: `${urls.provider}/validate/flexible_server_database_name.go`,
  },
  resourceGroup: {
    shape: /^[\w\-.()]{0,89}[\w\-()]$/,
    rule: 'a resource group’s name is 1-90 letters, digits, underscores, hyphens, periods and parentheses and does not end in a period',
    source: urls.naming,
  },
  virtualNetwork: {
    shape: /^[A-Za-z0-9][\w.-]{0,62}\w$/,
    rule: 'a virtual network’s name is 2-64 letters, digits, underscores, periods and hyphens, starts with a letter or digit and ends with one or an underscore',
    source: urls.naming,
  },
  subnet: {
    shape: /^[A-Za-z0-9](?:[\w.-]{0,78}\w)?$/,
    rule: 'a subnet’s name is 1-80 letters, digits, underscores, periods and hyphens, starts with a letter or digit and ends with one or an underscore',
    source: urls.naming,
  },
  keyVault: {
    shape: /^(?=.{3,24}$)[A-Za-z](-?[A-Za-z0-9])*$/,
    rule: 'a key vault’s name is 3-24 letters, digits and hyphens, starts with a letter, ends with a letter or digit and has no two hyphens in a row',
    source: urls.naming,
  },
  key: {
    shape: /^[A-Za-z0-9-]{1,127}$/,
    rule: 'a key’s name is 1-127 letters, digits and hyphens',
    source: urls.naming,
  },
  workspace: {
    shape: /^[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]$/,
    rule: 'a Log Analytics workspace’s name is 4-63 letters, digits and hyphens, with no hyphen at either end',
    source: 'AZR-000486, https://azure.github.io/PSRule.Rules.Azure/en/rules/Azure.Log.Name/',
  },
  actionGroup: {
    shape: /^[^:<>+/&%\\?|\s.](?:[^:<>+/&%\\?|]{0,258}[^:<>+/&%\\?|\s.])?$/,
    rule: 'an action group’s name is 1-260 characters, has none of :<>+/&%\\?| and does not end in a space or period',
    source: urls.naming,
  },
  actionGroupShort: {
    shape: /^[A-Za-z0-9][A-Za-z0-9 _-]{0,11}$/,
    rule: 'an action group’s short name is 1-12 letters, digits, spaces, underscores and hyphens: it is the sender of text messages',
    source: 'https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups',
  },
  storageAccount: {
    shape: /^[a-z0-9]{3,24}$/,
    rule: 'a storage account’s name is 3-24 lower-case letters and digits',
    source: urls.naming,
  },
  container: {
    shape: /^(?=.{3,63}$)[a-z0-9](-?[a-z0-9])*$/,
    rule: 'a blob container’s name is 3-63 lower-case letters, digits and single hyphens between them',
    source: urls.naming,
  },
  blob: {
    shape: /^(?=.{1,1024}$)[^\s?#\\](?:[^?#\\]*[^./\\?#\s])?$/,
    rule: 'the state’s key is a blob’s name: 1-1024 characters, not ending in a period or slash',
    source: urls.naming,
  },
  backupVault: {
    shape: /^[A-Za-z][A-Za-z0-9-]{1,49}$/,
    rule: 'a backup vault’s name is 2-50 letters, digits and hyphens and starts with a letter',
    source: urls.naming,
  },
  budget: {
    shape: /^[A-Za-z0-9_.-]{1,63}$/,
    rule: 'a budget’s name is 1-63 letters, digits, underscores, periods and hyphens',
    source: urls.naming,
  },
  firewallRule: {
    shape: /^[A-Za-z0-9_-]{1,128}$/,
    rule: 'a firewall rule’s name is 1-128 letters, digits, underscores and hyphens',
    source: `${urls.provider}/validate/flexible_server_firewall_rule_name.go`,
  },
  pool: {
    shape: /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/,
    rule: 'a pool’s name is 1-63 letters, digits, underscores and hyphens: it is its `application_name`',
    source: 'https://www.postgresql.org/docs/17/runtime-config-logging.html#GUC-APPLICATION-NAME',
  },
} satisfies Record<string, Grammar>;

type Named = readonly [field: string, value: string | undefined, grammar: Grammar];

function* names(settings: EnvironmentSettings): Generator<Named> {
  yield ['name', settings.name, grammars.environment];
  yield ['resourceGroup.name', settings.resourceGroup.name, grammars.resourceGroup];
  yield ['recoveryResourceGroup.name', settings.recoveryResourceGroup?.name, grammars.resourceGroup];
  yield ['server.name', settings.server.name, grammars.server];
  yield ['replica.name', settings.replica?.name, grammars.server];
  yield ['virtualEndpoint.name', settings.virtualEndpoint?.name, grammars.virtualEndpoint];
  yield ['database.name', settings.database.name, grammars.database];
  yield* networkNames(settings);
  yield ['keyVault.name', settings.keyVault.name, grammars.keyVault];
  yield ['keyVault.resourceGroup', settings.keyVault.resourceGroup, grammars.resourceGroup];
  yield ['keyVault.fieldEncryptionKey.name', settings.keyVault.fieldEncryptionKey.name, grammars.key];
  yield ['logAnalytics.name', settings.logAnalytics.name, grammars.workspace];
  yield ['logAnalytics.resourceGroup', settings.logAnalytics.resourceGroup, grammars.resourceGroup];
  yield ['monitoring.actionGroup.name', settings.monitoring.actionGroup.name, grammars.actionGroup];
  yield [
    'monitoring.actionGroup.shortName',
    settings.monitoring.actionGroup.shortName,
    grammars.actionGroupShort,
  ];
  yield ['longTermBackup.vaultName', settings.longTermBackup?.vaultName, grammars.backupVault];
  yield ['budget.name', settings.budget?.name, grammars.budget];
  for (const [position, pool] of settings.database.pools.entries()) {
    yield [`database.pools.${position}.name`, pool.name, grammars.pool];
  }
  if (settings.state.backend === 'azurerm') {
    yield ['state.resourceGroup', settings.state.resourceGroup, grammars.resourceGroup];
    yield ['state.storageAccount', settings.state.storageAccount, grammars.storageAccount];
    yield ['state.container', settings.state.container, grammars.container];
    yield ['state.key', settings.state.key, grammars.blob];
  }
}

function* networkNames({ network }: EnvironmentSettings): Generator<Named> {
  const sides = [
    ['primary', network.primary],
    ['recovery', network.mode === 'public' ? undefined : network.recovery],
  ] as const;
  for (const [side, one] of sides) {
    if (!one) continue;
    const at = `network.${side}`;
    yield [`${at}.virtualNetwork.name`, one.virtualNetwork.name, grammars.virtualNetwork];
    yield [`${at}.virtualNetwork.resourceGroup`, one.virtualNetwork.resourceGroup, grammars.resourceGroup];
    yield [`${at}.endpointSubnet.name`, one.endpointSubnet.name, grammars.subnet];
    yield [`${at}.delegatedSubnet.name`, one.delegatedSubnet?.name, grammars.subnet];
  }
  if (network.mode === 'public') {
    for (const [position, range] of network.allowedRanges.entries()) {
      yield [`network.allowedRanges.${position}.name`, range.name, grammars.firewallRule];
    }
  } else {
    yield [
      'network.postgresqlZone.resourceGroup',
      network.postgresqlZone.resourceGroup,
      grammars.resourceGroup,
    ];
  }
  yield ['network.keyVaultZone.resourceGroup', network.keyVaultZone.resourceGroup, grammars.resourceGroup];
}

const grammar: Rule = (settings) =>
  [...names(settings)].flatMap(([field, value, { shape, rule, source }]): Finding[] =>
    value === undefined || shape.test(value) ? [] : [finding(field, value, { rule, source })],
  );

const databasesOfAzure = ['azure_maintenance', 'azure_sys', 'postgres', 'template0', 'template1'];

/** Terraform would try to make a database that every server has, and destroy it later. */
const databaseOfItsOwn: Rule = ({ database }) =>
  databasesOfAzure.includes(database.name)
    ? [
        finding('database.name', database.name, {
          rule: `the database is not one every server comes with (${databasesOfAzure.join(', ')})`,
          source: urls.limits,
        }),
      ]
    : [];

export const nameRules: readonly Rule[] = [grammar, databaseOfItsOwn];
