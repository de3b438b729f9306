/** Properties of documents by type, from the REST reference of each (https://learn.microsoft.com/rest/api/azure). */
import type { Shape, ShapeOfObject } from './shape.ts';

export const envelope: ShapeOfObject = { location: 'any', tags: 'any', systemData: 'readOnly' };
export const state: ShapeOfObject = { provisioningState: 'readOnly', resourceGuid: 'readOnly' };
const identity: ShapeOfObject = {
  type: 'any',
  principalId: 'readOnly',
  tenantId: 'readOnly',
  userAssignedIdentities: { '*': { principalId: 'readOnly', clientId: 'readOnly' } },
};

export const vaultShapes = {
  vault: {
    ...envelope,
    properties: {
      ...state,
      tenantId: 'any',
      sku: { family: 'any', name: 'any' },
      accessPolicies: 'any',
      vaultUri: 'readOnly',
      hsmPoolResourceId: 'readOnly',
      enabledForDeployment: 'any',
      enabledForDiskEncryption: 'any',
      enabledForTemplateDeployment: 'any',
      enableSoftDelete: 'any',
      softDeleteRetentionInDays: 'any',
      enableRbacAuthorization: 'any',
      createMode: 'any',
      enablePurgeProtection: 'any',
      networkAcls: { bypass: 'any', defaultAction: 'any', ipRules: 'any', virtualNetworkRules: 'any' },
      publicNetworkAccess: 'any',
      privateEndpointConnections: 'readOnly',
    },
  },
  key: {
    ...envelope,
    properties: {
      attributes: {
        enabled: 'any',
        nbf: 'any',
        exp: 'any',
        exportable: 'any',
        created: 'readOnly',
        updated: 'readOnly',
        recoveryLevel: 'readOnly',
      },
      kty: 'any',
      keyOps: 'any',
      keySize: 'any',
      curveName: 'any',
      keyUri: 'readOnly',
      keyUriWithVersion: 'readOnly',
      rotationPolicy: {
        attributes: { expiryTime: 'any', created: 'readOnly', updated: 'readOnly' },
        lifetimeActions: [
          { trigger: { timeAfterCreate: 'any', timeBeforeExpiry: 'any' }, action: { type: 'any' } },
        ],
      },
      release_policy: 'any',
    },
  },
} satisfies Record<string, Shape>;

export const authorizationShapes = {
  definition: {
    properties: {
      roleName: 'any',
      description: 'any',
      type: 'any',
      assignableScopes: 'any',
      permissions: [{ actions: 'any', notActions: 'any', dataActions: 'any', notDataActions: 'any' }],
      createdOn: 'readOnly',
      updatedOn: 'readOnly',
      createdBy: 'readOnly',
      updatedBy: 'readOnly',
    },
  },
  assignment: {
    properties: {
      scope: 'readOnly',
      roleDefinitionId: 'any',
      principalId: 'any',
      principalType: 'any',
      description: 'any',
      condition: 'any',
      conditionVersion: 'any',
      delegatedManagedIdentityResourceId: 'any',
      createdOn: 'readOnly',
      updatedOn: 'readOnly',
      createdBy: 'readOnly',
      updatedBy: 'readOnly',
    },
  },
} satisfies Record<string, Shape>;

export const storageShapes = {
  account: {
    ...envelope,
    sku: { name: 'any', tier: 'readOnly' },
    kind: 'any',
    properties: {
      minimumTlsVersion: 'any',
      supportsHttpsTrafficOnly: 'any',
      allowBlobPublicAccess: 'any',
      allowSharedKeyAccess: 'any',
      defaultToOAuthAuthentication: 'any',
      allowCrossTenantReplication: 'any',
      primaryEndpoints: 'readOnly',
    },
  },
  blobService: {
    properties: {
      isVersioningEnabled: 'any',
      deleteRetentionPolicy: { enabled: 'any', days: 'any' },
      containerDeleteRetentionPolicy: { enabled: 'any', days: 'any' },
    },
  },
  container: { properties: { publicAccess: 'any', metadata: 'any' } },
} satisfies Record<string, Shape>;

export const workspaceShape: Shape = {
  ...envelope,
  identity,
  properties: {
    ...state,
    customerId: 'readOnly',
    sku: { name: 'any', capacityReservationLevel: 'any', lastSkuUpdate: 'readOnly' },
    retentionInDays: 'any',
    workspaceCapping: {
      dailyQuotaGb: 'any',
      quotaNextResetTime: 'readOnly',
      dataIngestionStatus: 'readOnly',
    },
    createdDate: 'readOnly',
    modifiedDate: 'readOnly',
    publicNetworkAccessForIngestion: 'any',
    publicNetworkAccessForQuery: 'any',
    forceCmkForQuery: 'any',
    privateLinkScopedResources: 'readOnly',
    features: {
      enableDataExport: 'any',
      immediatePurgeDataOn30Days: 'any',
      enableLogAccessUsingOnlyResourcePermissions: 'any',
      clusterResourceId: 'any',
      disableLocalAuth: 'any',
    },
    defaultDataCollectionRuleResourceId: 'any',
  },
};

export const managedIdentityShape: Shape = {
  ...envelope,
  properties: {
    tenantId: 'readOnly',
    principalId: 'readOnly',
    clientId: 'readOnly',
    isolationScope: 'any',
  },
};

export const budgetShape: Shape = {
  eTag: 'any',
  properties: {
    category: 'any',
    amount: 'any',
    timeGrain: 'any',
    timePeriod: { startDate: 'any', endDate: 'any' },
    filter: 'any',
    currentSpend: 'readOnly',
    forecastSpend: 'readOnly',
    notifications: {
      '*': {
        enabled: 'any',
        operator: 'any',
        threshold: 'any',
        thresholdType: 'any',
        contactEmails: 'any',
        contactGroups: 'any',
        contactRoles: 'any',
        locale: 'any',
      },
    },
  },
};

export const dataProtectionShapes = {
  vault: {
    ...envelope,
    identity,
    properties: {
      ...state,
      storageSettings: 'any',
      securitySettings: {
        softDeleteSettings: { state: 'any', retentionDurationInDays: 'any' },
        immutabilitySettings: { state: 'any' },
        encryptionSettings: 'any',
      },
      featureSettings: {
        crossRegionRestoreSettings: { state: 'any' },
        crossSubscriptionRestoreSettings: { state: 'any' },
      },
      monitoringSettings: 'any',
      replicatedRegions: 'any',
      resourceMoveState: 'readOnly',
      isVaultProtectedByResourceGuard: 'readOnly',
      secureScore: 'readOnly',
    },
  },
  policy: { properties: { datasourceTypes: 'any', objectType: 'any', policyRules: 'any' } },
  instance: {
    tags: 'any',
    properties: {
      ...state,
      friendlyName: 'any',
      dataSourceInfo: 'any',
      dataSourceSetInfo: 'any',
      policyInfo: { policyId: 'any', policyVersion: 'readOnly', policyParameters: 'any' },
      objectType: 'any',
      identityDetails: 'any',
      datasourceAuthCredentials: 'any',
      validationType: 'any',
      protectionStatus: 'readOnly',
      currentProtectionState: 'readOnly',
    },
  },
} satisfies Record<string, Shape>;
