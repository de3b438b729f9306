/** A PostgreSQL on this machine, as its callers see it. */
import type pg from 'pg';
import type { ServerAddress, UrlOptions, Who } from './address.ts';
import type { SmallDisk } from './disk.ts';

export interface LocalPostgresOptions {
  /** PostgreSQL major version the caller relies on. @default - whatever is installed */
  readonly major?: number;
  /** Directory of the server's programs, as `binariesOf` gives it. @default - `packagedBinaries` */
  readonly binaries?: string;
  /** Names the certificate carries beside localhost and 127.0.0.1. @default - none */
  readonly hostNames?: readonly string[];
  /** Login that stands for the Entra administrator group; deployments log in under it. @default 'database_admins' */
  readonly administrator?: string;
  /** Databases made at start, owned by azure_pg_admin. @default - none beside `postgres` */
  readonly databases?: readonly string[];
  /** Extensions that may be created (`azure.extensions`). @default - those of this project's environments */
  readonly extensions?: readonly string[];
  /** Server parameters of a deployment; those that no vanilla server of this machine can have are left out. @default {} */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Server settings on top of everything; an unknown name or a bad value fails the start. @default {} */
  readonly settings?: Readonly<Record<string, string>>;
  /** Faults of the certificate. @default - valid, for `hostNames` */
  readonly certificate?: { readonly expired?: boolean; readonly hostNames?: readonly string[] };
  /** Survive a crash of the machine (fsync). @default false: what it holds is removed when it stops anyway */
  readonly durable?: boolean;
  /** Megabytes of a disk for the data directory alone; 80 hold an empty server. @default - no limit */
  readonly diskSize?: number;
}

export interface LocalPostgres extends ServerAddress {
  readonly dataDirectory: string;
  /** Parameters of `parameters` that this server does not have. */
  readonly leftOut: readonly string[];
  /** Only with `diskSize`. */
  readonly disk: SmallDisk | undefined;
  /** `postgresql://` URL with sslmode=verify-full, sslrootcert and, for another host than localhost, hostaddr. */
  url(who: Who, options?: UrlOptions): string;
  /** The same for `new pg.Client`. */
  connection(who: Who, options?: UrlOptions): pg.ClientConfig;
  /** Makes a database as Azure does: owned by azure_pg_admin. */
  createDatabase(name: string): Promise<void>;
  /**
   * Stops and starts on the same port. A server on a small disk cannot: its disk goes with it.
   *
   * @param options.crash skip the orderly shutdown, so that the start recovers. @default false
   * @param options.settings change these from now on. @default {}
   */
  restart(options?: {
    readonly crash?: boolean;
    readonly settings?: Readonly<Record<string, string>>;
  }): Promise<void>;
  /** Starts a hot standby that follows this server, with a certificate of the same authority; stop it before this one. */
  standby(options?: Pick<LocalPostgresOptions, 'hostNames' | 'certificate'>): Promise<LocalPostgres>;
  /** How often it was restarted. */
  readonly restarts: number;
  /** Starts a second server with the same content and passwords, which goes its own way from there. */
  fork(): Promise<LocalPostgres>;
  /**
   * Sets a server parameter from now on: at once, or with the next restart where PostgreSQL needs one.
   *
   * @returns where it is now; `absent` is what only Azure's build has, and memory sizes of another machine
   * @throws Fault when PostgreSQL refuses the value; the one before stays
   */
  setParameter(name: string, value: string): Promise<'inForce' | 'pending' | 'absent'>;
  /** Shuts it down in good order and keeps its files; {@link resume} starts it again on the same port. */
  halt(): Promise<void>;
  resume(): Promise<void>;
  /** Ends a standby's following: it takes writes from now on. */
  promote(): Promise<void>;
  /** Lets a server that was halted while it was the primary follow the one that has taken over. */
  rejoin(primary: LocalPostgres): Promise<void>;
  /** Everything the server logged so far. */
  log(): string;
  /** Ends the server and removes all its files. */
  stop(): Promise<void>;
}
