/** Refusals of Microsoft.Network. */
import { defineRefusals, learn } from '../core/refusal.ts';

const subnets = `${learn}/virtual-network/virtual-network-manage-subnet`;
const endpoints = `${learn}/private-link/private-endpoint-overview`;
const dns = `${learn}/dns/private-dns-virtual-network-links`;
const postgresqlNetwork = `${learn}/postgresql/network/concepts-networking-private`;
const rest = 'https://learn.microsoft.com/rest/api';

export const network = defineRefusals('Networks', {
  subnetInUse: {
    status: 400,
    code: 'InUseSubnetCannotBeDeleted',
    rule: 'A subnet, and its network, stays while a private endpoint or a server uses it',
    source: subnets,
    message: (subnet: string, user: string) => `Subnet ${subnet} is in use by ${user} and cannot be deleted.`,
  },
  referenceNotFound: {
    status: 400,
    code: 'InvalidResourceReference',
    rule: 'The network of a peering exists; the subnet of a private endpoint and the security group of a subnet exist in the same region',
    source: `${endpoints}; ${learn}/azure-resource-manager/troubleshooting/error-not-found`,
    message: (missing: string, id: string) =>
      `Resource ${missing} referenced by resource ${id} was not found. Please make sure that the referenced resource exists, and that both resources are in the same region.`,
  },
  subnetOutsideNetwork: {
    status: 400,
    code: 'NetcfgInvalidSubnet',
    rule: 'The range of a subnet lies in a range of its network',
    source: subnets,
    message: (subnet: string, name: string) =>
      `Subnet '${subnet}' is not valid because its IP address range is outside the IP address range of virtual network '${name}'.`,
  },
  subnetsOverlap: {
    status: 400,
    code: 'NetcfgSubnetRangesOverlap',
    rule: 'The ranges of subnets do not overlap',
    source: subnets,
    message: (subnet: string, name: string) =>
      `Subnet '${subnet}' is not valid because its IP address range overlaps with that of an existing subnet in virtual network '${name}'.`,
  },
  securityRuleConflict: {
    status: 400,
    code: 'SecurityRuleConflict',
    rule: 'Two security rules of one direction have different priorities',
    source: `${learn}/virtual-network/network-security-groups-overview`,
    message: (rule: string, other: string) =>
      `Security rule ${rule} conflicts with rule ${other}. Rules cannot have the same Priority and Direction.`,
  },
  securityGroupInUse: {
    status: 400,
    code: 'InUseNetworkSecurityGroupCannotBeDeleted',
    rule: 'A security group stays while a subnet uses it',
    source: `${learn}/virtual-network/manage-network-security-group`,
    message: (group: string, subnet: string) =>
      `Network security group ${group} cannot be deleted because it is in use by the following resources: ${subnet}.`,
  },
  subnetDelegated: {
    status: 400,
    code: 'PrivateEndpointCannotBeCreatedInSubnetWithDelegation',
    rule: 'A private endpoint is not created in a delegated subnet',
    source: postgresqlNetwork,
    message: (endpoint: string, subnet: string) =>
      `Private endpoint ${endpoint} cannot be created in subnet ${subnet} because it is delegated to a service.`,
  },
  privateLinkNotFound: {
    status: 400,
    code: 'InvalidPrivateLinkServiceId',
    rule: 'The target of a private endpoint exists',
    source: endpoints,
    message: (target: string) => `Private link resource ${target} was not found.`,
  },
  invalidGroupId: {
    status: 400,
    code: 'InvalidGroupId',
    rule: 'A private endpoint names the sub-resource of its target',
    source: endpoints,
    message: (target: string, group: string) => `Group id of ${target} must be ${group}.`,
  },
  endpointOfInjectedServer: {
    status: 400,
    code: 'PrivateEndpointFeatureNotSupportedOnServer',
    rule: 'A server in a delegated subnet has no private endpoint',
    source: postgresqlNetwork,
    message: () => 'Private endpoint feature is not supported on this Postgres Flexible Server.',
  },
  subnetIsFull: {
    status: 400,
    code: 'SubnetIsFull',
    rule: 'The subnet of a private endpoint has a free address, five being reserved',
    source: `${learn}/virtual-network/virtual-networks-faq`,
    message: (subnet: string) => `Subnet ${subnet} does not have enough capacity for 1 IP addresses.`,
  },
  zoneOfGroupNotFound: {
    status: 400,
    code: 'PrivateDnsZoneNotFound',
    rule: 'The zones of a private DNS zone group exist',
    source: `${rest}/virtualnetwork/private-dns-zone-groups`,
    message: (zone: string, group: string) =>
      `Private DNS zone ${zone} referenced by private DNS zone group ${group} does not exist.`,
  },
  zoneHasLinks: {
    status: 409,
    code: 'CannotDeleteResource',
    rule: 'A private DNS zone is deleted after its links',
    source: dns,
    message: (zone: string) =>
      `Cannot delete private DNS zone '${zone}' while virtual network links to it exist.`,
  },
  linkedNetworkNotFound: {
    status: 400,
    code: 'BadRequest',
    rule: 'The network of a link of a zone exists',
    source: dns,
    message: (missing: string, link: string) =>
      `The virtual network ${missing} of link ${link} does not exist.`,
  },
  linkedTwice: {
    status: 409,
    code: 'Conflict',
    rule: 'A network is linked to a zone once',
    source: dns,
    message: (linked: string, link: string) =>
      `A virtual network cannot be linked to a zone twice: ${linked} is linked by ${link}.`,
  },
  overlappingZones: {
    status: 400,
    code: 'BadRequest',
    rule: 'Two private DNS zones of one name are not linked to one network',
    source: `${learn}/private-link/private-link-faq; azure-aks-docs #212`,
    message: (linked: string, zone: string) =>
      `A virtual network cannot be linked to multiple zones with overlapping namespaces. You tried to link virtual network with '${zone}' and '${zone}' zones. (${linked})`,
  },
});
