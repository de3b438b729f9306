/** Differences between the stack, the state and Azure. */

import { isObject, textAt } from '../../core/json.ts';
import { findInAzure, ruleOf } from './resource-types.ts';
import type { StackResource } from './stack.ts';
import type { State } from './terraform.ts';
import type { Existing, Values } from './types.ts';

/** Complete in Azure, and missing in the state. */
export interface Adoptable {
  readonly address: string;
  readonly importId: string;
}

/** Marked for replacement in the state, and complete in Azure. */
export interface Tainted {
  readonly address: string;
  readonly id: string;
}

/** Why neither an import nor the next deployment repairs a resource. */
export type ObstacleKind =
  | 'operation-running'
  | 'key-out-of-reach'
  | 'deployment-failed'
  | 'creation-failed'
  | 'deleted-in-another-group'
  | 'belongs-to-the-network'
  | 'deleted-and-not-recovered';

/** A resource that neither an import nor the next deployment repairs. */
export interface Obstacle {
  readonly kind: ObstacleKind;
  readonly address: string;
  readonly id: string;
  readonly what: string;
  readonly remedy: string;
}

export interface Survey {
  readonly adoptable: readonly Adoptable[];
  readonly tainted: readonly Tainted[];
  readonly obstacles: readonly Obstacle[];
  /** Notable effects of the next deployment. */
  readonly notes: readonly string[];
  /** Addresses that Azure does not have and the next deployment creates. */
  readonly missing: readonly string[];
}

const concurrently = 12;

/** @throws Fault (exit 2) if Azure does not answer, or for a type without a rule */
export async function survey(values: Values, state: State): Promise<Survey> {
  const found = {
    adoptable: [] as Adoptable[],
    tainted: [] as Tainted[],
    obstacles: [] as Obstacle[],
    notes: [] as string[],
    missing: [] as string[],
  };
  const open = [...values.stack.resources.values()].filter(({ address, type }) => {
    const known = state.resources.get(address);
    return ruleOf(type).adoption !== 'again' && (known === undefined || known.tainted);
  });
  await eachOf(open, async (resource) => {
    const existing = await findInAzure(resource, values);
    if (existing) sort(resource, existing, state, found, await ownersSubnet(resource, existing, values));
    else {
      found.missing.push(resource.address);
      if (resource.type === 'azurerm_key_vault') await noteDeletedVault(resource, values, found);
    }
  });
  // Requests run at once; the report follows the order of the stack.
  const order = [...values.stack.resources.keys()];
  const byOrder = (a: { address: string }, b: { address: string }) =>
    order.indexOf(a.address) - order.indexOf(b.address);
  found.adoptable.sort(byOrder);
  found.tainted.sort(byOrder);
  found.obstacles.sort(byOrder);
  return found;
}

function sort(
  { address, type }: StackResource,
  { id, importId, document }: Existing,
  state: State,
  found: { adoptable: Adoptable[]; tainted: Tainted[]; obstacles: Obstacle[] },
  owners: Obstacle | undefined,
): void {
  const obstacle = owners ?? obstacleOf(address, type, id, document);
  if (obstacle) found.obstacles.push(obstacle);
  else if (state.resources.has(address)) found.tainted.push({ address, id });
  else found.adoptable.push({ address, importId });
}

/** States of a resource with a running operation. */
const unfinished =
  /^(?:accepted|running|creating|provisioning|updating|starting|stopping|restarting|deleting|dropping)$/i;
const failed = /^(?:failed|canceled)$/i;
/**
 * A server without access to its encryption key. Its data is still there.
 * https://learn.microsoft.com/azure/postgresql/security/security-data-encryption
 */
const closed = /^(?:disabled|inaccessible)$/i;

function obstacleOf(address: string, type: string, id: string, document: unknown): Obstacle | undefined {
  const properties = isObject(document) ? document['properties'] : undefined;
  const state = textAt(properties, 'provisioningState') ?? textAt(properties, 'state') ?? '';
  // An association shares its subnet's document, which has an obstacle of its own.
  if (type === 'azurerm_subnet_network_security_group_association') return undefined;
  if (unfinished.test(state))
    return {
      kind: 'operation-running',
      address,
      id,
      what: `its operation still runs (${state})`,
      remedy: 'Run the command again when the operation has ended.',
    };
  if (closed.test(state) && type === 'azurerm_postgresql_flexible_server')
    return {
      kind: 'key-out-of-reach',
      address,
      id,
      what: `it is ${state.toLowerCase()}, because it cannot reach its encryption key`,
      remedy:
        'Never delete it. Give its identity access to the key, and run the command again when the server is Ready.',
    };
  if (!failed.test(state)) return undefined;
  return type === 'azurerm_resource_group_template_deployment'
    ? {
        kind: 'deployment-failed',
        address,
        id,
        what: `it is the record of a deployment that ended as ${state.toLowerCase()}`,
        remedy: `Delete the record, which deletes nothing else, and deploy: az resource delete --ids ${id}`,
      }
    : {
        kind: 'creation-failed',
        address,
        id,
        what: `its creation ended as ${state.toLowerCase()}`,
        remedy: `If it holds no data, delete it and deploy: az resource delete --ids ${id}`,
      };
}

