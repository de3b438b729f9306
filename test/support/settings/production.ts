import type { EnvironmentInput } from '../../../environments/settings.ts';

/** A pair in two regions with everything that the settings offer. Tests use it in place of the environments of `environments/`. */
export const production: EnvironmentInput = {
  name: 'production',
  project: { name: 'llama-mapper', organization: 'comply-ai' },
  location: 'eastus',
  recoveryLocation: 'westus2',
  resourceGroup: { name: 'comply-ai-production-rg' },
  recoveryResourceGroup: { name: 'comply-ai-production-dr-rg' },
  tags: {
    Environment: 'production',
    Project: 'llama-mapper',
    Owner: 'platform-engineering',
    DataClassification: 'confidential',
    ManagedBy: 'cdktf',
  },
  network: {
    mode: 'privateEndpoint',
    primary: {
      virtualNetwork: { name: 'comply-ai-vnet-production', addressSpace: ['10.30.0.0/16'] },
      endpointSubnet: { name: 'llama-mapper-endpoints', range: '10.30.1.0/24' },
    },
    recovery: {
      virtualNetwork: { name: 'comply-ai-vnet-production-dr', addressSpace: ['10.31.0.0/16'] },
      endpointSubnet: { name: 'llama-mapper-endpoints', range: '10.31.1.0/24' },
    },
  },
  server: {
    name: 'llama-mapper-production',
    version: 17,
    sku: 'GP_Standard_D4s_v3',
    zone: '1',
    storage: { sizeGb: 1024 },
    highAvailability: { mode: 'ZoneRedundant', standbyZone: '2' },
    backup: { retentionDays: 35, geoRedundant: true },
    maintenanceWindow: { dayOfWeek: 0, startHour: 2 },
    authentication: {
      administrators: [
        {
          name: 'llama-mapper-database-admins-production',
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
    auditClasses: ['ddl', 'role', 'read'],
  },
  replica: {
    name: 'llama-mapper-replica-production',
    location: 'westus2',
    zone: '1',
  },
  virtualEndpoint: { name: 'llama-mapper-endpoint-production' },
  database: {
    name: 'llama_mapper',
    logins: [
      {
        name: 'llama-mapper-application-production',
        objectId: 'c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d02',
        type: 'ServicePrincipal',
        role: 'application_role',
      },
      {
        name: 'llama-mapper-operators-production',
        objectId: 'c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d03',
        type: 'Group',
        role: 'admin_role',
      },
      {
        name: 'llama-mapper-analysts-production',
        objectId: 'c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d04',
        type: 'Group',
        role: 'analytics_role',
      },
      {
        name: 'llama-mapper-maintenance-production',
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
    name: 'comply-ai-kv-production',
    sku: 'premium',
    fieldEncryptionKey: { name: 'field-encryption', type: 'RSA-HSM' },
  },
  logAnalytics: { name: 'comply-ai-logs-production', retentionDays: 365 },
  monitoring: {
    actionGroup: {
      name: 'llama-mapper-alerts-production',
      shortName: 'llama-prod',
      emails: [
        { name: 'on-call', address: 'database-on-call@comply-ai.example' },
        { name: 'platform', address: 'platform@comply-ai.example' },
      ],
    },
  },
  protection: { deletionLock: 'inPlace', preventDestroy: true },
  longTermBackup: {
    vaultName: 'llama-mapper-backup-production',
    retention: 'P7Y',
    firstRun: '2026-12-06T04:00:00Z',
  },
  budget: {
    name: 'llama-mapper-budget-production',
    monthlyAmount: 2500,
    contacts: ['platform@comply-ai.example'],
  },
  state: {
    backend: 'azurerm',
    resourceGroup: 'comply-ai-production-state-rg',
    storageAccount: 'complyaistateproduction',
    container: 'llama-mapper-production',
    key: 'llama-mapper.tfstate',
  },
};
