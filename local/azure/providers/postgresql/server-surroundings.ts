/** Rules about the resources that a Flexible Server uses: subnet, private DNS zone, key and identity. */
import ipaddr from 'ipaddr.js';
import { nameOf, parentOf, sameId } from '../../../../azure/resource-id.ts';
import { type JsonObject, objectAt, objectsAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { canonicalLocation } from '../../core/locations.ts';
import type { Change } from '../../core/resource-types.ts';
import { server as refusals } from '../../refusals/flexible-server.ts';
import { rangesOf } from '../network/private-endpoints.ts';
import { property, serverType } from './server.ts';

/** https://learn.microsoft.com/azure/postgresql/security/security-data-encryption */
export function refuseEncryption(azure: Azure, body: JsonObject): void {
  const encryption = objectAt(body, 'properties', 'dataEncryption');
  if (encryption['type'] !== 'AzureKeyVault') return;
  const attached = Object.keys(objectAt(body, 'identity', 'userAssignedIdentities'));
  for (const key of ['primaryUserAssignedIdentityId', 'geoBackupUserAssignedIdentityId']) {
    const id = textAt(encryption, key);
    if (id === undefined) continue;
    if (!attached.some((other) => sameId(other, id)) || !azure.store.get(id))
      throw refusals.keyIdentityNotAttached(id);
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
    if (zone !== undefined) throw refusals.zoneWithoutSubnet(name);
    return;
  }
  refuseSubnet(azure, body, subnet, id);
  if (zone === undefined || !azure.store.get(zone)) throw refusals.subnetWithoutZone(zone ?? '');
  if (!/\.postgres\.database\.azure\.com$/i.test(zone)) throw refusals.zoneOfAnotherSuffix();
  if (nameOf(zone).toLowerCase() === `${name}.postgres.database.azure.com`)
    throw refusals.zoneOfServersName(name);
  // The provider must send false (azurerm issues 26098 and 25812).
  if (property(body, 'network', 'publicNetworkAccess') === 'Enabled')
    throw refusals.publicAccessWhenInjected(name);
}

function refuseSubnet(azure: Azure, body: JsonObject, subnet: string, id: string): void {
  const found = azure.store.get(subnet);
  const delegation = objectsAt(found?.body, 'properties', 'delegations')
    .map((one) => textAt(one, 'properties', 'serviceName')?.toLowerCase())
    .includes(serverType.toLowerCase());
  if (!found || !delegation) throw refusals.subnetNotDelegated(subnet, serverType, id);
  const network = azure.store.get(parentOf(subnet));
  const there = canonicalLocation(textAt(network?.body, 'location') ?? '');
  if (network && there !== textAt(body, 'location'))
    throw refusals.networkInAnotherRegion(subnet, there, textAt(body, 'location') ?? '');
  for (const range of rangesOf(found.body)) {
    const [, bits] = ipaddr.parseCIDR(range);
    if (bits > 28) throw refusals.subnetTooSmall(subnet, range);
  }
}
