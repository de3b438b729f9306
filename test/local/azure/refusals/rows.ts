/** Rows of refused requests, and their common steps. */
import type { Answer, Call } from '../../../support/azure-client.ts';
import type { AzureFixture } from '../../../support/azure-fixture.ts';

/** By the name of the refusal: what provokes it, in a subscription with one empty resource group. */
export type RefusedRows = Readonly<Record<string, (local: AzureFixture) => Promise<Answer | undefined>>>;

/** Creates or replaces something in the group, and waits until it is done. */
export function put(local: AzureFixture, path: string, body: object = {}): Promise<Answer> {
  return local.client.done('PUT', local.resource(path), { location: 'eastus', ...body });
}

export function patch(local: AzureFixture, path: string, body: object): Promise<Answer> {
  return local.client.done('PATCH', local.resource(path), body);
}

export function remove(local: AzureFixture, path: string): Promise<Answer> {
  return local.client.done('DELETE', local.resource(path));
}

/** A request to another host than the control plane, with a token for the audience. */
export async function ask(
  local: AzureFixture,
  audience: string | undefined,
  method: string,
  host: string,
  path: string,
  call: Pick<Call, 'headers' | 'body'> = {},
): Promise<Answer> {
  const token = audience === undefined ? {} : await local.client.authorization(audience);
  return local.client.call(method, path, { host, ...call, headers: { ...token, ...call.headers } });
}

/** A virtual network `net` with a subnet `one`. */
export async function network(local: AzureFixture): Promise<void> {
  await put(local, 'Microsoft.Network/virtualNetworks/net', {
    properties: { addressSpace: { addressPrefixes: ['10.0.0.0/16'] } },
  });
  await put(local, 'Microsoft.Network/virtualNetworks/net/subnets/one', {
    location: undefined,
    properties: { addressPrefix: '10.0.1.0/24' },
  });
}

/** A private endpoint in subnet `one` that leads to a server or anything else. */
export function endpoint(local: AzureFixture, name: string, target: string, subnet = 'one'): Promise<Answer> {
  return put(local, `Microsoft.Network/privateEndpoints/${name}`, {
    properties: {
      subnet: { id: local.resource(`Microsoft.Network/virtualNetworks/net/subnets/${subnet}`) },
      privateLinkServiceConnections: [
        { name: 'one', properties: { privateLinkServiceId: target, groupIds: ['postgresqlServer'] } },
      ],
    },
  });
}
