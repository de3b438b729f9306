/**
 * Opens verified connections: TLS with the right host name in the certificate, known session settings, and errors
 * that carry a remedy.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { checkServerIdentity } from 'node:tls';
import pg from 'pg';
import { majorVersion, supportedVersions } from '../azure/versions.ts';
import { Fault, type FaultCode } from '../core/fault.ts';
import type { Reporter } from '../core/report.ts';
import { duration, messageOf } from '../core/text.ts';
import { type Credential, credentialFor, type TokenSource } from './credentials.ts';
import { type Circumstances, diagnose, isConnectionError, sqlState } from './diagnosis.ts';
import { LockWatch } from './lock-watch.ts';
import { endedBySetting, pin, startupOptions, type Timeouts } from './session.ts';
import { describeTarget, type Target } from './target.ts';

/**
 * Purpose of a session; it decides the timeouts:
 * `deployment` changes the schema and gives up a lock before the application has to wait for long;
 * `reading` only reads; `maintenance` has statements that run for hours, and sets its own limit for a detach.
 */
export type SessionClass = 'deployment' | 'reading' | 'maintenance';

export interface ConnectOptions {
  /** @default - the target's database */
  readonly database?: string;
  /** Shown in pg_stat_activity. @default 'llama-db' */
  readonly applicationName?: string;
  /** @default 'deployment' */
  readonly session?: SessionClass;
  /** Accept a server in recovery (a replica). @default false */
  readonly acceptStandby?: boolean;
  /** Major version from which on a server is accepted, for one that is only read. @default - the oldest supported one */
  readonly oldestVersion?: number;
  /** Seconds that one attempt may take. @default 15 */
  readonly connectTimeoutSeconds?: number;
  /** Total number of attempts. Only failures of `isConnectionError` are retried. @default 4 */
  readonly attempts?: number;
  /** Receives a warning for each failed attempt. @default - none are reported */
  readonly reporter?: Reporter;
  /** Credential of an earlier connection of this run. @default - a new one is requested */
  readonly credential?: Credential;
  /** @default - @azure/identity */
  readonly askToken?: TokenSource;
}

/** An open session and the facts about it. */
export interface Connection {
  readonly client: pg.Client;
  readonly target: Target;
  readonly credential: Credential;
  /** `server_version_num`, e.g. 170010. */
  readonly version: number;
  readonly inRecovery: boolean;
  /** Whether the login is a superuser. Azure has no such login. */
  readonly superuser: boolean;
  /** Context for `diagnose`. */
  readonly circumstances: Circumstances;
  /** Resets role and settings to their values directly after connecting. */
  restoreSession(): Promise<void>;
  close(): Promise<void>;
}

/** Timeouts in milliseconds; 0 means no limit. */
const limits: Readonly<Record<SessionClass, Timeouts>> = {
  deployment: { statement: 15 * 60_000, lock: 5_000 },
  reading: { statement: 60_000, lock: 5_000 },
  maintenance: { statement: 0, lock: 5_000 },
};

/**
 * Connects, checks the kind of server, and configures the session: the settings of `pin`, the timeouts of its class, and
 * a backend that ends within a second after this process dies.
 *
 * @throws Fault (exit 2) if the connection fails or the server is unsuitable.
 */
export async function connect(target: Target, options: ConnectOptions = {}): Promise<Connection> {
  const attempts = options.attempts ?? 4;
  const credential = options.credential ?? (await credentialFor(target, options.askToken));
  const about = circumstancesOf(target, credential, options);
  const { default: retry } = await import('p-retry');
  return retry(() => attempt(target, credential, about, options), {
    retries: attempts - 1,
    minTimeout: 500,
    factor: 2,
    randomize: true,
    shouldRetry: ({ error }) => isConnectionError(error),
    onFailedAttempt: ({ error, retriesLeft, retriesConsumed }) => {
      if (retriesLeft > 0 && isConnectionError(error)) {
        options.reporter?.warn(`${firstClause(error)}; retrying (${retriesConsumed + 1} of ${attempts - 1})`);
      }
    },
  });
}

