/** Properties of documents of Microsoft.Network: https://learn.microsoft.com/rest/api/virtualnetwork and /privatedns */
import type { Shape, ShapeOfObject } from '../../core/shape.ts';
import { envelope, state } from '../../core/shapes.ts';

const reference: ShapeOfObject = { id: 'any' };

const subnet: ShapeOfObject = {
  ...state,
  addressPrefix: 'any',
  addressPrefixes: 'any',
  networkSecurityGroup: reference,
  routeTable: reference,
  natGateway: reference,
  serviceEndpoints: [
    { service: 'any', locations: 'any', provisioningState: 'readOnly', networkIdentifier: 'any' },
  ],
  serviceEndpointPolicies: 'any',
  delegations: [
    {
      id: 'any',
      name: 'any',
      type: 'any',
      etag: 'readOnly',
      properties: { serviceName: 'any', actions: 'any', provisioningState: 'readOnly' },
    },
  ],
  privateEndpoints: 'readOnly',
  ipConfigurations: 'readOnly',
  purpose: 'readOnly',
  privateEndpointNetworkPolicies: 'any',
  privateLinkServiceNetworkPolicies: 'any',
  defaultOutboundAccess: 'any',
  sharingScope: 'any',
};

const securityRule: ShapeOfObject = {
  ...state,
  description: 'any',
  protocol: 'any',
  sourcePortRange: 'any',
  sourcePortRanges: 'any',
  destinationPortRange: 'any',
  destinationPortRanges: 'any',
  sourceAddressPrefix: 'any',
  sourceAddressPrefixes: 'any',
  destinationAddressPrefix: 'any',
  destinationAddressPrefixes: 'any',
  sourceApplicationSecurityGroups: 'any',
  destinationApplicationSecurityGroups: 'any',
  access: 'any',
  priority: 'any',
  direction: 'any',
};

const linkConnection: Shape = [
  {
    id: 'readOnly',
    name: 'any',
    type: 'readOnly',
    etag: 'readOnly',
    properties: {
      ...state,
      privateLinkServiceId: 'any',
      groupIds: 'any',
      requestMessage: 'any',
      privateLinkServiceConnectionState: 'readOnly',
    },
  },
];

export const networkShapes = {
  virtualNetwork: {
    ...envelope,
    extendedLocation: 'any',
    properties: {
      ...state,
      addressSpace: { addressPrefixes: 'any' },
      dhcpOptions: { dnsServers: 'any' },
      flowTimeoutInMinutes: 'any',
      subnets: [{ id: 'any', name: 'any', type: 'readOnly', etag: 'readOnly', properties: subnet }],
      virtualNetworkPeerings: 'readOnly',
      enableDdosProtection: 'any',
      enableVmProtection: 'any',
      ddosProtectionPlan: reference,
      bgpCommunities: 'any',
      encryption: { enabled: 'any', enforcement: 'any' },
      privateEndpointVNetPolicies: 'any',
    },
  },
  subnet: { properties: subnet },
  peering: {
    properties: {
      ...state,
      allowVirtualNetworkAccess: 'any',
      allowForwardedTraffic: 'any',
      allowGatewayTransit: 'any',
      useRemoteGateways: 'any',
      remoteVirtualNetwork: reference,
      peeringState: 'readOnly',
      peeringSyncLevel: 'readOnly',
      peerCompleteVnets: 'any',
      enableOnlyIPv6Peering: 'any',
      localSubnetNames: 'any',
      remoteSubnetNames: 'any',
    },
  },
  securityGroup: {
    ...envelope,
    properties: {
      ...state,
      flushConnection: 'any',
      securityRules: [
        { id: 'readOnly', name: 'any', type: 'readOnly', etag: 'readOnly', properties: securityRule },
      ],
      defaultSecurityRules: 'readOnly',
      networkInterfaces: 'readOnly',
      subnets: 'readOnly',
    },
  },
  privateEndpoint: {
    ...envelope,
    extendedLocation: 'any',
    properties: {
      ...state,
      subnet: { id: 'any' },
      networkInterfaces: 'readOnly',
      privateLinkServiceConnections: linkConnection,
      manualPrivateLinkServiceConnections: linkConnection,
      customDnsConfigs: 'readOnly',
      applicationSecurityGroups: 'any',
      ipConfigurations: 'any',
      customNetworkInterfaceName: 'any',
    },
  },
  zoneGroup: {
    properties: {
      ...state,
      privateDnsZoneConfigs: [
        { name: 'any', id: 'any', properties: { privateDnsZoneId: 'any', recordSets: 'readOnly' } },
      ],
    },
  },
  zone: { ...envelope, properties: { ...state, internalId: 'readOnly', numberOfRecordSets: 'readOnly' } },
  zoneLink: {
    ...envelope,
    properties: {
      ...state,
      virtualNetwork: reference,
      registrationEnabled: 'any',
      resolutionPolicy: 'any',
      virtualNetworkLinkState: 'readOnly',
    },
  },
  record: {
    properties: { ttl: 'any', metadata: 'any', fqdn: 'readOnly', aRecords: 'any', soaRecord: 'any' },
  },
} satisfies Record<string, Shape>;
