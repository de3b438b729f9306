import type { EnvironmentInput } from '../../../environments/settings.ts';

/** Burstable, without protection, with a local state. Tests use it in place of the environments of `environments/`. */
export const development: EnvironmentInput = {
  name: 'development',
  project: { name: 'llama-mapper', organization: 'comply-ai' },
  location: 'eastus',
  resourceGroup: { name: 'comply-ai-development-rg' },
  tags: {
    Environment: 'development',
    Project: 'llama-mapper',
    Owner: 'platform-engineering',
    DataClassification: 'synthetic',
    ManagedBy: 'cdktf',
  },
  network: {
    mode: 'privateEndpoint',
    primary: {
      virtualNetwork: { name: 'comply-ai-vnet-development', addressSpace: ['10.10.0.0/16'] },
      endpointSubnet: { name: 'llama-mapper-endpoints', range: '10.10.1.0/24' },
    },
  },
  server: {
    name: 'llama-mapper-development',
    version: 17,
    sku: 'B_Standard_B2s',
    zone: '1',
    storage: { sizeGb: 32 },
    backup: { retentionDays: 7, geoRedundant: false },
    maintenanceWindow: { dayOfWeek: 0, startHour: 2 },
    authentication: {
      administrators: [
        {
          name: 'llama-mapper-database-admins-development',
          objectId: '3f0c6a52-7c1e-4f5b-9a64-0d8e5b1f2a01',
          type: 'Group',
        },
      ],
    },
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
  },
  database: {
    name: 'llama_mapper',
    logins: [
      {
        name: 'llama-mapper-application-development',
        objectId: '3f0c6a52-7c1e-4f5b-9a64-0d8e5b1f2a02',
        type: 'ServicePrincipal',
        role: 'application_role',
      },
      {
        name: 'llama-mapper-developers',
        objectId: '3f0c6a52-7c1e-4f5b-9a64-0d8e5b1f2a03',
        type: 'Group',
        role: 'admin_role',
      },
    ],
    pools: [
      { name: 'application-write', maxSize: 20, instances: 2 },
      { name: 'application-read', maxSize: 40, instances: 2 },
    ],
    partitions: {
      retentionDays: {
        storage_records: 90,
        audit_trail: 90,
        model_metrics: 30,
        detector_executions: 30,
      },
    },
  },
  keyVault: {
    name: 'comply-ai-kv-development',
    sku: 'standard',
    softDeleteRetentionDays: 7,
    fieldEncryptionKey: { name: 'field-encryption', type: 'RSA' },
  },
  logAnalytics: { name: 'comply-ai-logs-development', retentionDays: 30, dailyQuotaGb: 1 },
  monitoring: {
    actionGroup: {
      name: 'llama-mapper-alerts-development',
      shortName: 'llama-dev',
      emails: [{ name: 'platform', address: 'platform@comply-ai.example' }],
    },
  },
  protection: { deletionLock: 'none', preventDestroy: false },
  state: { backend: 'local' },
};
