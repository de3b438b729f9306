import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { Guardian } from '../processes/guardian.ts';
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
import { type Issuer, issueCertificate, type ServerCertificate } from './certificates.ts';
import { configurationFile, transferable } from './configuration.ts';
import { requireSmallDisk, SmallDisk } from './disk.ts';
import { allowExtensions, binariesOf, type Installation, installPrivately } from './installation.ts';
import type { LocalPostgres, LocalPostgresOptions } from './local-postgres.ts';
import { onFreePort, ServerProcess } from './process.ts';
import { reload } from './reload.ts';
import { copyBase, promote } from './standby.ts';

export type { LocalPostgres, LocalPostgresOptions } from './local-postgres.ts';

const usualExtensions = [
  'pg_stat_statements',
  'pg_buffercache',
  'pgcrypto',
  'uuid-ossp',
  'btree_gin',
  'pg_trgm',
] as const;

/**
 * Starts a real PostgreSQL on a free loopback port, with TLS 1.3 and SCRAM only, and with roles as weak as Azure's
 * (docs/decisions.md, 19). It ends with this program, even if that is killed, and leaves no file.
 *
 * Databases collate by ICU en-US, the collation nearest to Azure's en_US.utf8 that every machine has.
 *
 * @throws Fault if the server programs are missing, have another major version, or do not start
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
  const binaries = options.binaries ?? (await binariesOf(options.major));
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
  /** Extensions that roles may create now. @default - those of the options */
  #allowed: readonly string[] | undefined;
  #port = 0;
  /** The authority of its certificate and of its standbys' certificates. */
  #issuer: Issuer | undefined;
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
    // The server's account must be able to enter it; each file inside has its own permissions.
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

  get isRunning(): boolean {
    return this.#process.pid !== undefined;
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

  async #copyBase(original: LocalPostgres, issuer?: Issuer): Promise<void> {
    const base = await copyBase(administration(original), original.dataDirectory, this.dataDirectory);
    this.#write('backup_label', base.label);
    this.#installCertificate(await this.#issueCertificate(issuer));
  }

  async follow(primary: LocalPostgres, issuer: Issuer | undefined): Promise<void> {
    await this.#copyBase(primary, issuer);
    this.#write('standby.signal', '');
    this.#pointAt(primary);
    await onFreePort((port) => this.#launch(port));
  }

  #pointAt(primary: LocalPostgres): void {
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
    if (this.disk) throw new Error('a server on a small disk cannot restart, because its disk ends with it');
    await this.#process.end(options.crash ? 'SIGQUIT' : 'SIGINT');
    this.#settings = { ...this.#settings, ...options.settings };
    await this.#launch(this.#port);
    this.#restarts += 1;
  }

  async fork(): Promise<LocalPostgres> {
    if (this.disk) throw new Error('a server on a small disk cannot be copied from outside');
    const { parameters: _, diskSize: __, ...own } = this.#options;
    return start(
      { ...own, settings: this.#settings, extensions: this.#extensions },
      (cluster) => cluster.copy(this),
      this.passwords,
    );
  }

  async standby(
    options: Pick<LocalPostgresOptions, 'hostNames' | 'certificate'> = {},
  ): Promise<LocalPostgres> {
    if (this.disk) throw new Error('a server on a small disk cannot be copied from outside');
    const { parameters: _, diskSize: __, ...own } = this.#options;
    return start(
      { ...own, settings: this.#settings, extensions: this.#extensions, ...options },
      (cluster) => cluster.follow(this, this.#issuer),
      this.passwords,
    );
  }

  async setParameter(name: string, value: string): Promise<'inForce' | 'pending' | 'absent'> {
    if (name === 'azure.extensions') this.#allow(value);
    const { settings, leftOut } = transferable({ [name]: value }, this.#installation);
    if (Object.keys(settings).length === 0) return 'absent';
    if (name === 'shared_preload_libraries')
      settings[name] = withPlaceholders(settings[name] ?? '', leftOut.length);
    const before = this.#settings;
    this.#settings = { ...before, ...settings };
    this.#configure();
    if (this.#process.pid === undefined) return 'inForce';
    try {
      return await reload(administration(this), name);
    } catch (error) {
      // Others may have been set meanwhile.
      const { [name]: _, ...others } = this.#settings;
      const old = before[name];
      this.#settings = old === undefined ? others : { ...others, [name]: old };
      this.#configure();
      throw error;
    }
  }

  #allow(extensions: string): void {
    this.#allowed = extensions.split(',').map((extension) => extension.trim().toLowerCase());
    allowExtensions(this.#installation.extensionDirectory, new Set(this.#allowed));
  }

  async halt(): Promise<void> {
    if (this.disk) throw new Error('a server on a small disk cannot halt, because its disk ends with it');
    await this.#process.end('SIGINT');
  }

  async resume(): Promise<void> {
    await this.#launch(this.#port);
  }

  async promote(): Promise<void> {
    await promote(administration(this));
    const { primary_conninfo: _, ...settings } = this.#settings;
    this.#settings = settings;
    this.#configure();
  }

  async rejoin(primary: LocalPostgres): Promise<void> {
    this.#write('standby.signal', '');
    this.#pointAt(primary);
    await this.resume();
  }

  log(): string {
    return this.#process.log();
  }

  async stop(): Promise<void> {
    // Its files are removed, so an orderly shutdown would only cost time.
    await this.#process.end('SIGQUIT');
    await this.#guardian.finish();
  }

  get #extensions(): readonly string[] {
    return this.#allowed ?? this.#options.extensions ?? usualExtensions;
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
        'initdb could not create the local PostgreSQL',
      );
    } finally {
      rmSync(passwordFile);
    }
  }

  #issueCertificate(issuer?: Issuer): Promise<ServerCertificate> {
    const names = this.#options.certificate?.hostNames ?? [...this.hostNames, 'localhost', '127.0.0.1'];
    return issueCertificate(names, this.#options.certificate?.expired, issuer);
  }

  #installCertificate(tls: ServerCertificate): void {
    this.#write('server.crt', tls.certificate);
    this.#write('server.key', tls.privateKey);
    writeFileSync(this.caFile, tls.authority, { mode: 0o644 });
    this.#issuer = tls.issuer;
  }

  async #launch(port: number): Promise<void> {
    this.#port = port;
    this.#configure();
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

  #configure(): void {
    this.#write(
      'postgresql.conf',
      configurationFile({
        extensions: this.#extensions,
        durable: this.#options.durable ?? false,
        settings: this.#settings,
      }),
    );
  }

  #smallDisk(megabytes: number): SmallDisk {
    const mount = join(this.#directory, 'disk');
    mkdirSync(mount);
    return new SmallDisk(mount, megabytes, this.#account, () => this.#process.pid);
  }

  /**
   * Writes a file of the data directory that only the server can read. The file is replaced as a whole: a server that reads half a
   * configuration, because of an earlier reload, serves without TLS.
   *
   * @returns its path
   */
  #write(name: string, text: string): string {
    const path = join(this.dataDirectory, name);
    const whole = `${path}.new`;
    writeFileSync(whole, text, { mode: 0o600 });
    this.#own(whole);
    renameSync(whole, path);
    return path;
  }

  #own(path: string): void {
    if (this.#account) chownSync(path, this.#account.uid, this.#account.gid);
  }
}

/**
 * Repeats the first library once per library that this build lacks. The repetition loads nothing, but PostgreSQL then
 * waits for a restart as Azure's does.
 */
function withPlaceholders(libraries: string, missing: number): string {
  const [first] = libraries.split(',');
  return [libraries, ...Array(first ? missing : 0).fill(first)].join(',');
}

/** A random password that needs no escaping in URLs, SQL and connection strings. */
export function randomPassword(): string {
  return randomBytes(18).toString('base64url');
}
