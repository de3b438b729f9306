/** What the stack asks for, what the state knows, and what Azure has: where the three differ. */

import { isObject, textAt } from '../../core/json.ts';
import { findInAzure, ruleOf } from './resource-types.ts';
import type { StackResource } from './stack.ts';
import type { State } from './terraform.ts';
import type { Existing, Values } from './types.ts';

/** In Azure and finished, and only the state does not know it. */
export interface Adoptable {
  readonly address: string;
  readonly importId: string;
}

/** In the state as something to be replaced, though Azure has it and it is finished. */
export interface Tainted {
  readonly address: string;
  readonly id: string;
}

/** Something that neither an import nor the next deployment settles. */
export interface Obstacle {
  readonly address: string;
  readonly id: string;
  readonly what: string;
  readonly remedy: string;
}

export interface Survey {
  readonly adoptable: readonly Adoptable[];
  readonly tainted: readonly Tainted[];
  readonly obstacles: readonly Obstacle[];
  /** What the next deployment does by itself, worth knowing. */
  readonly notes: readonly string[];
  /** Addresses that Azure does not have, and that the next deployment makes. */
  readonly missing: readonly string[];
}

const concurrently = 12;

/** @throws Fault (exit 2) when Azure does not answer, or for a type without a rule */
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
    if (existing) sort(resource, existing, state, found);
    else {
      found.missing.push(resource.address);
      if (resource.type === 'azurerm_key_vault') await noteDeletedVault(resource, values, found);
    }
  });
  // In the stack's own order, whatever came back first.
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
): void {
  const obstacle = obstacleOf(address, type, id, document);
  if (obstacle) found.obstacles.push(obstacle);
  else if (state.resources.has(address)) found.tainted.push({ address, id });
  else found.adoptable.push({ address, importId });
}

/** States in which Azure still works on a resource. */
const unfinished =
  /^(?:accepted|running|creating|provisioning|updating|starting|stopping|restarting|deleting|dropping)$/i;
const failed = /^(?:failed|canceled)$/i;
/**
 * A server whose own key is out of reach. It holds its data all the same.
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
      address,
      id,
      what: `Azure is still working on it (${state})`,
      remedy: 'Run the command again when it has ended.',
    };
  if (closed.test(state) && type === 'azurerm_postgresql_flexible_server')
    return {
      address,
      id,
      what: `it is ${state.toLowerCase()}: its encryption key is out of reach`,
      remedy: 'Never delete it. Give its identity the key back, and run the command again when it is Ready.',
    };
  if (!failed.test(state)) return undefined;
  return type === 'azurerm_resource_group_template_deployment'
    ? {
        address,
        id,
        what: `the record of a deployment that ended ${state.toLowerCase()}`,
        remedy: `Delete the record, which deletes nothing else, and deploy: az resource delete --ids ${id}`,
      }
    : {
        address,
        id,
        what: `its creation ended ${state.toLowerCase()}`,
        remedy: `If it holds nothing, delete it and deploy: az resource delete --ids ${id}`,
      };
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
      address: resource.address,
      id,
      what: `vault ${name} was deleted in group ${group}, and Azure recovers it there only`,
      remedy:
        'Give keyVault.name another value, or recover it and move it (az keyvault recover, az resource move).',
    });
    return;
  }
  if (values.stack.feature('key_vault', 'recover_soft_deleted_key_vaults') === false) {
    found.obstacles.push({
      address: resource.address,
      id,
      what: `vault ${name} was deleted and keeps its name until ${textAt(deleted, 'properties', 'scheduledPurgeDate') ?? 'it is purged'}`,
      remedy: `Recover it, then run the command again: az keyvault recover --name ${name} --location ${location}`,
    });
    return;
  }
  found.notes.push(
    `Vault ${name} was deleted on ${textAt(deleted, 'properties', 'deletionDate') ?? 'an unknown date'}: the next deployment recovers it with its keys.`,
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
