/** The configuration that an application gives. */
import type { LookupAddress } from 'node:dns';
import type { TokenCredential } from '../credentials.ts';
import type { Secret } from './secret.ts';

/** A server and the login there. A URL and discrete values can be mixed; discrete values win. */
export interface ServerOptions {
  /** `postgresql://user:password@host:5432/database?sslmode=verify-full`. @default - the discrete values */
  readonly url?: string | Secret;
  /** Host name that the certificate must carry, e.g. `myserver.postgres.database.azure.com`. */
  readonly host?: string;
  /** 6432 is Azure's PgBouncer. @default 5432 */
  readonly port?: number;
  /** @default 'llama_mapper' */
  readonly database?: string;
  /** Login of the server: with Entra, the name of the role, such as the display name of a managed identity. */
  readonly user?: string;
  readonly password?: string | Secret;
  /** Credential of `@azure/identity`, whose tokens are the password. Takes precedence over `password`. */
  readonly credential?: TokenCredential;
  /** PEM of the roots to trust. @default - the roots of Node, which include those of Azure */
  readonly rootCertificates?: string;
  /** PEM file of the roots to trust. @default - `rootCertificates` */
  readonly rootCertificateFile?: string;
  /** IP address to dial in place of resolving `host`, for a tunnel. */
  readonly address?: string;
  /** Resolves the host name. @default - `dns.promises.lookup` */
  readonly lookup?: (host: string) => Promise<LookupAddress>;
}

/** Sizes of the pool of one server. */
export interface PoolOptions {
  /** Most connections. @default 20 for the writer, 40 for a replica */
  readonly max?: number;
  /** Idle connections that stay open. @default 0 */
  readonly min?: number;
  /** Milliseconds after which an idle connection is closed. @default 60000 */
  readonly idleMs?: number;
  /** Milliseconds after which a connection is closed at its next return. @default 1800000 */
  readonly lifetimeMs?: number;
}

/** Limits in milliseconds. */
export interface TimeoutOptions {
  /** Name, TCP, TLS and login of a new connection together. @default 10000 */
  readonly connect?: number;
  /** Waiting for a connection of the pool, its opening included. @default 15000 */
  readonly acquire?: number;
  /**
   * One statement. The server ends it, and keeps the connection. If no answer arrives a second later, the connection is
   * destroyed. @default 60000, on replicas 30000
   */
  readonly statement?: number;
  /** A transaction that sends no statement; the server ends the session. @default 60000 */
  readonly idleInTransaction?: number;
  /** A server that does not answer a ping for this long, twice, is lost. @default 2000 */
  readonly ping?: number;
  /** Between pings of the connection that listens, which is replaced after twice `ping` without an answer. @default 3000 */
  readonly listenPing?: number;
}

/** Repetition of transactions whose work was certainly not done. */
export interface RetryOptions {
  /** Milliseconds during which new attempts begin; 0 never repeats. @default 15000 */
  readonly forMs?: number;
  /** Milliseconds before the second attempt, doubled from attempt to attempt, with jitter. @default 50 */
  readonly firstDelayMs?: number;
  /** @default 1000 */
  readonly longestDelayMs?: number;
}

/** Suspension of attempts to connect to a server that is gone. */
export interface BreakerOptions {
  /** Consecutive connection failures that open it. @default 5 */
  readonly failures?: number;
  /** Milliseconds until one attempt probes the server, doubled while it fails, up to `longestProbeAfterMs`. @default 200 */
  readonly probeAfterMs?: number;
  /** @default 1000 */
  readonly longestProbeAfterMs?: number;
}

/** A read replica. Values that are absent are those of the writer. */
export interface ReplicaOptions extends ServerOptions {
  /** Name in messages and metrics. @default - its host */
  readonly name?: string;
}

/** Servers that hold the data of some tenants. */
export interface CellOptions extends ServerOptions {
  readonly replicas?: readonly ReplicaOptions[];
}

export interface SharedOptions {
  /** Shown in pg_stat_activity with `_write`, `_read` or `_listen`. At most 50 characters. @default 'llama_mapper' */
  readonly applicationName?: string;
  readonly pool?: PoolOptions;
  readonly replicaPool?: PoolOptions;
  readonly timeouts?: TimeoutOptions;
  readonly retry?: RetryOptions;
  readonly breaker?: BreakerOptions;
  /** Milliseconds between measurements of the replicas' lag. @default 1000 */
  readonly measureEveryMs?: number;
}

/** One cell for all tenants. */
export interface DatabaseOptions extends SharedOptions, CellOptions {}

/** Tenants spread over several cells. */
export interface SpreadOptions extends SharedOptions {
  readonly cells: Readonly<Record<string, CellOptions>>;
  /** Name of the tenant's cell. */
  readonly cellOf: (tenant: string) => string | Promise<string>;
}
