/** Debian's PgBouncer in transaction mode before a local server. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerAddress } from '../../local/postgres/address.ts';
import { issueCertificate } from '../../local/postgres/certificates.ts';

const program = '/usr/sbin/pgbouncer';

/** Why this machine cannot use it; undefined if it can. */
export function whyNoPgbouncer(): string | undefined {
  return existsSync(program) ? undefined : `needs Debian's pgbouncer in ${program}`;
}

export interface Pgbouncer {
  readonly port: number;
  /** PEM of the root of its certificate. */
  readonly roots: string;
  stop(): Promise<void>;
}

export async function startPgbouncer(
  server: ServerAddress,
  { user, password, size }: { readonly user: string; readonly password: string; readonly size: number },
): Promise<Pgbouncer> {
  const folder = mkdtempSync(join(tmpdir(), 'llama-pgbouncer-'));
  chmodSync(folder, 0o755);
  const tls = await issueCertificate(['localhost', '127.0.0.1']);
  const port = await freePort();
  const files = {
    'server.crt': tls.certificate,
    'server.key': tls.privateKey,
    'users.txt': `"${user}" "${password}"\n`,
    'pgbouncer.ini': `
      [databases]
      * = host=127.0.0.1 port=${server.port}
      [pgbouncer]
      listen_addr = 127.0.0.1
      listen_port = ${port}
      unix_socket_dir =
      auth_type = scram-sha-256
      auth_file = ${join(folder, 'users.txt')}
      pool_mode = transaction
      default_pool_size = ${size}
      max_client_conn = 200
      client_tls_sslmode = require
      client_tls_cert_file = ${join(folder, 'server.crt')}
      client_tls_key_file = ${join(folder, 'server.key')}
      server_tls_sslmode = verify-ca
      server_tls_ca_file = ${server.caFile}
      ${process.getuid?.() === 0 ? 'user = nobody' : ''}
    `.replaceAll(/^\s+/gm, ''),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o644 });
  const child = spawn(program, [join(folder, 'pgbouncer.ini')], { stdio: ['ignore', 'ignore', 'pipe'] });
  await listening(child);
  return {
    port,
    roots: tls.authority,
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function listening(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = '';
    child.stderr?.on('data', (text) => {
      log += text;
      if (log.includes('process up')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`pgbouncer ended with ${code}: ${log}`)));
    child.once('error', reject);
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