function firstClause(error: Error): string {
  return error instanceof Fault ? `${error.what}: ${error.why}` : error.message;
}

function circumstancesOf(target: Target, credential: Credential, options: ConnectOptions): Circumstances {
  const database = options.database ?? target.database;
  return {
    target: describeTarget({ ...target, database }),
    host: target.host,
    user: target.user,
    database,
    login: credential.kind,
    connectTimeoutSeconds: options.connectTimeoutSeconds ?? 15,
    ...(target.environment ? { environment: target.environment } : {}),
    secrets: [credential.password, encodeURIComponent(credential.password)],
    connected: false,
  };
}

async function attempt(
  target: Target,
  credential: Credential,
  about: Circumstances,
  options: ConnectOptions,
  startup = '',
): Promise<Connection> {
  const client = new pg.Client({
    host: target.address ?? target.host,
    port: target.port,
    user: target.user,
    password: credential.password,
    database: about.database,
    application_name: applicationName(options.applicationName ?? 'llama-db'),
    connectionTimeoutMillis: about.connectTimeoutSeconds * 1000,
    keepAlive: true,
    ...(startup ? { options: startup } : {}),
    ssl: {
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      // Server name indication takes host names only; checkServerIdentity below also handles addresses.
      ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
      // By default pg compares the certificate with the dialled address.
      checkServerIdentity: (_, certificate) => checkServerIdentity(target.host, certificate),
      ...(target.rootCertificateFile ? { ca: readAuthority(target.rootCertificateFile) } : {}),
    },
  });
  // After an idle connection is lost, the next statement fails without the reason. Keep the reason here.
  let ending: Error | undefined;
  client.on('error', (error) => {
    ending ??= error;
  });
  const session = options.session ?? 'deployment';
  try {
    await client.connect();
    const server = await inspect(client, session);
    checkServer(server, about, target, options.acceptStandby ?? false, options.oldestVersion);
    return {
      client,
      target,
      credential,
      version: server.version,
      inRecovery: server.inRecovery,
      superuser: server.superuser,
      circumstances: { ...about, connected: true, ending: () => ending },
      restoreSession: async () => {
        await client.query('RESET ALL');
        await setUp(client, session);
      },
      close: () => client.end().catch(() => undefined),
    };
  } catch (error) {
    await client.end().catch(() => undefined);
    if (startup === '' && endedBySetting.has(sqlState(ending ?? error) ?? '')) {
      return attempt(target, credential, about, options, startupOptions);
    }
    throw diagnose(error, about);
  }
}

/** Adds machine and process id for anyone who waits for our lock. PostgreSQL cuts names beyond 63 bytes. */
function applicationName(name: string): string {
  return `${name} (${hostname().slice(0, 30)} ${process.pid})`.slice(0, 63);
}

function readAuthority(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Fault(
      'connection/authority-unreadable',
      `Certificate authority ${file} cannot be read`,
      messageOf(error),
      'Set sslrootcert= or PGSSLROOTCERT to the path of a readable PEM file.',
      { exitCode: 2 },
    );
  }
}

/** Facts that a server reports about itself. */
export interface ServerFacts {
  readonly version: number;
  readonly inRecovery: boolean;
  readonly readOnly: boolean;
  readonly superuser: boolean;
  /** False behind a pooler, because a pooler reports process ids of its own. */
  readonly direct: boolean;
}

async function setUp(client: pg.Client, session: SessionClass): Promise<void> {
  await pin(client, limits[session]);
  // Without it, the backend of a killed client keeps running its statement and holding its locks. Servers on
  // platforms that cannot watch a socket refuse the setting; Azure accepts it.
  await client
    .query("SELECT pg_catalog.set_config('client_connection_check_interval', '1000', false)")
    .catch((error) => {
      if (isConnectionError(error)) throw error;
    });
}

