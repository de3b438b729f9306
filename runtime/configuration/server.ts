/** Checks the configuration of a server, and fills in what is absent. */
import { promises as dns, type LookupAddress } from 'node:dns';
import { isIP } from 'node:net';
import { TokenCache } from '../credentials.ts';
import { ConfigurationError } from '../errors.ts';
import type { ServerOptions } from './options.ts';
import { revealed, Secret } from './secret.ts';
import { checkRoots, readRoots } from './tls.ts';

/** A server and the login there, checked. Nothing in it shows a secret. */
export interface Server {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: Secret | undefined;
  readonly tokens: TokenCache | undefined;
  readonly roots: string | undefined;
  /** The address to dial. Later calls wait for the same answer, unless `forget` is called because it takes too long. */
  readonly resolve: () => { readonly found: Promise<string>; forget(): void };
}

/** Azure's PgBouncer listens here. */
export const poolerPort = 6432;

/** `host:port/database` for messages. */
export function describeServer({ host, port, database }: Server): string {
  return `${host}:${port}/${database}`;
}

/**
 * @param inherited values of the writer, for a replica
 * @throws ConfigurationError if a value is missing, malformed or unsafe
 */
export function resolveServer(given: ServerOptions, inherited: ServerOptions = {}): Server {
  const options = {
    ...fromUrl(inherited.url),
    ...defined(inherited),
    ...fromUrl(given.url),
    ...defined(given),
  };
  const { host, user, database = 'llama_mapper', port = 5432, address, credential } = options;
  if (!host)
    throw missing('host', 'the host name of the server, such as myserver.postgres.database.azure.com');
  if (!user) throw missing('user', 'the login of the server');
  if (!database) throw missing('database', 'the name of the database');
  checkPort(port);
  checkUser(user, host);
  if (!credential && !options.password) {
    throw missing(
      'password or credential',
      'a password, or a credential of @azure/identity for Entra logins',
    );
  }
  if (address !== undefined && isIP(address) === 0) {
    throw new ConfigurationError(
      'configuration/address-not-ip',
      'address is not an IP address',
      'it replaces name resolution and nothing else; TLS still checks the host name',
      'Give an IP address, such as 127.0.0.1 for a tunnel.',
    );
  }
  return {
    ...{ host, port, database, user },
    password: credential || !options.password ? undefined : secretOf(options.password),
    tokens: credential ? new TokenCache(credential) : undefined,
    roots: rootsOf(options),
    resolve: resolver(host, address, options.lookup),
  };
}

function rootsOf({ rootCertificates, rootCertificateFile }: ServerOptions): string | undefined {
  if (rootCertificates !== undefined) return checkRoots(rootCertificates, 'rootCertificates');
  if (!rootCertificateFile) return undefined;
  return checkRoots(readRoots(rootCertificateFile), rootCertificateFile);
}

function secretOf(password: string | Secret): Secret {
  return typeof password === 'string' ? new Secret(password) : password;
}

/** One lookup at a time: a stalled one occupies a thread of the process, which nothing can end. One that took too long is forgotten. */
function resolver(
  host: string,
  address: string | undefined,
  lookup: (host: string) => Promise<LookupAddress> = (name) => dns.lookup(name),
): Server['resolve'] {
  if (address !== undefined) return () => ({ found: Promise.resolve(address), forget });
  if (isIP(host) !== 0) return () => ({ found: Promise.resolve(host), forget });
  let pending: Promise<string> | undefined;
  return () => {
    const found = pending ?? lookup(host).then((answer) => answer.address);
    const end = () => {
      if (pending === found) pending = undefined;
    };
    if (pending !== found) found.then(end, end);
    pending = found;
    return { found, forget: end };
  };
}

function forget(): void {}

function checkPort(port: number): void {
  if (Number.isInteger(port) && port > 0 && port < 65_536) return;
  throw new ConfigurationError(
    'configuration/port-out-of-range',
    `Port ${JSON.stringify(port)} cannot be used`,
    'a port is a whole number from 1 to 65535',
    'Use 5432, or 6432 for PgBouncer.',
  );
}

/** `user@server` was the form of Single Server. Entra users have an @ in their names too, before their domain. */
function checkUser(user: string, host: string): void {
  const server = host.split('.')[0] ?? host;
  if (isIP(host) !== 0 || !user.toLowerCase().endsWith(`@${server.toLowerCase()}`)) return;
  throw new ConfigurationError(
    'configuration/single-server-user',
    `The login ${user} ends with the name of the server`,
    'Single Server required user@server; Flexible Server has no role of this name',
    `Use ${user.slice(0, user.lastIndexOf('@'))}.`,
  );
}

function missing(name: string, meaning: string): ConfigurationError {
  return new ConfigurationError(
    'configuration/missing',
    `The configuration has no ${name}`,
    `a connection needs ${meaning}`,
    'Set it in the code, or DATABASE_URL or a variable such as PGHOST for fromEnvironment().',
  );
}

/** Absent values do not replace present ones. */
function defined(options: ServerOptions): ServerOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

const parameters: Readonly<Record<string, (value: string) => ServerOptions>> = {
  sslmode: (mode) => {
    if (mode === 'verify-full') return {};
    throw refused(
      `sslmode=${mode} does not verify that the server is the named one`,
      'Write sslmode=verify-full, or leave it out: the connection is always verified.',
    );
  },
  sslrootcert: (file) => (file === 'system' ? {} : { rootCertificateFile: file }),
  hostaddr: (address) => ({ address }),
};

/** Parts of a connection string. Messages never quote it, because it may contain a password. */
export function fromUrl(given: string | Secret | undefined): ServerOptions {
  if (given === undefined) return {};
  const text = revealed(given);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^postgres(ql)?:$/.test(url.protocol)) {
    throw refused(
      'it is not a URL that begins with postgresql://',
      'Write postgresql://user:password@host:5432/database, with % escapes for special characters.',
    );
  }
  let found: ServerOptions = {};
  for (const [name, value] of url.searchParams) {
    const read = parameters[name];
    if (!read) {
      throw refused(
        `its parameter ${name} is unknown`,
        `Use only ${Object.keys(parameters).join(', ')}, and set other values in the options.`,
      );
    }
    found = { ...found, ...read(value) };
  }
  try {
    const password = decodeURIComponent(url.password);
    const port = url.port === '' ? undefined : Number(url.port);
    return {
      ...found,
      ...defined({
        host: decodeURIComponent(url.hostname).replace(/^\[|\]$/g, '') || undefined,
        port,
        user: decodeURIComponent(url.username) || undefined,
        database: decodeURIComponent(url.pathname.slice(1)) || undefined,
        password: password === '' ? undefined : new Secret(password),
      } as ServerOptions),
    };
  } catch {
    throw refused('it contains a % that starts no escape', 'Write a % inside a name or password as %25.');
  }
}

function refused(why: string, remedy: string): ConfigurationError {
  return new ConfigurationError(
    'configuration/url-unusable',
    'The connection string cannot be used',
    why,
    remedy,
  );
}
