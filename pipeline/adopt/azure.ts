/**
 * Azure, asked directly: the resource manager for what exists, blob storage for the state's lease. HTTPS_PROXY and
 * NODE_EXTRA_CA_CERTS hold for it, as they do for Terraform.
 */
import type { PipelineResponse } from '@azure/core-rest-pipeline';
import { versionFor } from '../../azure/resource-types.ts';
import { Fault } from '../../core/fault.ts';
import { isObject, type Json, type JsonObject, objectsAt, parseJson, textAt } from '../../core/json.ts';

export interface Azure {
  readonly subscriptionId: string;
  /**
   * The document at an id, or undefined when there is none.
   * @throws Fault (exit 2) when Azure does not answer it
   */
  get(path: string): Promise<JsonObject | undefined>;
  /** All pages of a list; empty when what it belongs to is not there. */
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

/** Azure as whoever is signed in sees it. */
export async function signedIn(subscriptionId: string): Promise<Azure> {
  const arm = await sender(`${manager}/.default`);
  const storage = await sender('https://storage.azure.com/.default');
  const get = async (url: string): Promise<JsonObject | undefined> => {
    const answer = await arm('GET', url, {});
    if (answer.status === 404) return undefined;
    // A proxy's page, for instance, is not JSON.
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
        // A list is read with this identity's token: never follow it to another host.
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

/** Sends with a token of that scope, repeating what Azure says to repeat. */
async function sender(scope: string): Promise<Send> {
  // Loaded here, because every other command starts without them.
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
    'azure/1',
    `Azure does not say whether ${decodeURIComponent(path)} exists`,
    `it answered ${code} (HTTP ${status})`,
    status === 401 || status === 403
      ? 'The identity needs Reader on the environment and its subscription: the one that plans has it (docs/bootstrap.md).'
      : 'Run the command again.',
    { exitCode: 2 },
  );
}

/** Names and codes only: the message of an identity error can quote what was sent. */
function unreachable(url: string, error: unknown): Fault {
  const name = error instanceof Error ? error.name : 'unknown reason';
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  const entra = error instanceof Error ? /AADSTS\d+/.exec(error.message)?.[0] : undefined;
  const identity = /Credential|Authentication/.test(name) || entra !== undefined;
  return new Fault(
    'azure/2',
    identity ? 'No identity to ask Azure with' : `${new URL(url).host} was not reached`,
    [name, entra ?? (typeof code === 'string' ? code : '')].join(' ').trim(),
    identity
      ? 'Sign in with az login, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and what proves the client.'
      : 'Look at the network and HTTPS_PROXY, then run the command again.',
    { exitCode: 2 },
  );
}
