/**
 * One verified connection: TLS whose certificate carries the right name, a session whose settings are known,
 * and errors that say what to do.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { checkServerIdentity } from 'node:tls';
import pg from 'pg';
import { majorVersion, supportedVersions } from '../azure/versions.ts';
import { Fault } from '../core/fault.ts';
import type { Reporter } from '../core/report.ts';
import { duration } from '../core/text.ts';
import { type Credential, credentialFor, type TokenSource } from './credentials.ts';
import { type Circumstances, diagnose, isConnectionError } from './diagnosis.ts';
import { describeTarget, type Target } from './target.ts';

/**
 * What a session is for, which decides how long it may wait:
 * `deployment` changes the schema and must give up a lock before it stops the application;
 * `reading` looks only; `maintenance` detaches partitions, which must be allowed to wait for readers.
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
  /** Seconds a single attempt may take. @default 15 */
  readonly connectTimeoutSeconds?: number;
  /** Attempts in all; only a server that cannot be reached or takes no connections is asked again. @default 4 */
  readonly attempts?: number;
  /** Told about attempts that failed. @default - silent */
  readonly reporter?: Reporter;
  /** Reuse what an earlier connection of this run logged in with. @default - asked for */
  readonly credential?: Credential;
  /** @default - @azure/identity */
  readonly askToken?: TokenSource;
}

/** An open session with what is known about it. */
export interface Connection {
  readonly client: pg.Client;
  readonly target: Target;
  readonly credential: Credential;
  /** `server_version_num`, e.g. 170010. */
  readonly version: number;
  readonly inRecovery: boolean;
  /** Whether the login may do anything, which nobody may on Azure. */
  readonly superuser: boolean;
  /** For `diagnose`. */
  readonly circumstances: Circumstances;
  /** Puts role and settings back to what they were after connecting. */
  restoreSession(): Promise<void>;
  close(): Promise<void>;
}

/** Milliseconds; 0 is no limit. */
const limits: Readonly<Record<SessionClass, { readonly statement: number; readonly lock: number }>> = {
  deployment: { statement: 15 * 60_000, lock: 5_000 },
  reading: { statement: 60_000, lock: 5_000 },
  maintenance: { statement: 0, lock: 0 },
};

/**
 * Connects, checks that it is the right kind of server, and sets the session up: UTC, an empty search path,
 * limits by class, and a backend that notices within a second when this process dies.
 *
 * @throws Fault (exit 2) with one line that says what to do.
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
        options.reporter?.warn(
          `${firstClause(error)}; trying again (${retriesConsumed + 1} of ${attempts - 1})`,
        );
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
    ssl: {
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      // The protocol has names here only; the address is still compared with the certificate below.
      ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
      // pg would compare the certificate with the address it dialled.
      checkServerIdentity: (_, certificate) => checkServerIdentity(target.host, certificate),
      ...(target.rootCertificateFile ? { ca: readAuthority(target.rootCertificateFile) } : {}),
    },
  });
  // The loss of an idle connection is told by the next statement, which does not know the reason.
  let ending: Error | undefined;
  client.on('error', (error) => {
    ending ??= error;
  });
  const session = options.session ?? 'deployment';
  try {
    await client.connect();
    const server = await inspect(client, session);
    checkServer(server, about, target, options.acceptStandby ?? false);
    return {
      client,
      target,
      credential,
      version: server.version,
      inRecovery: server.inRecovery,
      superuser: server.superuser,
      circumstances: { ...about, connected: true, ending: () => ending },
      restoreSession: async () => {
        await client.query('RESET ROLE');
        await client.query('RESET ALL');
        await setUp(client, session);
      },
      close: () => client.end().catch(() => undefined),
    };
  } catch (error) {
    await client.end().catch(() => undefined);
    throw diagnose(error, about);
  }
}

/** At most 63 bytes, or PostgreSQL cuts it; says which machine and process, for whoever waits for our lock. */
function applicationName(name: string): string {
  return `${name} (${hostname().slice(0, 30)} ${process.pid})`.slice(0, 63);
}

