/** Names each change that a deployment requests from the control plane, with the same name in every run. */
import { type AzureRequest, operationIdIn } from '../../local/azure/index.ts';

export interface Operation {
  /** Identifies the change across retries and runs. */
  readonly key: string;
  /** Azure id of the resource that it changes. */
  readonly target: string;
  readonly onServer: boolean;
}

/** The operation that a request starts; undefined for a read, or for a request to another host. */
export function operationOf(request: AzureRequest): Operation | undefined {
  if (request.host !== 'management.azure.com' || /^(?:GET|HEAD)$/.test(request.method)) return undefined;
  const target = request.path;
  return {
    key: `${request.method} ${named(request)}`,
    target,
    onServer: /\/Microsoft\.DBforPostgreSQL\/flexibleServers\//i.test(target),
  };
}

/** Id of the operation that a request polls; undefined if it is not a poll. */
export function polledOperation(request: AzureRequest): string | undefined {
  return operationIdIn(request.path);
}

function named({ path, body }: AzureRequest): string {
  const short = path
    .replace(/^\/subscriptions\/[^/]+\/resourceGroups\//i, '')
    .replace(/\/providers\/Microsoft\./gi, ' ');
  // The provider generates a new name for each attempt.
  if (/\/roleAssignments\/[^/]+$/i.test(path))
    return short.replace(/[^/]+$/, principalIn(body) ?? 'unknown principal');
  // The provider writes the subnet a second time to associate its security group.
  return /\/subnets\/[^/]+$/i.test(path) && body.includes('networkSecurityGroup"')
    ? `${short} (security group)`
    : short;
}

function principalIn(body: Buffer): string | undefined {
  return /"principalId"\s*:\s*"([^"]+)"/.exec(body.toString('utf8'))?.[1];
}
