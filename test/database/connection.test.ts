import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Fault } from '../../core/fault.ts';
import { type ConnectOptions, checkServer, connect, withConnection } from '../../database/connection.ts';
import { resolveTarget } from '../../database/target.ts';
import { issueCertificate } from '../../local/postgres/certificates.ts';
import { startPostgres } from '../../local/postgres/server.ts';
import { freshDatabase, randomName, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;

beforeEach(async () => {
  database = await freshDatabase();
});

afterEach(() => database.drop());

const target = (url = database.url()) => resolveTarget({ url }, {});

async function refused(url: string, options: ConnectOptions = {}): Promise<Fault> {
  const outcome: unknown = await connect(await target(url), { attempts: 1, ...options }).catch(
    (error) => error,
  );
  expect(outcome).toBeInstanceOf(Fault);
  return outcome as Fault;
}

describe('a session', () => {
  it.each([
    ['deployment', '15min', '5s'],
    ['reading', '1min', '5s'],
    ['maintenance', '0', '5s'],
  ] as const)('of class %s has known settings over verified TLS', async (session, statement, lock) => {
    const connection = await connect(await target(), { session, applicationName: 'llama-db test' });
    try {
      const { rows } = await connection.client.query(
        `SELECT current_setting('TimeZone') AS zone, current_setting('search_path') AS path,
                current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
                current_setting('application_name') AS name, ssl, version
           FROM pg_stat_ssl WHERE pid = pg_backend_pid()`,
      );
      expect(rows).toEqual([
        {
          zone: 'UTC',
          path: '',
          statement,
          lock,
          name: expect.stringMatching(/^llama-db test \(.* \d+\)$/),
          ssl: true,
          version: 'TLSv1.3',
        },
      ]);
      expect(connection.version).toBeGreaterThanOrEqual(160000);
      expect(connection.inRecovery).toBe(false);
    } finally {
      await connection.close();
    }
  });

  it('checks every second whether its client is alive', async (context) => {
    if (process.platform === 'win32') context.skip('a server on Windows cannot watch a socket');
    const connection = await connect(await target());
    const { rows } = await connection.client.query('SHOW client_connection_check_interval');
    await connection.close();
    expect(rows).toEqual([{ client_connection_check_interval: '1s' }]);
  });

  it('is restored after changes of role and settings', async () => {
    const connection = await connect(await target());
    try {
      await connection.client.query(
        "SET ROLE azure_pg_admin; SET lock_timeout = 0; SET TimeZone = 'Asia/Tokyo'",
      );
      await connection.restoreSession();
      const { rows } = await connection.client.query(
        "SELECT CURRENT_USER = SESSION_USER AS self, current_setting('lock_timeout') AS lock, current_setting('TimeZone') AS zone",
      );
      expect(rows).toEqual([{ self: true, lock: '5s', zone: 'UTC' }]);
    } finally {
      await connection.close();
    }
  });
});

describe('a server is refused', () => {
  it('if it is read-only, as on Azure with a full disk', async () => {
    const full = await startPostgres({});
    try {
      await full.setParameter('default_transaction_read_only', 'on');
      const fault = await refused(full.url('migrator'));
      expect(fault).toMatchObject({
        code: 'connection/server-read-only',
        why: expect.stringContaining('95 %'),
        exitCode: 2,
      });
    } finally {
      await full.stop();
    }
  });

  it('not if a database or a login has that setting, or another one that ends its sessions', async () => {
    const admin = await database.connect('superuser');
    for (const setting of [
      'default_transaction_read_only = on',
      "local_preload_libraries = 'missing'",
      'statement_timeout = 1',
      'exit_on_error = on',
      "search_path = 'pg_temp'",
      "role = 'pg_monitor'",
    ]) {
      await admin.query(`ALTER DATABASE ${database.name} SET ${setting}`);
      const connection = await connect(await target(), { attempts: 1 });
      const { rows } = await connection.client.query(
        "SELECT CURRENT_USER = SESSION_USER AS self, current_setting('transaction_read_only') AS reading",
      );
      await connection.close();
      expect(rows, setting).toEqual([{ self: true, reading: 'off' }]);
      await admin.query(`ALTER DATABASE ${database.name} RESET ALL`);
    }
  });

  it('if it has no connection left, after a retry', async () => {
    const admin = await database.connect('superuser');
    const user = randomName('crowded');
    await admin.query(`CREATE ROLE ${user} LOGIN PASSWORD 'crowded-pass' CONNECTION LIMIT 0`);
    const lines: string[] = [];
    const reporter = { line: (text: string) => lines.push(text), warn: (text: string) => lines.push(text) };
    try {
      const fault = await refused(database.url({ user, password: 'crowded-pass' }), {
        attempts: 2,
        reporter,
      });
      expect(fault).toMatchObject({
        code: 'connection/none-left',
        why: expect.stringContaining('too many connections for role'),
      });
      expect(lines).toEqual([expect.stringMatching(/too many connections.*retrying \(1 of 1\)/)]);
    } finally {
      await admin.query(`DROP ROLE ${user}`);
    }
  });

  it('if the database is missing', async () => {
    const url = database.url().replace(database.name, 'no_such_database');
    expect(await refused(url)).toMatchObject({
      code: 'connection/database-missing',
      what: expect.stringContaining('no_such_database'),
    });
  });

  it('if it does not answer in time', async () => {
    const silent = await listen(createServer());
    try {
      const url = `postgresql://u:hunter22@localhost:${silent.port}/d`;
      const fault = await refused(url, { connectTimeoutSeconds: 0.2 });
      expect(fault).toMatchObject({ code: 'connection/unreachable', why: 'no answer within 0.2 s' });
    } finally {
      await silent.close();
    }
  });

  it('if it does not speak TLS', async () => {
    const server = createServer((socket) => socket.once('data', () => socket.write('N')));
    const plain = await listen(server);
    try {
      const fault = await refused(`postgresql://u:hunter22@localhost:${plain.port}/d`);
      expect(fault.code).toBe('tls/not-offered');
    } finally {
      await plain.close();
    }
  });

  it('if it is a pooler on the port of a server, recognized by its process ids', async () => {
    const pooler = await startPooler(database.server.port);
    try {
      const url = new URL(database.url().replace(`:${database.server.port}/`, `:${pooler.port}/`));
      url.searchParams.set('sslrootcert', pooler.caFile);
      expect(await refused(url.href)).toMatchObject({
        code: 'connection/pooler',
        remedy: expect.stringContaining('5432'),
      });
    } finally {
      await pooler.close();
    }
  });

  it('if the file of the authority cannot be read', async () => {
    const url = new URL(database.url());
    url.searchParams.set('sslrootcert', '/no/such/authority.pem');
    expect(await refused(url.href)).toMatchObject({
      code: 'connection/authority-unreadable',
      what: expect.stringContaining('/no/such/authority.pem'),
    });
  });
});

describe('a version', () => {
  const about = (version: number) => () =>
    checkServer(
      { version, inRecovery: false, readOnly: false, superuser: false, direct: true },
      {
        target: 'x',
        host: 'x',
        user: 'u',
        database: 'd',
        login: 'password',
        connectTimeoutSeconds: 1,
        secrets: [],
        connected: false,
      },
      { host: 'x', port: 5432, database: 'd', user: 'u' },
      false,
    );

  it.each([
    [140012, /PostgreSQL 14: 16 .*2026-11-12/],
    [150018, /PostgreSQL 15: .*2027-11-11/],
    [90624, /PostgreSQL 9: 16 /],
  ])('%i is refused with its end of life', (version, values) => {
    expect(about(version)).toThrow(
      expect.objectContaining({
        code: 'connection/version-too-old',
        message: expect.stringMatching(values),
      }),
    );
  });

  it.each([160000, 170010, 180004])('%i is accepted', (version) => {
    expect(about(version)).not.toThrow();
  });
});

describe('an error on a connection', () => {
  it('about a missing permission names the required login', async () => {
    const failing = withConnection(await target(), {}, ({ client }) =>
      client.query('CREATE ROLE very_super SUPERUSER'),
    );
    await expect(failing).rejects.toMatchObject({
      code: 'server/permission-denied',
      why: expect.stringContaining('permission denied to create role'),
      remedy: expect.stringContaining('azure_pg_admin'),
    });
  });

  it('about an idle session that was ended gives the reason of the end', async () => {
    const failing = withConnection(await target(), {}, async ({ client }) => {
      await database.query('superuser', 'SELECT pg_terminate_backend($1)', [
        Reflect.get(client, 'processID'),
      ]);
      await expect.poll(() => Reflect.get(client, '_queryable')).toBe(false);
      await client.query('SELECT 1');
    });
    await expect(failing).rejects.toMatchObject({
      code: 'connection/ended-by-server',
      why: 'terminating connection due to administrator command',
    });
  });
});

interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

async function listen(server: Server): Promise<Listening> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a listening socket has a port');
  return {
    port: address.port,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Imitates a pooler: it terminates TLS itself and reports process ids of its own. */
async function startPooler(to: number): Promise<Listening & { readonly caFile: string }> {
  const { certificate, privateKey, authority } = await issueCertificate(['localhost']);
  const directory = mkdtempSync(join(tmpdir(), 'llama-db-pooler-'));
  const caFile = join(directory, 'authority.pem');
  writeFileSync(caFile, authority);
  const server = createServer((raw) => {
    raw.once('data', () => {
      raw.write('S');
      const client = new TLSSocket(raw, { isServer: true, cert: certificate, key: privateKey });
      const plain = dial(to, '127.0.0.1');
      plain.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
      plain.once('data', () => {
        const backend = connectTls({ socket: plain, rejectUnauthorized: false });
        client.pipe(backend);
        backend.on('data', (data: Buffer) => client.write(withOtherProcessId(data)));
        for (const socket of [client, backend, plain, raw]) socket.on('error', () => raw.destroy());
      });
    });
  });
  const listening = await listen(server);
  return {
    ...listening,
    caFile,
    close: async () => {
      await listening.close();
      rmSync(directory, { recursive: true });
    },
  };
}

/** BackendKeyData: 'K', length 12, process id, secret. */
function withOtherProcessId(data: Buffer): Buffer {
  const at = data.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]));
  if (at >= 0) data.writeInt32BE(data.readInt32BE(at + 5) ^ 0x55555, at + 5);
  return data;
}