async function inspect(client: pg.Client, session: SessionClass): Promise<ServerFacts> {
  await setUp(client, session);
  const { rows } = await client.query<{
    version: number;
    in_recovery: boolean;
    read_only: boolean;
    superuser: boolean;
    backend: number;
  }>(
    `SELECT current_setting('server_version_num')::int AS version,
            pg_catalog.pg_is_in_recovery() AS in_recovery,
            -- The server's own value: \`pin\` has replaced that of a role or database.
            current_setting('default_transaction_read_only')::bool AS read_only,
            current_setting('is_superuser')::bool AS superuser,
            pg_catalog.pg_backend_pid() AS backend`,
  );
  const [row] = rows;
  if (!row) throw new Error('the first query returned no row');
  return {
    version: row.version,
    inRecovery: row.in_recovery,
    readOnly: row.read_only,
    superuser: row.superuser,
    direct: row.backend === Reflect.get(client, 'processID'),
  };
}

/** @throws Fault (exit 2) if the server is too old, a pooler, in recovery (unless accepted) or read-only. */
export function checkServer(
  server: ServerFacts,
  about: Circumstances,
  target: Target,
  acceptStandby: boolean,
  oldest = Math.min(...supportedVersions),
): void {
  const refuse = (code: FaultCode, what: string, why: string, remedy: string): Fault =>
    new Fault(code, what, why, remedy, { exitCode: 2 });
  const major = Math.floor(server.version / 10_000);
  if (major < oldest) {
    const end = majorVersion(major)?.endOfLife;
    throw refuse(
      'connection/version-too-old',
      `${about.target} runs PostgreSQL ${major}`,
      `${oldest} is the oldest supported version${end ? `; ${major} reaches its end of life on ${end}` : ''}`,
      'Upgrade the server (server.version), then run the command again.',
    );
  }
  if (!server.direct) {
    throw refuse(
      'connection/pooler',
      `${about.target} is a connection pooler`,
      'it reports process ids that differ from those of the server; with transaction pooling, the next client inherits locks and settings',
      'Connect to the server directly, on port 5432.',
    );
  }
  if (acceptStandby) return;
  if (server.inRecovery) {
    const writer = writerHost(target);
    throw refuse(
      'connection/server-in-recovery',
      `${about.target} is in recovery`,
      'it is a replica or still recovering, and accepts no writes',
      writer && writer !== target.host
        ? `Connect to the writer, ${writer}. After a switchover, set writer in the environment file.`
        : 'After a switchover, set writer in the environment file. Otherwise wait until the server has recovered.',
    );
  }
  if (server.readOnly) {
    throw refuse(
      'connection/server-read-only',
      `${about.target} is read-only`,
      'default_transaction_read_only is on; Azure sets it at 95 % of the storage or below 5 GiB free',
      'Enlarge the storage (server.storage.sizeGb) and run the command again.',
    );
  }
}

function writerHost({ deployment, host }: Target): string | undefined {
  if (!deployment) return undefined;
  if (deployment.endpoints && deployment.endpoints.writer !== host) return deployment.endpoints.writer;
  return deployment.primary.host === host ? deployment.replica?.host : deployment.primary.host;
}

/** Runs `work` on a new connection and closes it in every case. Errors pass through `diagnose`. */
export async function withConnection<Result>(
  target: Target,
  options: ConnectOptions,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const start = performance.now();
  const connection = await connect(target, options);
  options.reporter?.line(
    `Connected to ${connection.circumstances.target} as ${target.user} (${duration(performance.now() - start)})`,
  );
  const { credential } = connection;
  const watch = new LockWatch(
    connection.client,
    () =>
      connect(target, {
        ...watching,
        ...(options.database ? { database: options.database } : {}),
        credential,
      }),
    options.reporter,
  );
  const circumstances = { ...connection.circumstances, blocker: () => watch.holder };
  try {
    return await work({ ...connection, circumstances });
  } catch (error) {
    throw diagnose(error, circumstances);
  } finally {
    await watch.close();
    await connection.close();
  }
}

/** Of the second connection, which names the holder of a lock. */
const watching = {
  applicationName: 'llama-db watch',
  session: 'reading',
  acceptStandby: true,
  attempts: 1,
} as const;
