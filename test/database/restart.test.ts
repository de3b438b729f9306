import { describe, expect, it } from 'vitest';
import { Fault } from '../../core/fault.ts';
import type { AzureAccess } from '../../database/azure-access.ts';
import { restartThroughAzure } from '../../database/restart.ts';

const id =
  '/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/comply-ai/providers/Microsoft.DBforPostgreSQL/flexibleServers/llama';

type HttpClient = NonNullable<NonNullable<AzureAccess['options']>['httpClient']>;
type Answer = Awaited<ReturnType<HttpClient['sendRequest']>>;

/** Azure Resource Manager, as far as one restart goes; everything else of the client is the real one. */
function azure(
  answers: readonly { readonly status: number; readonly headers?: object; readonly body?: object }[],
) {
  const requests: string[] = [];
  const left = [...answers];
  const httpClient: HttpClient = {
    async sendRequest(request) {
      requests.push(`${request.method} ${new URL(request.url).pathname}`);
      const answer = left.shift();
      if (!answer) throw new Error(`one request too many: ${requests.at(-1)}`);
      const { headers } = request;
      for (const [name] of [...headers]) headers.delete(name);
      for (const [name, value] of Object.entries(answer.headers ?? {})) headers.set(name, value);
      headers.set('content-type', 'application/json');
      const bodyAsText = answer.body ? JSON.stringify(answer.body) : '';
      return { request, status: answer.status, headers, bodyAsText } as Answer;
    },
  };
  const access: AzureAccess = {
    credential: {
      getToken: async () => ({ token: 'canary-token', expiresOnTimestamp: Date.now() + 3_600_000 }),
    },
    options: { httpClient, retryOptions: { maxRetries: 0 } },
  };
  return { requests, access };
}

const poll = 'https://management.azure.com/subscriptions/x/operations/1';

describe('a restart through Azure', () => {
  it('is one POST, followed until Azure says that it is done', async () => {
    const { requests, access } = azure([
      { status: 202, headers: { 'azure-asyncoperation': poll, 'retry-after': '0' } },
      { status: 200, headers: { 'retry-after': '0' }, body: { status: 'InProgress' } },
      { status: 200, body: { status: 'Succeeded' } },
    ]);
    await restartThroughAzure(id, access);
    expect(requests[0]).toBe(`POST ${id}/restart`);
    expect(requests.slice(1)).toEqual(Array(2).fill('GET /subscriptions/x/operations/1'));
  });

  it('names the missing permission if it is refused, and quotes no token', async () => {
    const { access } = azure([
      { status: 403, body: { error: { code: 'AuthorizationFailed', message: 'canary-token may not' } } },
    ]);
    const fault: unknown = await restartThroughAzure(id, access).catch((error) => error);
    expect(fault).toBeInstanceOf(Fault);
    expect(fault).toMatchObject({
      code: 'restart/refused-by-azure',
      what: expect.stringContaining('llama'),
      why: 'AuthorizationFailed (HTTP 403)',
      remedy: expect.stringContaining('restart/action'),
    });
    expect(String(fault)).not.toContain('canary');
  });

  it('fails if the operation fails after it was accepted', async () => {
    const { access } = azure([
      { status: 202, headers: { 'azure-asyncoperation': poll, 'retry-after': '0' } },
      { status: 200, body: { status: 'Failed', error: { code: 'ServerIsBusy', message: 'busy' } } },
    ]);
    await expect(restartThroughAzure(id, access)).rejects.toMatchObject({ code: 'restart/refused-by-azure' });
  });

  it('needs the id of a Flexible Server', async () => {
    await expect(restartThroughAzure('/subscriptions/x', azure([]).access)).rejects.toMatchObject({
      code: 'restart/not-a-flexible-server',
    });
  });
});
