/** Requests to the resource manager about a job, its executions and their output. */
import type { PipelineResponse } from '@azure/core-rest-pipeline';
import { versionFor } from '../../azure/resource-types.ts';
import { Fault } from '../../core/fault.ts';
import { isObject, type JsonObject, objectAt, parseJson, textAt } from '../../core/json.ts';
import { type AzureAccess, azureReason } from '../../database/azure-access.ts';

const manager = 'https://management.azure.com';

export interface Answer {
  readonly status: number;
  readonly body: JsonObject;
  /** `Code (HTTP 403): sentence` of a refusal. */
  readonly reason: string;
}

/** @param path with `providers/…`, below a subscription */
export type Ask = (
  method: 'GET' | 'POST',
  path: string,
  options?: { readonly query?: Readonly<Record<string, string>>; readonly body?: JsonObject },
) => Promise<Answer>;

/** Asks as an identity. HTTPS_PROXY and NODE_EXTRA_CA_CERTS apply. */
export async function managerOf({ credential, options = {} }: AzureAccess): Promise<Ask> {
  const rest = await import('@azure/core-rest-pipeline');
  const pipeline = rest.createPipelineFromOptions(options);
  pipeline.addPolicy(rest.bearerTokenAuthenticationPolicy({ credential, scopes: `${manager}/.default` }));
  const client = options.httpClient ?? rest.createDefaultHttpClient();
  return async (method, path, { query = {}, body } = {}) => {
    const parameters = new URLSearchParams({ 'api-version': versionFor(path), ...query });
    const request = rest.createPipelineRequest({
      url: `${manager}${path.split('/').map(encodeURIComponent).join('/')}?${parameters}`,
      method,
      headers: rest.createHttpHeaders({ 'content-type': 'application/json' }),
      ...(body && { body: JSON.stringify(body) }),
    });
    return answerOf(await pipeline.sendRequest(client, request).catch(unreachable));
  };
}

function answerOf({ status, bodyAsText }: PipelineResponse): Answer {
  const parsed = parseJson(bodyAsText ?? '');
  const body = isObject(parsed) ? parsed : {};
  const error = objectAt(body, 'error');
  const code = textAt(error, 'code') ?? 'no code';
  return { status, body, reason: `${code} (HTTP ${status}): ${textAt(error, 'message') ?? 'no reason'}` };
}

function unreachable(error: unknown): never {
  throw new Fault(
    'post-deploy/job-azure-not-reached',
    'Azure did not answer about the post-deploy job',
    azureReason(error),
    'Sign in (az login, or a federated identity) and check the network, then deploy again.',
    { exitCode: 2, cause: error },
  );
}
