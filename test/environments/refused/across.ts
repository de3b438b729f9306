import { production } from '../../support/settings/production.ts';
import { staging } from '../../support/settings/staging.ts';
import type { Row } from './row.ts';

/** Changes of one environment that take what another one has. The problem names the later of the two. */
export interface AcrossRow extends Pick<Row, 'what' | 'id' | 'change'> {
  /** Field of production that the problem must name. */
  readonly field: string;
  /** Fields and rules of further problems that the name causes. @default - none */
  readonly also?: readonly (readonly [field: string, id: Row['id']])[];
}

const productionGroup = production.resourceGroup.name;
const { primary: productionNetwork } = production.network;

const inHub = { existing: true, resourceGroup: 'comply-ai-dns-rg' };

/** Adopts production's group, and has nothing there that production has. */
const sharedGroup = {
  resourceGroup: { name: productionGroup.toUpperCase(), existing: true },
  'network.postgresqlZone': inHub,
  'network.keyVaultZone': inHub,
  'keyVault.resourceGroup': 'comply-ai-keys-rg',
};

export const acrossRows: readonly AcrossRow[] = [
  {
    what: "another environment's name",
    id: 'across/environment-name',
    change: { name: production.name, 'tags.Environment': production.name },
    field: 'name',
  },
  {
    what: "the name of another environment's replica",
    id: 'across/server-name',
    change: { 'server.name': production.replica?.name },
    field: 'replica.name',
  },
  {
    what: "another environment's virtual endpoint",
    id: 'across/virtual-endpoint-name',
    change: {
      recoveryLocation: production.recoveryLocation,
      'network.recovery': production.network.mode === 'public' ? undefined : production.network.recovery,
      replica: { ...production.replica, name: 'llama-mapper-replica-staging' },
      virtualEndpoint: production.virtualEndpoint,
    },
    field: 'virtualEndpoint.name',
  },
  {
    what: "another environment's vault, in another case",
    id: 'across/key-vault-name',
    change: {
      'keyVault.name': 'Comply-AI-kv-production',
      'keyVault.fieldEncryptionKey.name': 'field-encryption-staging',
    },
    field: 'keyVault.name',
  },
  {
    what: "the account of another environment's state",
    id: 'across/state-account',
    change: {
      'state.storageAccount':
        production.state.backend === 'azurerm' ? production.state.storageAccount : undefined,
    },
    field: 'state.storageAccount',
  },
  {
    what: "another environment's resource group, in another case",
    id: 'across/resource-group',
    change: { recoveryResourceGroup: { name: productionGroup.toUpperCase() } },
    field: 'resourceGroup.name',
  },
  {
    what: "the group of another environment's state",
    id: 'across/resource-group',
    change: { 'state.resourceGroup': production.recoveryResourceGroup?.name },
    field: 'recoveryResourceGroup.name',
  },
  {
    what: "another environment's network in its group",
    id: 'across/virtual-network',
    change: {
      ...sharedGroup,
      'network.primary.virtualNetwork.name': productionNetwork.virtualNetwork.name,
      'network.primary.endpointSubnet.name': 'staging-endpoints',
    },
    field: 'network.primary.virtualNetwork.name',
    also: [
      ['network.keyVaultZone.name', 'across/zone-of-network'],
      ['network.postgresqlZone.name', 'across/zone-of-network'],
    ],
  },
  {
    what: "a second zone of one name for another environment's adopted network",
    id: 'across/zone-of-network',
    change: {
      'network.postgresqlZone': inHub,
      'network.primary.virtualNetwork': {
        ...productionNetwork.virtualNetwork,
        resourceGroup: productionGroup,
        existing: true,
      },
      'network.primary.endpointSubnet': { name: 'staging-endpoints', range: '10.30.9.0/24' },
    },
    field: 'network.keyVaultZone.name',
  },
  {
    what: "another environment's subnet in its adopted network, in another case",
    id: 'across/subnet',
    change: {
      'network.postgresqlZone': inHub,
      'network.keyVaultZone': inHub,
      'network.primary.virtualNetwork': {
        ...productionNetwork.virtualNetwork,
        resourceGroup: productionGroup,
        existing: true,
      },
      'network.primary.endpointSubnet': { name: 'LLAMA-mapper-endpoints', range: '10.30.9.0/24' },
    },
    field: 'network.primary.endpointSubnet.name',
  },
  {
    what: "a subnet whose security group has the name of another environment's",
    id: 'across/subnet',
    change: {
      ...sharedGroup,
      'network.primary.virtualNetwork.name': 'comply-ai-vnet',
      'network.primary.endpointSubnet.name': 'production-llama-mapper-endpoints',
    },
    field: 'network.primary.endpointSubnet.name',
  },
  {
    what: "another environment's private DNS zone in its group",
    id: 'across/private-dns-zone',
    change: { ...sharedGroup, 'network.keyVaultZone': {} },
    field: 'network.keyVaultZone.name',
  },
  {
    what: "a network of the same name linked to another environment's zone",
    id: 'across/private-dns-link',
    change: {
      'network.keyVaultZone': { existing: true, resourceGroup: productionGroup },
      'network.primary.virtualNetwork.name': productionNetwork.virtualNetwork.name,
    },
    field: 'network.primary.virtualNetwork.name',
  },
  {
    what: "a vault named as another environment's server, whose endpoints are in one group",
    id: 'across/private-endpoint',
    change: { ...sharedGroup, 'keyVault.name': production.server.name },
    field: 'server.name',
  },
  {
    what: "a key of the same name in another vault of another environment's group",
    id: 'across/vault-key',
    change: { ...sharedGroup, 'keyVault.resourceGroup': undefined },
    field: 'keyVault.fieldEncryptionKey.name',
  },
  {
    what: "another environment's key, in its adopted vault",
    id: 'across/vault-key',
    change: {
      'keyVault.name': production.keyVault.name,
      'keyVault.existing': true,
      'keyVault.resourceGroup': productionGroup,
    },
    field: 'keyVault.fieldEncryptionKey.name',
  },
  {
    what: "another environment's workspace in its group",
    id: 'across/workspace',
    change: { ...sharedGroup, 'logAnalytics.name': production.logAnalytics.name },
    field: 'logAnalytics.name',
  },
  {
    what: "another environment's action group in its group",
    id: 'across/action-group',
    change: { ...sharedGroup, 'monitoring.actionGroup.name': production.monitoring.actionGroup.name },
    field: 'monitoring.actionGroup.name',
  },
  {
    what: "another environment's backup vault in its group",
    id: 'across/backup-vault',
    change: { ...sharedGroup, longTermBackup: production.longTermBackup },
    field: 'longTermBackup.vaultName',
  },
  {
    what: "another environment's budget in its group",
    id: 'across/budget',
    change: { ...sharedGroup, budget: production.budget },
    field: 'budget.name',
  },
];

/** The environment that the rows change. */
export const changedEnvironment = staging;
