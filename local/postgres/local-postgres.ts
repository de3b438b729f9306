/** The interface of a local PostgreSQL. */
import type pg from 'pg';
import type { ServerAddress, UrlOptions, Who } from './address.ts';
import type { SmallDisk } from './disk.ts';

export interface LocalPostgresOptions {
  /** Major version. @default - that of `packagedBinaries` */
  readonly major?: number;
  /** Directory of the server programs. @default - `binariesOf(major)` */
  readonly binaries?: string;
  /** Names in the certificate beside localhost and 127.0.0.1. @default - none */
  readonly hostNames?: readonly string[];
  /** Login in place of the Entra administrator group, used by deployments. @default 'database_admins' */
  readonly administrator?: string;
  /** Databases to create, owned by azure_pg_admin. @default - only `postgres` */
  readonly databases?: readonly string[];
  /** Extensions that roles may create (`azure.extensions`). @default - the usual six */
  readonly extensions?: readonly string[];
  /** Server parameters of a deployment. Those that a vanilla server cannot have are left out. @default {} */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Server settings with the highest precedence. An unknown name or a bad value fails the start. @default {} */
  readonly settings?: Readonly<Record<string, string>>;
  /** Defects of the certificate. @default - valid, for `hostNames` */
  readonly certificate?: { readonly expired?: boolean; readonly hostNames?: readonly string[] };
  /** Whether data survives a crash of the machine (fsync). @default false: the data is removed at the end anyway */
  readonly durable?: boolean;
  /** Size of a disk for the data directory alone, in megabytes; an empty server needs 80. @default - no limit */
  readonly diskSize?: number;
}

export interface LocalPostgres extends ServerAddress {
  readonly dataDirectory: string;
  /** Names in `parameters` that this server does not have. */
  readonly leftOut: readonly string[];
  /** Present only with `diskSize`. */
  readonly disk: SmallDisk | undefined;
  /** See `urlOf`. */
  url(who: Who, options?: UrlOptions): string;
  /** The same as a configuration for `new pg.Client`. */
  connection(who: Who, options?: UrlOptions): pg.ClientConfig;
  /** Creates a database that azure_pg_admin owns, as on Azure. */
  createDatabase(name: string): Promise<void>;
  /**
   * Stops and starts on the same port. A server on a small disk cannot restart, because its disk ends with it.
   *
   * @param options.crash skip the orderly shutdown, so that the server recovers from a crash. @default false
   * @param options.settings settings to change. @default {}
   */
  restart(options?: {
    readonly crash?: boolean;
    readonly settings?: Readonly<Record<string, string>>;
  }): Promise<void>;
  /** Starts a hot standby with a certificate of the same authority. Stop it before this server. */
  standby(options?: Pick<LocalPostgresOptions, 'hostNames' | 'certificate'>): Promise<LocalPostgres>;
  /** False between {@link halt} and {@link resume}, and after {@link stop}. */
  readonly isRunning: boolean;
  /** Number of restarts. */
  readonly restarts: number;
  /** Starts an independent copy with the same content and passwords. */
  fork(): Promise<LocalPostgres>;
  /**
   * Sets a server parameter, at once or with the next restart, as PostgreSQL requires.
   *
   * @returns `absent` for parameters that only Azure's build has, and for memory sizes of another machine
   * @throws Fault if PostgreSQL refuses the value; the previous value stays
   */
  setParameter(name: string, value: string): Promise<'inForce' | 'pending' | 'absent'>;
  /** Shuts it down and keeps its files. {@link resume} starts it again on the same port. */
  halt(): Promise<void>;
  resume(): Promise<void>;
  /** Promotes a standby, which accepts writes from now on. */
  promote(): Promise<void>;
  /** Restarts a halted former primary as a standby of the new one. */
  rejoin(primary: LocalPostgres): Promise<void>;
  /** The server's log. */
  log(): string;
  /** Ends the server and removes all its files. */
  stop(): Promise<void>;
}
