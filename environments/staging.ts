import { namesOf, project } from './project.ts';
import type { EnvironmentInput } from './settings.ts';

const names = namesOf('staging');

/**
 * Production's shape on the smallest General Purpose size: standby in another zone, geo-redundant backup, pooler, premium
 * vault and lock. Azure refuses here first what it would refuse in production. It has no replica: only production tests
 * its own recovery region.
 */
export const staging: EnvironmentInput = {
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
      virtualNetwork: { name: names.virtualNetwork, addressSpace: ['10.20.0.0/16'] },
      endpointSubnet: { name: names.endpointSubnet, range: '10.20.1.0/24' },
    },
  },
  server: {
    name: names.server,
    version: 17,
    sku: 'GP_Standard_D2s_v3',
    zone: '1',
    storage: { sizeGb: 128 },
    highAvailability: { mode: 'ZoneRedundant', standbyZone: '2' },
    backup: { retentionDays: 14, geoRedundant: true },
    maintenanceWindow: { dayOfWeek: 6, startHour: 2 },
    authentication: {
      // Example id: replace it with the object id of your tenant's own group (docs/bootstrap.md).
      administrators: [
        {
          name: names.principal('database-admins'),
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
    // Nothing else records reads: triggers record writes only.
    auditClasses: ['ddl', 'role', 'read'],
  },
  database: {
    name: names.database,
    // Example ids, as above.
    logins: [
      {
        name: names.principal('application'),
        objectId: '8b7d1e94-2a63-4c0d-8f15-6e2c9d4a7b02',
        type: 'ServicePrincipal',
        role: 'application_role',
      },
      {
        name: names.principal('operators'),
        objectId: '8b7d1e94-2a63-4c0d-8f15-6e2c9d4a7b03',
        type: 'Group',
        role: 'admin_role',
      },
      {
        name: names.principal('analysts'),
        objectId: '8b7d1e94-2a63-4c0d-8f15-6e2c9d4a7b04',
        type: 'Group',
        role: 'analytics_role',
      },
      {
        name: names.principal('maintenance'),
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
    name: names.keyVault,
    sku: 'premium',
    fieldEncryptionKey: { name: 'field-encryption', type: 'RSA-HSM' },
  },
  logAnalytics: { name: names.logAnalytics, retentionDays: 30 },
  monitoring: {
    actionGroup: {
      name: names.actionGroup,
      shortName: names.actionGroupShortName,
      // Example address: replace it with your own.
      emails: [{ name: 'platform', address: 'platform@comply-ai.example' }],
    },
  },
  protection: { deletionLock: 'inPlace', preventDestroy: false },
  state: {
    backend: 'azurerm',
    ...names.state,
  },
};
