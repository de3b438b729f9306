/** What a deployment asks of the control plane, request by request, under names that are the same in every run. */
import { type AzureRequest, operationIdIn } from '../../local/azure/index.ts';

export interface Operation {
  /** The same for the same change, however often it is tried. */
  readonly key: string;
  /** Azure id of what it changes. */
  readonly target: string;
  readonly onServer: boolean;
}

/** The operation a request starts; undefined for one that only looks, or that is not for the control plane. */
export function operationOf(request: AzureRequest): Operation | undefined {
  if (request.host !== 'management.azure.com' || /^(?:GET|HEAD)$/.test(request.method)) return undefined;
  const target = request.path;
  return {
    key: `${request.method} ${named(request)}`,
    target,
    onServer: /\/Microsoft\.DBforPostgreSQL\/flexibleServers\//i.test(target),
  };
}

/** Id of the operation that a request asks about; undefined when it asks about none. */
export function polledOperation(request: AzureRequest): string | undefined {
  return operationIdIn(request.path);
}

function named({ path, body }: AzureRequest): string {
  const short = path
    .replace(/^\/subscriptions\/[^/]+\/resourceGroups\//i, '')
    .replace(/\/providers\/Microsoft\./gi, ' ');
  // The provider makes up a new name for each try.
  if (/\/roleAssignments\/[^/]+$/i.test(path))
    return short.replace(/[^/]+$/, principalIn(body) ?? 'unknown principal');
  // The same subnet is written a second time to tie its security group to it.
  return /\/subnets\/[^/]+$/i.test(path) && body.includes('networkSecurityGroup"')
    ? `${short} (security group)`
    : short;
}

function principalIn(body: Buffer): string | undefined {
  return /"principalId"\s*:\s*"([^"]+)"/.exec(body.toString('utf8'))?.[1];
}