/**
 * A subnet in a network that the stack only refers to, with parts that the stack gives no subnet: the owner of the network
 * has made it. An import would take it, and the next deployment would remove those parts.
 */
async function ownersSubnet(
  { address, type, block }: StackResource,
  { id, document }: Existing,
  values: Values,
): Promise<Obstacle | undefined> {
  if (!/^azurerm_subnet(?:_network_security_group_association)?$/.test(type)) return undefined;
  const subnet = type === 'azurerm_subnet' ? block : subnetOf(block, values);
  if (!subnet || !String(subnet['virtual_network_name']).includes('data.azurerm_virtual_network.'))
    return undefined;
  const properties = isObject(document) ? document['properties'] : undefined;
  const group = textAt(properties, 'networkSecurityGroup', 'id');
  const own = [...values.stack.resources.values()].filter(
    (one) => one.type === 'azurerm_network_security_group',
  );
  const names = await Promise.all(own.map((one) => values.argument(one, 'name')));
  const has = [
    ...(group && !names.some((name) => name?.toLowerCase() === group.split('/').at(-1)?.toLowerCase())
      ? [`security group ${group.split('/').at(-1)}`]
      : []),
    ...['routeTable', 'natGateway'].filter((part) => textAt(properties, part, 'id') !== undefined),
  ];
  if (has.length === 0) return undefined;
  return {
    kind: 'belongs-to-the-network',
    address,
    id,
    what: `it belongs to the owner of the adopted network: it has ${has.join(' and ')}`,
    remedy: 'Set existing: true for the subnet in the settings, or give it another name and range.',
  };
}

/** The block of the subnet that an association names. */
function subnetOf({ subnet_id }: StackResource['block'], { stack }: Values) {
  const [, address = ''] = /\$\{(azurerm_subnet\.[\w-]+)\.id\}/.exec(String(subnet_id)) ?? [];
  return stack.resources.get(address)?.block;
}

async function noteDeletedVault(
  resource: StackResource,
  values: Values,
  found: { notes: string[]; obstacles: Obstacle[] },
): Promise<void> {
  const [name, location] = await Promise.all([
    values.argument(resource, 'name'),
    values.argument(resource, 'location'),
  ]);
  const id = `/subscriptions/${values.azure.subscriptionId}/providers/Microsoft.KeyVault/locations/${location}/deletedVaults/${name}`;
  const deleted = await values.azure.get(id);
  if (!deleted) return;
  const group = /\/resourceGroups\/([^/]+)/i.exec(textAt(deleted, 'properties', 'vaultId') ?? '')?.[1];
  const wanted = await values.argument(resource, 'resource_group_name');
  if (group !== undefined && group.toLowerCase() !== wanted?.toLowerCase()) {
    found.obstacles.push({
      kind: 'deleted-in-another-group',
      address: resource.address,
      id,
      what: `vault ${name} was deleted in group ${group}, and Azure recovers it only there`,
      remedy:
        'Change keyVault.name, or recover the vault and move it (az keyvault recover, az resource move).',
    });
    return;
  }
  if (values.stack.feature('key_vault', 'recover_soft_deleted_key_vaults') === false) {
    found.obstacles.push({
      kind: 'deleted-and-not-recovered',
      address: resource.address,
      id,
      what: `vault ${name} was deleted and keeps its name until ${textAt(deleted, 'properties', 'scheduledPurgeDate') ?? 'it is purged'}`,
      remedy: `Recover it, then run the command again: az keyvault recover --name ${name} --location ${location}`,
    });
    return;
  }
  found.notes.push(
    `Vault ${name} was deleted on ${textAt(deleted, 'properties', 'deletionDate') ?? 'an unknown date'}. The next deployment recovers it with its keys.`,
  );
}

export async function eachOf<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: concurrently }, worker));
}
