/**
 * The action of the control plane that a request asks for, as roles name it.
 * https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations
 */
import type { AzureRequest } from './http.ts';

export interface RequestedAction {
  /** `Microsoft.DBforPostgreSQL/flexibleServers/restart/action`. */
  readonly action: string;
  /** Id of the resource, or of the scope that a list is read of. */
  readonly scope: string;
}

const verbs: Readonly<Record<string, string>> = {
  GET: 'read',
  HEAD: 'read',
  PUT: 'write',
  PATCH: 'write',
  DELETE: 'delete',
};

/** Requests of subscriptions and groups, which stand outside any provider: what follows the id, and the type. */
const withoutProvider: readonly (readonly [RegExp, string])[] = [
  [/^\/subscriptions\/[^/]+$/i, 'Microsoft.Resources/subscriptions'],
  [/^\/subscriptions\/[^/]+\/providers(?:\/[^/]+)?$/i, 'Microsoft.Resources/subscriptions/providers'],
  [/^\/subscriptions\/[^/]+\/resources$/i, 'Microsoft.Resources/subscriptions/resources'],
  [
    /^\/subscriptions\/[^/]+\/operationresults\/[^/]+$/i,
    'Microsoft.Resources/subscriptions/operationresults',
  ],
  [
    /^\/subscriptions\/[^/]+\/resourcegroups(?:\/[^/]+)?$/i,
    'Microsoft.Resources/subscriptions/resourceGroups',
  ],
  [
    /^\/subscriptions\/[^/]+\/resourcegroups\/[^/]+\/resources$/i,
    'Microsoft.Resources/subscriptions/resourceGroups/resources',
  ],
];

/** @returns undefined for a path that no role speaks of */
export function requestedAction({
  method,
  path,
}: Pick<AzureRequest, 'method' | 'path'>): RequestedAction | undefined {
  const id = path.replace(/\/+$/, '');
  const registration = /^(\/subscriptions\/[^/]+)\/providers\/([^/]+)\/register$/i.exec(id);
  if (registration && method === 'POST')
    return { action: `${registration[2]}/register/action`, scope: registration[1] ?? '' };
  const stopped = /^(.+\/providers\/Microsoft\.App\/jobs\/[^/]+)\/executions\/[^/]+\/stop$/i.exec(id);
  if (stopped && method === 'POST')
    return { action: 'Microsoft.App/jobs/stop/execution/action', scope: stopped[1] ?? '' };
  const execution = /^(.+\/providers\/Microsoft\.App\/jobs\/[^/]+)\/executions\/[^/]+$/i.exec(id);
  if (execution && method === 'GET')
    return { action: 'Microsoft.App/jobs/execution/read', scope: execution[1] ?? '' };
  for (const [pattern, type] of withoutProvider)
    if (pattern.test(id)) return { action: `${type}/${verbs[method]}`, scope: scopeWithoutProvider(id) };
  return ofProvider(method, id);
}

function scopeWithoutProvider(id: string): string {
  return (
    /^\/subscriptions\/[^/]+\/resourcegroups\/[^/]+/i.exec(id)?.[0] ??
    /^\/subscriptions\/[^/]+/i.exec(id)?.[0] ??
    id
  );
}

function ofProvider(method: string, id: string): RequestedAction | undefined {
  const cut = id.toLowerCase().lastIndexOf('/providers/');
  if (cut < 0) return undefined;
  const [namespace, ...rest] = id.slice(cut + '/providers/'.length).split('/');
  const types = rest.filter((_, index) => index % 2 === 0);
  // A type at the end, with no name behind it, is a list or an action.
  const isOpen = rest.length % 2 === 1;
  if (method === 'POST') {
    const verb = types.pop();
    if (!isOpen || verb === undefined) return undefined;
    return { action: [namespace, ...types, verb, 'action'].join('/'), scope: above(id) };
  }
  return { action: [namespace, ...types, verbs[method]].join('/'), scope: isOpen ? above(id) : id };
}

/** The id without its last segment, and without a provider that then stands at its end. */
function above(id: string): string {
  return id.slice(0, id.lastIndexOf('/')).replace(/\/providers\/[^/]+$/i, '');
}
