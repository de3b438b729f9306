/** Messages of the protocol that need no login: the cancellation of a statement, and a ping. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type pg from 'pg';
import type { Server } from '../configuration/server.ts';
import { tlsOptions } from '../configuration/tls.ts';
import { within } from './deadline.ts';

/** https://www.postgresql.org/docs/17/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST */
const sslRequest = numbers(8, 80_877_103);
/** https://www.postgresql.org/docs/17/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-CANCELREQUEST */
const cancelCode = 80_877_102;

export interface Dialled {
  readonly server: Server;
  /** The server of the connection in question; the name may lead to another one by now. */
  readonly address: string;
  readonly withinMs: number;
  /** Ends it early. @default - nothing does */
  readonly signal?: AbortSignal;
}

/** Asks the server to cancel the current statement of a connection. A failure is not reported: nothing else can be done. */
export async function cancelBackend({
  server,
  address,
  client,
  withinMs,
}: Dialled & { readonly client: pg.Client }): Promise<void> {
  const process: unknown = Reflect.get(client, 'processID');
  const key: unknown = Reflect.get(client, 'secretKey');
  if (typeof process !== 'number' || typeof key !== 'number') return;
  await dial({ server, address, withinMs }, async (socket) => {
    const secure = connectTls({ ...tlsOptions(server.host, server.roots), socket });
    secure.on('error', () => undefined);
    await happened(secure, 'secureConnect');
    secure.end(numbers(16, cancelCode, process, key));
    await happened(secure, 'close');
  });
}

/** Whether a server answers on an address, without a login. */
export function answers(dialled: Dialled): Promise<boolean> {
  return dial(dialled, async () => undefined);
}

/** Opens a connection up to the server's consent to TLS, and closes it after `then`. @returns false if that failed */
async function dial(
  { server, address, withinMs, signal }: Dialled,
  then: (socket: Socket) => Promise<void>,
): Promise<boolean> {
  const socket = connectTcp({ host: address, port: server.port });
  socket.on('error', () => undefined);
  const work = async () => {
    await happened(socket, 'connect');
    socket.write(sslRequest);
    const [answer] = await happened(socket, 'data');
    if (String(answer) !== 'S') throw new Error('no TLS');
    await then(socket);
    return true;
  };
  const working = work();
  try {
    return await within(withinMs, working, () => new Error('late'), signal);
  } catch {
    working.catch(() => undefined);
    return false;
  } finally {
    socket.destroy();
  }
}

function happened(socket: Socket, event: string): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    socket.once(event, (...values: unknown[]) => resolve(values));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
}

/** 32-bit numbers in network order. */
function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeInt32BE(value | 0, index * 4);
  return bytes;
}
