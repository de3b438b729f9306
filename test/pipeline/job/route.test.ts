import net from 'node:net';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { whyClosed } from '../../../pipeline/job/route.ts';

const listening: net.Server[] = [];
afterEach(() => {
  for (const server of listening.splice(0)) server.close();
});

async function listen(behave: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer(behave).listen(0, '127.0.0.1');
  listening.push(server);
  await new Promise((resolve) => server.once('listening', resolve));
  return (server.address() as net.AddressInfo).port;
}

const local = (port: number) => whyClosed({ host: 'db.example', address: '127.0.0.1', port }, 500);

describe('the route to a server', () => {
  it('is open to a PostgreSQL', async () => {
    const { port } = inject('postgres');
    expect(await whyClosed({ host: '127.0.0.1', port })).toBeUndefined();
  });

  it('is closed by a refused connection', async () => {
    expect(await local(1)).toContain('ECONNREFUSED');
  });

  it('is closed if the name leads to no address', async () => {
    expect(await whyClosed({ host: 'server.invalid', port: 5432 })).toMatch(/ENOTFOUND|EAI_AGAIN/);
  });

  it('is closed by something that accepts and says nothing, as a proxy does', async () => {
    expect(await local(await listen(() => undefined))).toContain('does not answer within 0.5 s');
  });

  it('is closed by something that accepts and closes', async () => {
    expect(await local(await listen((socket) => socket.end()))).toContain('closes the connection');
  });

  it('is closed by another service', async () => {
    const port = await listen((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect(await local(port)).toContain('is not PostgreSQL');
  });
});
