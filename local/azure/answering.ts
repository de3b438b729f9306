/** How a request is answered: token, rights, the route, and the record of what was refused or not known. */
import type { Interception, LocalAzureOptions, RequestRecord } from './contract.ts';
import { refuseUnauthorized } from './core/access.ts';
import type { Azure } from './core/context.ts';
import { ArmError, type AzureRequest, type AzureResponse, UnknownRequest } from './core/http.ts';
import type { Incidents } from './providers/postgresql/actions.ts';
import { general } from './refusals/general.ts';

/** The history of a local Azure, oldest first. */
export interface History {
  readonly requests: RequestRecord[];
  readonly unknown: string[];
  readonly refusals: string[];
}

const manager = 'management.azure.com';
const managerAudiences = ['https://management.azure.com', 'https://management.core.windows.net'];

/** Answers a request from outside, unless it or its answer is intercepted, and records it. */
export async function answer(
  azure: Azure,
  request: AzureRequest,
  { intercept, interceptAnswer }: LocalAzureOptions,
  history: History,
): Promise<AzureResponse | 'drop'> {
  const at = Date.now();
  const intercepted: Interception = await intercept?.(request);
  let response = intercepted;
  if (response === undefined) {
    const ordinary = await respond(azure, request, history);
    response = (await interceptAnswer?.(request, ordinary)) ?? ordinary;
  }
  history.requests.push({
    at,
    method: request.method,
    host: request.host,
    path: request.path,
    apiVersion: request.query.get('api-version') ?? undefined,
    status: response === 'drop' ? 'dropped' : response.status,
  });
  return response;
}

/** Answers a request, also one that the resource manager makes itself for a template. */
export async function respond(
  azure: Azure,
  request: AzureRequest,
  { unknown, refusals }: History,
): Promise<AzureResponse> {
  const line = `${request.method} https://${request.host}${request.path}?${request.query}`;
  const startedAt = Date.now();
  try {
    if (request.host === manager) authorize(azure, request);
    const found = azure.router.find(request);
    if ('unknown' in found) throw new UnknownRequest(`${line}: ${found.unknown}`);
    return await found.handler(found.match);
  } catch (error) {
    if (error instanceof ArmError) {
      if (error.status === 501) unknown.push(`${line}: ${error.message}`);
      if (error.refusal !== undefined) refusals.push(error.refusal);
      if (isChange(request)) azure.operations.note(request.method, request.path, startedAt, error);
      return error.toResponse();
    }
    // A defect of the local Azure is reported like an unknown request.
    const message = error instanceof UnknownRequest ? error.message : `${line}: ${String(error)}`;
    unknown.push(message);
    return { status: 501, body: { error: { code: 'NotImplementedByLocalAzure', message } } };
  }
}

/** Incidents whose refusals are part of the history like those of requests. */
export function recorded(incidents: Incidents, { refusals }: History): Incidents {
  const note = (error: unknown): never => {
    if (error instanceof ArmError && error.refusal !== undefined) refusals.push(error.refusal);
    throw error;
  };
  return {
    failOver: (server) => incidents.failOver(server).catch(note),
    growDisk(server) {
      try {
        incidents.growDisk(server);
      } catch (error) {
        note(error);
      }
    },
  };
}

/** Whether a request of the control plane changes something, and so belongs to the operations. */
function isChange({ host, method, path }: AzureRequest): boolean {
  return (
    host === manager &&
    !['GET', 'HEAD'].includes(method) &&
    !/\/(?:sharedKeys|validate|exportTemplate)$/i.test(path)
  );
}

/** @throws ArmError 401, 403, 404 or 429 */
function authorize(azure: Azure, request: AzureRequest): void {
  const caller = managerAudiences
    .map((audience) => azure.directory.callerOf(request, audience))
    .find((principal) => principal !== undefined);
  if (!caller) throw general.invalidAuthenticationToken();
  const subscription = /^\/subscriptions\/([^/]+)/i.exec(request.path)?.[1];
  if (subscription !== undefined && subscription.toLowerCase() !== azure.subscriptionId)
    throw general.subscriptionNotFound(subscription);
  refuseUnauthorized(azure, request, caller);
  azure.throttle?.take(request);
}
