import { namesOf, project } from './project.ts';
import type { EnvironmentInput } from './settings.ts';

const names = namesOf('production');

/**
 * Production has resource groups, a vault and a workspace of its own, not the existing `comply-ai-rg`,
 * `comply-ai-keyvault` and `comply-ai-logs`. The deploying identity then needs no rights on other resources there, and
 * the vault is certain to be premium (hardware keys) and closed. To adopt an existing resource, set `existing`:
 * `{ name: 'comply-ai-logs', resourceGroup: 'comply-ai-rg', existing: true }`.
 */
export const production: EnvironmentInput = {
  name: names.environment,
  project,
  location: 'eastus',
  recoveryLocation: 'westus2',
  resourceGroup: { name: names.resourceGroup },
  recoveryResourceGroup: { name: names.recoveryResourceGroup },
  tags: {
    ...names.tags,
    Owner: 'platform-engineering',
    DataClassification: 'confidential',
  },
  network: {
    mode: 'privateEndpoint',
    primary: {
      virtualNetwork: { name: names.virtualNetwork, addressSpace: ['10.30.0.0/16'] },
      endpointSubnet: { name: names.endpointSubnet, range: '10.30.1.0/24' },
    },
    recovery: {
      virtualNetwork: { name: names.recoveryVirtualNetwork, addressSpace: ['10.31.0.0/16'] },
      endpointSubnet: { name: names.endpointSubnet, range: '10.31.1.0/24' },
    },
  },
  server: {
    name: names.server,
    version: 17,
    sku: 'GP_Standard_D4s_v3',
    zone: '1',
    storage: { sizeGb: 1024 },
    highAvailability: { mode: 'ZoneRedundant', standbyZone: '2' },
    backup: { retentionDays: 35, geoRedundant: true },
    maintenanceWindow: { dayOfWeek: 0, startHour: 2 },
    authentication: {
      // Example id: replace it with the object id of your tenant's own group (docs/bootstrap.md).
      administrators: [
        {
          name: names.principal('database-admins'),
          objectId: 'c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d01',
          type: 'Group',
        },
      ],
    },
    pgBouncer: {},
    extensions: [
      'pg_stat_statements',
      'pg_buffercache',
      'pgcrypto',
      'uuid-ossp',
      'btree_gin',
      'pg_trgm',
      'pgaudit',
      'pg_cron',
    ],
    // Nothing else records reads: triggers record writes only.
    auditClasses: ['ddl', 'role', 'read'],
  },
  replica: {
    name: names.replica,
    location: 'westus2',
    zone: '1',
  },
  virtualEndpoint: { name: names.virtualEndpoint },
  database: {
    name: names.database,
    // Example ids, as above.
    logins: [
      {
        name: names.principal('application'),
        objectId: 'c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d02',
        type: 'ServicePrincipal',
        role: 'application_role',
      },
      {
        name: names.principal('operators'),
        objectId: 'c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d03',
        type: 'Group',
        role: 'admin_role',
      },
      {
        name: names.principal('analysts'),
        objectId: 'c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d04',
        type: 'Group',
        role: 'analytics_role',
      },
      {
        name: names.principal('maintenance'),
        objectId: 'c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d05',
        type: 'ServicePrincipal',
        role: 'maintenance_role',
      },
    ],
    pools: [
      { name: 'application-write', maxSize: 20, instances: 12 },
      { name: 'application-read', maxSize: 40, instances: 12 },
      { name: 'analytics', maxSize: 10, instances: 2 },
    ],
  },
  keyVault: {
    name: names.keyVault,
    sku: 'premium',
    fieldEncryptionKey: { name: 'field-encryption', type: 'RSA-HSM' },
  },
  logAnalytics: { name: names.logAnalytics, retentionDays: 365 },
  monitoring: {
    actionGroup: {
      name: names.actionGroup,
      shortName: names.actionGroupShortName,
      // Example addresses: replace them with your own.
      emails: [
        { name: 'on-call', address: 'database-on-call@comply-ai.example' },
        { name: 'platform', address: 'platform@comply-ai.example' },
      ],
    },
  },
  protection: { deletionLock: 'inPlace', preventDestroy: true },
  longTermBackup: {
    vaultName: names.backupVault,
    retention: 'P7Y',
    firstRun: '2026-12-06T04:00:00Z',
  },
  budget: {
    name: names.budget,
    monthlyAmount: 2500,
    contacts: ['platform@comply-ai.example'],
  },
  state: {
    backend: 'azurerm',
    ...names.state,
  },
};
