/**
 * Azure resource ids: `/subscriptions/s/resourceGroups/g/providers/Namespace/type/name[/type/name…]`, with
 * extension resources (locks, role assignments, diagnostic settings) as a second `/providers/…` behind another id.
 */

/** Ids are compared without regard to case. */
export function idKey(id: string): string {
  return id.toLowerCase().replace(/\/+$/, '');
}

interface Split {
  /** Everything before the last `/providers/`. */
  readonly scope: string;
  /** `Namespace`, then type and name alternating. */
  readonly segments: readonly string[];
}

function split(id: string): Split {
  const cut = id.toLowerCase().lastIndexOf('/providers/');
  if (cut < 0) return { scope: id, segments: [] };
  return { scope: id.slice(0, cut), segments: id.slice(cut + '/providers/'.length).split('/') };
}

/** `Microsoft.Network/virtualNetworks/subnets` of a subnet's id; the type of a group or subscription for theirs. */
export function typeOf(id: string): string {
  const { segments } = split(id);
  if (segments.length > 0) return [segments[0], ...segments.filter((_, index) => index % 2 === 1)].join('/');
  return /\/resourcegroups\//i.test(id)
    ? 'Microsoft.Resources/resourceGroups'
    : 'Microsoft.Resources/subscriptions';
}

export function nameOf(id: string): string {
  return id.slice(id.lastIndexOf('/') + 1);
}

/** The resource a child belongs to, or the scope of an extension or top-level resource. */
export function parentOf(id: string): string {
  const { scope, segments } = split(id);
  if (segments.length > 3) return `${scope}/providers/${segments.slice(0, -2).join('/')}`;
  return scope;
}

/** Id of the resource group an id lies in, or undefined for subscription-wide ids. */
export function resourceGroupOf(id: string): string | undefined {
  return /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+/i.exec(id)?.[0];
}

export function sameId(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && other !== undefined && idKey(one) === idKey(other);
}

/** Whether `id` is `scope` itself or lies anywhere below it. */
export function isWithin(id: string, scope: string): boolean {
  return idKey(id) === idKey(scope) || idKey(id).startsWith(`${idKey(scope)}/`);
}

/**
 * Id of a user-assigned identity with the fixed parts as azurerm and Azure write them: ids are compared without regard to
 * case by Azure, but letter by letter by a plan.
 */
export function canonicalIdentityId(id: string): string {
  return id
    .replace(/\/+$/, '')
    .replace(/^\/subscriptions\//i, '/subscriptions/')
    .replace(/\/resourceGroups\//i, '/resourceGroups/')
    .replace(
      /\/providers\/Microsoft\.ManagedIdentity\/userAssignedIdentities\//i,
      '/providers/Microsoft.ManagedIdentity/userAssignedIdentities/',
    );
}

/** Id of a key with its host in lower case, as Key Vault answers. */
export function canonicalKeyId(id: string): string {
  return id.replace(/^https:\/\/[^/]+\/keys\//i, (start) => start.toLowerCase());
}

/** Id of a resource in a group, of a type without a parent. */
export function resourceIdOf(subscription: string, group: string, type: string, name: string): string {
  return `/subscriptions/${subscription}/resourceGroups/${group}/providers/${type}/${name}`;
}
