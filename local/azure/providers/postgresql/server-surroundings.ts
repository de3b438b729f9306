/** What a Flexible Server needs around it: a delegated subnet and a zone, a key and an identity that may use it. */
import ipaddr from 'ipaddr.js';
import { nameOf, parentOf, sameId } from '../../../../azure/resource-id.ts';
import { type JsonObject, objectAt, objectsAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { ArmError } from '../../core/http.ts';
import { canonicalLocation } from '../../core/locations.ts';
import type { Change } from '../../core/resource-types.ts';
import { rangesOf } from '../network/private-endpoints.ts';
import { property, serverType } from './server.ts';

function refused(code: string, message: string): ArmError {
  return new ArmError(400, code, message);
}

/** https://learn.microsoft.com/azure/postgresql/security/security-data-encryption */
export function refuseEncryption(azure: Azure, body: JsonObject): void {
  const encryption = objectAt(body, 'properties', 'dataEncryption');
  if (encryption['type'] !== 'AzureKeyVault') return;
  const attached = Object.keys(objectAt(body, 'identity', 'userAssignedIdentities'));
  for (const key of ['primaryUserAssignedIdentityId', 'geoBackupUserAssignedIdentityId']) {
    const id = textAt(encryption, key);
    if (id === undefined) continue;
    if (!attached.some((other) => sameId(other, id)) || !azure.store.get(id))
      throw refused(
        'InvalidUserAssignedIdentity',
        `Identity '${id}' of the customer-managed key is not assigned to the server.`,
      );
  }
}

/**
 * Private access: https://learn.microsoft.com/azure/postgresql/network/concepts-networking-private, "Virtual network
 * concepts" and "Use a Private DNS zone".
 */
export function refuseNetwork(
  azure: Azure,
  body: JsonObject,
  { id, name }: Pick<Change, 'id' | 'name'>,
): void {
  const subnet = property(body, 'network', 'delegatedSubnetResourceId');
  const zone = property(body, 'network', 'privateDnsZoneArmResourceId');
  if (subnet === undefined) {
    if (zone !== undefined)
      throw refused(
        'PrivateDnsZoneNotSupported',
        `A private DNS zone is for a server in a delegated subnet, and '${name}' has none.`,
      );
    return;
  }
  refuseSubnet(azure, body, subnet, id);
  if (zone === undefined || !azure.store.get(zone))
    throw refused(
      'PrivateDnsZoneRequired',
      `A server in a delegated subnet needs a private DNS zone; '${zone}' was not found.`,
    );
  if (!/\.postgres\.database\.azure\.com$/i.test(zone))
    throw refused(
      'InvalidPrivateDnsZoneName',
      'The private DNS zone must end in .postgres.database.azure.com.',
    );
  if (nameOf(zone).toLowerCase() === `${name}.postgres.database.azure.com`)
    throw refused(
      'InvalidPrivateDnsZoneName',
      `The private DNS zone cannot have the name of server '${name}'.`,
    );
  // The provider must say false (azurerm issues 26098 and 25812).
  if (property(body, 'network', 'publicNetworkAccess') === 'Enabled')
    throw refused(
      'PublicNetworkAccessNotSupported',
      `Server '${name}' is in a virtual network and cannot have public access.`,
    );
}

function refuseSubnet(azure: Azure, body: JsonObject, subnet: string, id: string): void {
  const found = azure.store.get(subnet);
  const delegation = objectsAt(found?.body, 'properties', 'delegations')
    .map((one) => textAt(one, 'properties', 'serviceName')?.toLowerCase())
    .includes(serverType.toLowerCase());
  if (!found || !delegation)
    throw refused(
      'SubnetNotDelegated',
      `Subnet '${subnet}' is not delegated to ${serverType} (server '${id}').`,
    );
  const network = azure.store.get(parentOf(subnet));
  const there = canonicalLocation(textAt(network?.body, 'location') ?? '');
  if (network && there !== textAt(body, 'location'))
    throw refused(
      'VirtualNetworkInAnotherRegion',
      `The virtual network of subnet '${subnet}' is in ${there}, the server in ${textAt(body, 'location')}.`,
    );
  for (const range of rangesOf(found.body)) {
    const [, bits] = ipaddr.parseCIDR(range);
    if (bits > 28)
      throw refused(
        'SubnetTooSmall',
        `Subnet '${subnet}' (${range}) is smaller than /28, the least there may be.`,
      );
  }
}