function readAuthority(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Fault(
      'connection/1',
      `Certificate authority ${file} cannot be read`,
      error instanceof Error ? error.message : String(error),
      'Give the path of a PEM file with sslrootcert= or PGSSLROOTCERT.',
      { exitCode: 2 },
    );
  }
}

/** What a server says about itself. */
export interface ServerFacts {
  readonly version: number;
  readonly inRecovery: boolean;
  readonly readOnly: boolean;
  readonly superuser: boolean;
  /** False behind a pooler, which hands out process ids of its own. */
  readonly direct: boolean;
}

async function setUp(client: pg.Client, session: SessionClass): Promise<void> {
  const { statement, lock } = limits[session];
  await client.query(
    `SELECT set_config('TimeZone', 'UTC', false),
            set_config('search_path', '', false),
            set_config('statement_timeout', $1, false),
            set_config('lock_timeout', $2, false),
            set_config('idle_in_transaction_session_timeout', '5min', false)`,
    [String(statement), String(lock)],
  );
  // A killed client otherwise keeps its backend building and its lock held. Refused where the server's
  // platform cannot watch a socket, which Azure's can.
  await client
    .query("SELECT set_config('client_connection_check_interval', '1000', false)")
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
            current_setting('default_transaction_read_only')::bool AS read_only,
            current_setting('is_superuser')::bool AS superuser,
            pg_catalog.pg_backend_pid() AS backend`,
  );
  const [row] = rows;
  if (!row) throw new Error('the server answered the first query with nothing');
  return {
    version: row.version,
    inRecovery: row.in_recovery,
    readOnly: row.read_only,
    superuser: row.superuser,
    direct: row.backend === Reflect.get(client, 'processID'),
  };
}

/** @throws Fault (exit 2) for a server that this project cannot work with, or not here. */
export function checkServer(
  server: ServerFacts,
  about: Circumstances,
  target: Target,
  acceptStandby: boolean,
): void {
  const refuse = (what: string, why: string, remedy: string): Fault =>
    new Fault('connection/2', what, why, remedy, { exitCode: 2 });
  const major = Math.floor(server.version / 10_000);
  const oldest = Math.min(...supportedVersions);
  if (major < oldest) {
    const end = majorVersion(major)?.endOfLife;
    throw refuse(
      `${about.target} runs PostgreSQL ${major}`,
      `${oldest} is the oldest version supported here${end ? `; the end of life of ${major} is ${end}` : ''}`,
      'Upgrade the server (server.version), then run the command again.',
    );
  }
  if (!server.direct) {
    throw refuse(
      `${about.target} is a connection pooler`,
      "its process ids are not the server's: through transaction pooling locks and settings belong to whichever client comes next",
      'Use the server itself, port 5432.',
    );
  }
  if (acceptStandby) return;
  if (server.inRecovery) {
    const writer = writerHost(target);
    throw refuse(
      `${about.target} is in recovery`,
      'it is a replica or is still recovering, and takes no writes',
      writer && writer !== target.host
        ? `The writer is ${writer}: connect there; after a switchover set writer in the environment file.`
        : 'After a switchover set writer in the environment file; otherwise wait until it has recovered.',
    );
  }
  if (server.readOnly) {
    throw refuse(
      `${about.target} is read-only`,
      'default_transaction_read_only is on, which Azure sets at 95 % storage or below 5 GiB free',
      'Enlarge the storage (server.storage.sizeGb) and run the command again.',
    );
  }
}

function writerHost({ deployment, host }: Target): string | undefined {
  if (!deployment) return undefined;
  if (deployment.endpoints && deployment.endpoints.writer !== host) return deployment.endpoints.writer;
  return deployment.primary.host === host ? deployment.replica?.host : deployment.primary.host;
}

/** Runs work on a connection of its own and closes it whatever happens; errors come out explained. */
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
  try {
    return await work(connection);
  } catch (error) {
    throw diagnose(error, connection.circumstances);
  } finally {
    await connection.close();
  }
}
