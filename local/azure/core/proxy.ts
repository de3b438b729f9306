/**
 * A CONNECT proxy on the loopback that terminates TLS for the host names of Azure that a deployment uses.
 *
 * It uses node's own http and tls. The library mockttp listens on every interface, and a local Azure must not be
 * reachable from another machine.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { issueCertificate } from '../../postgres/certificates.ts';
import type { AzureRequest, AzureResponse } from './http.ts';

export const servedHosts = [
  'management.azure.com',
  'login.microsoftonline.com',
  'graph.microsoft.com',
  'api.loganalytics.azure.com',
  '*.vault.azure.net',
  '*.blob.core.windows.net',
] as const;

export interface AzureProxy {
  /** `http://127.0.0.1:port`, for HTTPS_PROXY. */
  readonly url: string;
  /** The same for a client inside the virtual network: it says so to the proxy by its user name. */
  readonly networkUrl: string;
  /** Certificate authority its clients must trust, PEM. */
  readonly authority: string;
  stop(): Promise<void>;
}

let issued: ReturnType<typeof issueCertificate> | undefined;

/** One certificate serves every proxy of this process: making it takes most of a start. */
function certificateOfHosts() {
  issued ??= issueCertificate(servedHosts);
  return issued;
}

/** Answers a request; `drop` cuts the connection. */
export type Answer = (request: AzureRequest) => Promise<AzureResponse | 'drop'>;

/**
 * @param answer called for each request of a served host
 * @param refused called with a host outside {@link servedHosts}; the connection is refused with 502
 */
export async function startProxy(answer: Answer, refused: (host: string) => void): Promise<AzureProxy> {
  const { authority, certificate, privateKey } = await certificateOfHosts();
  const secureContext = tls.createSecureContext({ cert: certificate, key: privateKey });
  const sockets = new Set<Duplex>();
  const inside = new WeakSet<Duplex>();
  const inner = http.createServer((request, response) => {
    void serve(request, response, (asked) => answer({ ...asked, fromNetwork: inside.has(request.socket) }));
  });
  const outer = http.createServer((_request, response) => {
    response.writeHead(405, { 'content-type': 'text/plain' }).end('Only CONNECT is answered here.\n');
  });
  outer.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  outer.on('connect', (request: http.IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const host = (request.url ?? '').replace(/:\d+$/, '').toLowerCase();
    if (!isServed(host)) {
      refused(host);
      socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    if (head.length > 0) socket.unshift(head);
    const secure = new tls.TLSSocket(socket, { isServer: true, secureContext });
    secure.on('error', () => secure.destroy());
    if (userOf(request) === network) inside.add(secure);
    inner.emit('connection', secure);
  });
  await new Promise<void>((resolve, reject) => {
    outer.once('error', reject);
    outer.listen(0, '127.0.0.1', resolve);
  });
  const { port } = outer.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    networkUrl: `http://${network}:${network}@127.0.0.1:${port}`,
    authority,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => outer.close(() => resolve()));
    },
  };
}

const network = 'network';

function userOf({ headers }: http.IncomingMessage): string | undefined {
  const [scheme, value = ''] = (headers['proxy-authorization'] ?? '').split(' ');
  return scheme?.toLowerCase() === 'basic'
    ? Buffer.from(value, 'base64').toString().split(':')[0]
    : undefined;
}

function isServed(host: string): boolean {
  return servedHosts.some((served) =>
    served.startsWith('*.') ? host.endsWith(served.slice(1)) && !host.startsWith('.') : host === served,
  );
}

async function serve(
  incoming: http.IncomingMessage,
  outgoing: http.ServerResponse,
  answer: Answer,
): Promise<void> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
  } catch {
    return; // The client went away in the middle of its own request.
  }
  const host = (incoming.headers.host ?? '').replace(/:\d+$/, '').toLowerCase();
  const url = new URL(incoming.url ?? '/', `https://${host}`);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers))
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  const response = await answer({
    method: incoming.method ?? 'GET',
    host,
    path: decodeURIComponent(url.pathname),
    query: url.searchParams,
    headers,
    body: Buffer.concat(chunks),
  });
  if (response === 'drop') {
    incoming.socket.destroy();
    return;
  }
  const isBinary = Buffer.isBuffer(response.body);
  const body =
    response.body === undefined
      ? Buffer.alloc(0)
      : Buffer.isBuffer(response.body)
        ? response.body
        : Buffer.from(JSON.stringify(response.body));
  const extra = response.headers ?? {};
  outgoing.writeHead(response.status, {
    ...(isBinary || response.body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }),
    // A HEAD answer names the length of the body it leaves out.
    ...(response.status === 204 || 'content-length' in extra
      ? {}
      : { 'content-length': String(body.length) }),
    ...extra,
  });
  outgoing.end(incoming.method === 'HEAD' ? undefined : body);
}
