/**
 * One loopback port in front of several servers. It forwards each client to the server of the host name in the client's
 * TLS handshake (SNI). The handshake itself, with the certificate, takes place with that server.
 */
import { once } from 'node:events';
import net from 'node:net';

export interface Gateway {
  readonly port: number;
  stop(): Promise<void>;
}

/** Port of the server that a host name resolves to now; undefined for an unknown name. */
export type Resolve = (host: string) => number | undefined | Promise<number | undefined>;

/** https://www.postgresql.org/docs/17/protocol-message-formats.html: SSLRequest and GSSENCRequest */
const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const gssRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30]);

export async function startGateway(resolve: Resolve): Promise<Gateway> {
  const sockets = new Set<net.Socket>();
  const remember = (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  };
  const server = net.createServer((client) => {
    remember(client);
    forward(client, resolve, remember).catch(() => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a listening socket has a port');
  return {
    port: address.port,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
}

async function forward(
  client: net.Socket,
  resolve: Resolve,
  remember: (socket: net.Socket) => void,
): Promise<void> {
  let asked = await read(client, 8);
  if (asked.subarray(0, 8).equals(gssRequest)) {
    client.write('N');
    asked = await read(client, 8, asked.subarray(8));
  }
  // Without TLS there is no host name, and every server refuses such a client.
  if (!asked.subarray(0, 8).equals(sslRequest)) throw new Error('no TLS');
  client.write('S');
  const start = await read(client, 5, asked.subarray(8));
  const hello = await read(client, 5 + start.readUInt16BE(3), start);
  const name = serverName(hello);
  const port = name === undefined ? undefined : await resolve(name);
  if (port === undefined) throw new Error('the host name is unknown');
  const server = net.connect(port, '127.0.0.1');
  remember(server);
  await once(server, 'connect');
  server.write(sslRequest);
  const agreed = await read(server, 1);
  if (agreed[0] !== 'S'.charCodeAt(0)) throw new Error('the server refuses TLS');
  server.write(hello);
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    from.once('close', () => to.destroy());
    from.pipe(to);
  }
}

/** Reads until there are at least this many bytes, including those read before. */
async function read(socket: net.Socket, bytes: number, before: Buffer = Buffer.alloc(0)): Promise<Buffer> {
  let all = before;
  while (all.length < bytes) {
    const chunk: Buffer | null = socket.read();
    if (chunk) all = Buffer.concat([all, chunk]);
    else if (socket.readableEnded || socket.destroyed) throw new Error('the connection ended');
    else await Promise.race([once(socket, 'readable'), once(socket, 'close'), once(socket, 'end')]);
  }
  return all;
}

/** The host name in a ClientHello (RFC 8446, 4.1.2, and RFC 6066, 3). */
function serverName(record: Buffer): string | undefined {
  let at = 5 + 4 + 2 + 32;
  const skip = (lengthBytes: 1 | 2) => {
    at += lengthBytes + record.readUIntBE(at, lengthBytes);
  };
  skip(1); // session id
  skip(2); // cipher suites
  skip(1); // compression methods
  const end = at + 2 + record.readUInt16BE(at);
  at += 2;
  while (at + 4 <= end) {
    const [type, length] = [record.readUInt16BE(at), record.readUInt16BE(at + 2)];
    if (type === 0) {
      const size = record.readUInt16BE(at + 7);
      return record.toString('ascii', at + 9, at + 9 + size).toLowerCase();
    }
    at += 4 + length;
  }
  return undefined;
}
