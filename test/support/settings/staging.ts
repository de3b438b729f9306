import type { EnvironmentInput } from '../../../environments/settings.ts';

/** A standby in another zone and a lock, without a replica. Tests use it in place of the environments of `environments/`. */
export const staging: EnvironmentInput = {
  name: 'staging',
  project: { name: 'llama-mapper', organization: 'comply-ai' },
  location: 'eastus',
  resourceGroup: { name: 'comply-ai-staging-rg' },
  tags: {
    Environment: 'staging',
    Project: 'llama-mapper',
    Owner: 'platform-engineering',
    DataClassification: 'synthetic',
    ManagedBy: 'cdktf',
  },
  network: {
    mode: 'privateEndpoint',
    primary: {
      virtualNetwork: { name: 'comply-ai-vnet-staging', addressSpace: ['10.20.0.0/16'] },
      endpointSubnet: { name: 'llama-mapper-endpoints', range: '10.20.1.0/24' },
    },
  },
  server: {
    name: 'llama-mapper-staging',
    version: 17,
    sku: 'GP_Standard_D2s_v3',
    zone: '1',
    storage: { sizeGb: 128 },
    highAvailability: { mode: 'ZoneRedundant', standbyZone: '2' },
    backup: { retentionDays: 14, geoRedundant: true },
    maintenanceWindow: { dayOfWeek: 6, startHour: 2 },
    authentication: {
      administrators: [
        {
          name: 'llama-mapper-database-admins-staging',
          objectId: '8b7d1e94-2a63-4c0d-8f15-6e2c9d4a7b01',
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
  database: {
    name: 'llama_mapper',
    logins: [
      {
        name: 'llama-mapper-application-staging',
        objectId: '8b7d1e94-2a63-4c0d-8f15-6e2c9d4a7b02',
        type: 'ServicePrincipal',
        role: 'application_role',
      },
      {
        name: 'llama-mapper-operators-staging',
        objectId: '8b7d1e94-2a63-4c0d-8f15-6e2c9d4a7b03',
        type: 'Group',
        role: 'admin_role',
      },
      {
        name: 'llama-mapper-analysts-staging',
        objectId: '8b7d1e94-2a63-4c0d-8f15-6e2c9d4a7b04',
        type: 'Group',
        role: 'analytics_role',
      },
      {
        name: 'llama-mapper-maintenance-staging',
        objectId: '8b7d1e94-2a63-4c0d-8f15-6e2c9d4a7b05',
        type: 'ServicePrincipal',
        role: 'maintenance_role',
      },
    ],
    pools: [
      { name: 'application-write', maxSize: 20, instances: 4 },
      { name: 'application-read', maxSize: 40, instances: 4 },
    ],
  },
  keyVault: {
    name: 'comply-ai-kv-staging',
    sku: 'premium',
    fieldEncryptionKey: { name: 'field-encryption', type: 'RSA-HSM' },
  },
  logAnalytics: { name: 'comply-ai-logs-staging', retentionDays: 30 },
  monitoring: {
    actionGroup: {
      name: 'llama-mapper-alerts-staging',
      shortName: 'llama-stage',
      emails: [{ name: 'platform', address: 'platform@comply-ai.example' }],
    },
  },
  protection: { deletionLock: 'inPlace', preventDestroy: false },
  state: {
    backend: 'azurerm',
    resourceGroup: 'comply-ai-staging-state-rg',
    storageAccount: 'complyaistatestaging',
    container: 'llama-mapper-staging',
    key: 'llama-mapper.tfstate',
  },
};
