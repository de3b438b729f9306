import { namesOf, project } from './project.ts';
import type { EnvironmentInput } from './settings.ts';

const names = namesOf('development');

/**
 * The smallest environment that behaves like production: same network mode, same login mode, same extensions. It has no
 * standby, replica or pooler, because the Burstable tier has none of them.
 *
 * It is private like the others. An open development server would need developers' address ranges here, and would hide
 * broken DNS and routes until staging.
 */
export const development: EnvironmentInput = {
  name: names.environment,
  project,
  location: 'eastus',
  resourceGroup: { name: names.resourceGroup },
  tags: {
    ...names.tags,
    Owner: 'platform-engineering',
    DataClassification: 'synthetic',
  },
  network: {
    mode: 'privateEndpoint',
    primary: {
      virtualNetwork: { name: names.virtualNetwork, addressSpace: ['10.10.0.0/16'] },
      endpointSubnet: { name: names.endpointSubnet, range: '10.10.1.0/24' },
    },
  },
  server: {
    name: names.server,
    version: 17,
    sku: 'B_Standard_B2s',
    zone: '1',
    storage: { sizeGb: 32 },
    backup: { retentionDays: 7, geoRedundant: false },
    maintenanceWindow: { dayOfWeek: 0, startHour: 2 },
    authentication: {
      // Example id: replace it with the object id of your tenant's own group (docs/bootstrap.md).
      administrators: [
        {
          name: names.principal('database-admins'),
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
    name: names.database,
    // Example ids, as above.
    logins: [
      {
        name: names.principal('application'),
        objectId: '3f0c6a52-7c1e-4f5b-9a64-0d8e5b1f2a02',
        type: 'ServicePrincipal',
        role: 'application_role',
      },
      {
        name: names.principal('developers'),
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
    name: names.keyVault,
    sku: 'standard',
    softDeleteRetentionDays: 7,
    fieldEncryptionKey: { name: 'field-encryption', type: 'RSA' },
  },
  logAnalytics: { name: names.logAnalytics, retentionDays: 30, dailyQuotaGb: 1 },
  monitoring: {
    actionGroup: {
      name: names.actionGroup,
      shortName: names.actionGroupShortName,
      // Example address: replace it with your own.
      emails: [{ name: 'platform', address: 'platform@comply-ai.example' }],
    },
  },
  protection: { deletionLock: 'none', preventDestroy: false },
  state: { backend: 'local' },
};
