/**
 * The endpoint inside a container at which a program gets tokens of the managed identities of its job:
 * https://learn.microsoft.com/azure/container-apps/managed-identity#rest-endpoint-reference
 */
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Azure } from '../../core/context.ts';

export interface IdentityEndpoint {
  /** `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`. */
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** @param clientIds of the identities of the job */
export async function startIdentityEndpoint(
  azure: Azure,
  clientIds: readonly string[],
): Promise<IdentityEndpoint> {
  const secret = randomUUID();
  const server = http.createServer((request, response) => {
    void answer(azure, clientIds, secret, request).then(({ status, body }) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    environment: { IDENTITY_ENDPOINT: `http://127.0.0.1:${port}/msi/token`, IDENTITY_HEADER: secret },
    async stop() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function answer(
  { directory }: Azure,
  clientIds: readonly string[],
  secret: string,
  { url, headers }: http.IncomingMessage,
): Promise<{ readonly status: number; readonly body: object }> {
  const { pathname, searchParams } = new URL(url ?? '/', 'http://127.0.0.1');
  const refuse = (status: number, message: string) => ({ status, body: { statusCode: status, message } });
  // The header keeps a request that a program was tricked into from getting a token.
  if (pathname !== '/msi/token' || headers['x-identity-header'] !== secret)
    return refuse(401, 'The header X-IDENTITY-HEADER is missing or wrong.');
  const clientId = searchParams.get('client_id') ?? '';
  const resource = searchParams.get('resource') ?? '';
  const principal = clientIds.includes(clientId) ? directory.application(clientId) : undefined;
  if (!principal || resource === '')
    return refuse(400, `No managed identity with the client id '${clientId}' is assigned.`);
  return {
    status: 200,
    body: {
      access_token: await directory.issue(resource, principal),
      expires_on: String(Math.floor(Date.now() / 1000) + directory.options.tokenLifetime),
      resource,
      token_type: 'Bearer',
      client_id: clientId,
    },
  };
}
