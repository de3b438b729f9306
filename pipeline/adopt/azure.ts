/**
 * Direct requests to Azure: the resource manager for existing resources, blob storage for the lease of the state.
 * HTTPS_PROXY and NODE_EXTRA_CA_CERTS apply, as they do to Terraform.
 */
import type { PipelineResponse } from '@azure/core-rest-pipeline';
import { versionFor } from '../../azure/resource-types.ts';
import { Fault } from '../../core/fault.ts';
import { isObject, type Json, type JsonObject, objectsAt, parseJson, textAt } from '../../core/json.ts';

export interface Azure {
  readonly subscriptionId: string;
  /**
   * The document at an id, or undefined if it does not exist.
   * @throws Fault (exit 2) if Azure gives another answer or none
   */
  get(path: string): Promise<JsonObject | undefined>;
  /** All pages of a list; empty if its parent does not exist. */
  list(path: string, filter?: string): Promise<readonly JsonObject[]>;
  /** A request of blob storage. */
  blob(method: 'HEAD' | 'PUT', url: string, headers: Readonly<Record<string, string>>): Promise<BlobAnswer>;
}

export interface BlobAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

const manager = 'https://management.azure.com';

type Send = (
  method: 'GET' | 'HEAD' | 'PUT',
  url: string,
  headers: Readonly<Record<string, string>>,
) => Promise<PipelineResponse>;

/** Azure as the signed-in identity sees it. */
export async function signedIn(subscriptionId: string): Promise<Azure> {
  const arm = await sender(`${manager}/.default`);
  const storage = await sender('https://storage.azure.com/.default');
  const get = async (url: string): Promise<JsonObject | undefined> => {
    const answer = await arm('GET', url, {});
    if (answer.status === 404) return undefined;
    // The error page of a proxy is not JSON.
    const body = parseJson(answer.bodyAsText ?? '');
    if (answer.status !== 200) throw refused(new URL(url).pathname, answer.status, body);
    return isObject(body) ? body : {};
  };
  return {
    subscriptionId,
    get: (path) => get(address(path)),
    async list(path, filter) {
      const found: JsonObject[] = [];
      let next: string | undefined = address(path, filter);
      while (next !== undefined) {
        const page: JsonObject | undefined = await get(next);
        found.push(...objectsAt(page, 'value'));
        next = textAt(page, 'nextLink');
        // The request carries a token, so never follow a link to another host.
        if (next !== undefined && !next.startsWith(`${manager}/`)) break;
      }
      return found;
    },
    async blob(method, url, headers) {
      const answer = await storage(method, url, { 'x-ms-version': '2023-11-03', ...headers });
      return { status: answer.status, headers: answer.headers.toJSON() };
    },
  };
}

/** Sends requests with a token of that scope, and repeats those that Azure asks to repeat. */
async function sender(scope: string): Promise<Send> {
  // Loaded here because no other command needs them at its start.
  const [rest, { DefaultAzureCredential }] = await Promise.all([
    import('@azure/core-rest-pipeline'),
    import('@azure/identity'),
  ]);
  const pipeline = rest.createPipelineFromOptions({});
  pipeline.addPolicy(
    rest.bearerTokenAuthenticationPolicy({ credential: new DefaultAzureCredential(), scopes: scope }),
  );
  const client = rest.createDefaultHttpClient();
  return async (method, url, headers) => {
    const request = rest.createPipelineRequest({
      url,
      method,
      headers: rest.createHttpHeaders(headers as Record<string, string>),
    });
    try {
      return await pipeline.sendRequest(client, request);
    } catch (error) {
      throw unreachable(url, error);
    }
  };
}

function address(path: string, filter?: string): string {
  const query = new URLSearchParams({ 'api-version': versionFor(path) });
  if (filter !== undefined) query.set('$filter', filter);
  return `${manager}${path.split('/').map(encodeURIComponent).join('/')}?${query}`;
}

function refused(path: string, status: number, body: Json | undefined): Fault {
  const code = textAt(body, 'error', 'code') ?? 'no code';
  return new Fault(
    'azure/not-readable',
    `Azure did not answer whether ${decodeURIComponent(path)} exists`,
    `it answered ${code} (HTTP ${status})`,
    status === 401 || status === 403
      ? 'The identity needs the role Reader on the subscription, which the plan identity has (docs/bootstrap.md).'
      : 'Run the command again.',
    { exitCode: 2 },
  );
}

/** Contains names and codes only, because the message of an identity error can quote the request. */
function unreachable(url: string, error: unknown): Fault {
  const name = error instanceof Error ? error.name : 'unknown reason';
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  const entra = error instanceof Error ? /AADSTS\d+/.exec(error.message)?.[0] : undefined;
  const identity = /Credential|Authentication/.test(name) || entra !== undefined;
  return new Fault(
    identity ? 'azure/not-signed-in' : 'azure/not-reached',
    identity ? 'No identity is signed in to Azure' : `${new URL(url).host} was not reached`,
    [name, entra ?? (typeof code === 'string' ? code : '')].join(' ').trim(),
    identity
      ? 'Sign in with az login, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and a secret or federated token.'
      : 'Check the network and HTTPS_PROXY, then run the command again.',
    { exitCode: 2 },
  );
}
