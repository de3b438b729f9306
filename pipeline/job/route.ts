/** Whether this machine reaches a server, without logging in. */
import { createConnection } from 'node:net';
import type { Target } from '../../database/target.ts';

/** Asks for TLS, as the first message of PostgreSQL's protocol does: https://www.postgresql.org/docs/17/protocol-message-formats.html */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/**
 * Tries to reach the server of a target. A proxy may accept every connection and then say nothing, so only an answer of
 * PostgreSQL counts.
 *
 * @param timeoutMs @default 5000
 * @returns the reason that the route is closed, or undefined if it is open
 */
export function whyClosed(
  { host, address, port }: Pick<Target, 'host' | 'address' | 'port'>,
  timeoutMs = 5_000,
): Promise<string | undefined> {
  const dialled = address ?? host;
  return new Promise((resolve) => {
    const socket = createConnection({ host: dialled, port });
    const end = (reason?: string) => {
      socket.destroy();
      resolve(reason);
    };
    socket.setTimeout(timeoutMs, () =>
      end(`${dialled}:${port} does not answer within ${timeoutMs / 1000} s`),
    );
    socket.once('connect', () => socket.write(sslRequest));
    // S and N are the two answers of a server; E begins an error.
    socket.once('data', (data) =>
      end(/^[SNE]/.test(data.toString('latin1')) ? undefined : `${dialled}:${port} is not PostgreSQL`),
    );
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(`${dialled}:${port}: ${error.code ?? error.message}`),
    );
    socket.once('close', () => resolve(`${dialled}:${port} closes the connection`));
  });
}
