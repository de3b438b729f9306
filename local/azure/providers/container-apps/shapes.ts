/**
 * Documents of Microsoft.App, version 2025-07-01, as far as jobs use them.
 * https://github.com/Azure/azure-rest-api-specs/tree/main/specification/app/resource-manager/Microsoft.App
 */

import type { ShapeOfObject } from '../../core/shape.ts';
import { envelope, state } from '../../core/shapes.ts';

const identity: ShapeOfObject = {
  type: 'any',
  principalId: 'readOnly',
  tenantId: 'readOnly',
  userAssignedIdentities: { '*': { principalId: 'readOnly', clientId: 'readOnly' } },
};

/** Of a start; a job's own has probes and volumes too. */
export const container: ShapeOfObject = {
  name: 'any',
  image: 'any',
  command: 'any',
  args: 'any',
  env: [{ name: 'any', value: 'any', secretRef: 'any' }],
  resources: { cpu: 'any', memory: 'any', ephemeralStorage: 'readOnly', gpu: 'any' },
};

export const environmentShape: ShapeOfObject = {
  ...envelope,
  identity,
  properties: {
    ...state,
    appLogsConfiguration: { destination: 'any', logAnalyticsConfiguration: 'any' },
    vnetConfiguration: {
      internal: 'any',
      infrastructureSubnetId: 'any',
      dockerBridgeCidr: 'any',
      platformReservedCidr: 'any',
      platformReservedDnsIP: 'any',
    },
    zoneRedundant: 'any',
    workloadProfiles: [
      {
        name: 'any',
        workloadProfileType: 'any',
        minimumCount: 'any',
        maximumCount: 'any',
        enableFips: 'any',
      },
    ],
    infrastructureResourceGroup: 'any',
    publicNetworkAccess: 'any',
    peerAuthentication: { mtls: { enabled: 'any' } },
    peerTrafficConfiguration: { encryption: { enabled: 'any' } },
    defaultDomain: 'readOnly',
    staticIp: 'readOnly',
    customDomainConfiguration: 'readOnly',
    eventStreamEndpoint: 'readOnly',
    deploymentErrors: 'readOnly',
    kedaConfiguration: 'readOnly',
    daprConfiguration: 'readOnly',
    privateEndpointConnections: 'readOnly',
  },
};

export const jobShape: ShapeOfObject = {
  ...envelope,
  identity,
  properties: {
    ...state,
    environmentId: 'any',
    workloadProfileName: 'any',
    outboundIpAddresses: 'readOnly',
    eventStreamEndpoint: 'readOnly',
    configuration: {
      triggerType: 'any',
      replicaTimeout: 'any',
      replicaRetryLimit: 'any',
      manualTriggerConfig: { parallelism: 'any', replicaCompletionCount: 'any' },
      registries: [{ server: 'any', username: 'any', passwordSecretRef: 'any', identity: 'any' }],
      secrets: 'any',
      identitySettings: 'any',
    },
    template: {
      containers: [{ ...container, probes: 'any', volumeMounts: 'any' }],
      initContainers: 'any',
      volumes: 'any',
    },
  },
};
