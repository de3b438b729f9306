/**
 * Resolves the server that a command connects to: from a URL, from the apply that runs the command, or from the
 * Terraform outputs of an environment.
 */
import { isIP } from 'node:net';
import { otherRole } from '../azure/vocabulary.ts';
import { Fault, type FaultCode } from '../core/fault.ts';
import { messageOf } from '../core/text.ts';
import { type Deployment, deploymentSchema } from './deployment.ts';
import { passwordFromFile } from './password-file.ts';

export interface Target {
  /** Absent for a target given by URL alone. */
  readonly environment?: string;
  /** Host name that the certificate must carry, independent of the dialled address. */
  readonly host: string;
  /** IP address to dial instead of resolving `host`, for tunnels. */
  readonly address?: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** @default - an Entra token is requested */
  readonly password?: string;
  /** PEM file of the authority to trust. @default - Node's own authorities */
  readonly rootCertificateFile?: string;
  readonly deployment?: Deployment;
}

export interface TargetRequest {
  readonly environment?: string;
  readonly url?: string;
  /** IP address to dial. Takes precedence over `hostaddr=` and PGHOSTADDR. */
  readonly hostAddress?: string;
  /** Reads the Terraform output `deployment` of an environment. */
  readonly readOutputs?: (environment: string) => Promise<unknown>;
}

type Variables = Readonly<Record<string, string | undefined>>;

const usage = { exitCode: 2 };

/**
 * Resolves the target of a command. A URL takes precedence, then LLAMA_DB_DEPLOYMENT, which the apply sets, then
 * the Terraform outputs of the named environment, then DATABASE_URL. A password comes from the URL, then from PGPASSWORD,
 * then from the file that PGPASSFILE names.
 *
 * @throws Fault (exit 2) if no source names a target, or if the source is malformed or unsafe.
 */
export async function resolveTarget(request: TargetRequest, variables: Variables): Promise<Target> {
  const deployment = await resolveDeployment(request, variables);
  const fallback = deployment || request.environment ? undefined : variables['DATABASE_URL'];
  const resolved = request.url
    ? fromUrl(request.url, '--url', variables, deployment)
    : fallback
      ? fromUrl(fallback, 'DATABASE_URL', variables, undefined)
      : fromDeployment(deployment, request.environment, variables);
  const target = await withPasswordOfFile(resolved, variables['PGPASSFILE']);
  const address = request.hostAddress ?? target.address ?? variables['PGHOSTADDR'];
  return checkTarget(address ? { ...target, address } : target);
}

/** With password login, a line of the file for that administrator makes it the login. */
async function withPasswordOfFile(target: Target, file: string | undefined): Promise<Target> {
  if (!file || target.password) return target;
  const users = [target.environment ? target.deployment?.passwordAdministrator : undefined, target.user];
  for (const user of users) {
    const password = user && (await passwordFromFile(file, { ...target, user }));
    if (user && password) return { ...target, user, password };
  }
  return target;
}

/**
 * The same login on the other server of the pair, which is read-only. The dialled address stays the same, because it may
 * belong to a gateway that routes by host name; a tunnel to the writer shows only once the server answers.
 *
 * @returns undefined if the deployment has one server
 */
export function standbyTarget(target: Target): Target | undefined {
  const { deployment } = target;
  if (!deployment?.replica) return undefined;
  return { ...target, host: deployment[otherRole(deployment.writer)]?.host ?? '' };
}

/** The target for messages, without its password. */
export function describeTarget(target: Target): string {
  const address = target.address ? ` (at ${target.address})` : '';
  return `${target.host}:${target.port}${address}, database ${target.database}`;
}

async function resolveDeployment(
  request: TargetRequest,
  variables: Variables,
): Promise<Deployment | undefined> {
  const given = variables['LLAMA_DB_DEPLOYMENT'];
  if (given) {
    const deployment = parseDeployment(parseJson(given), 'LLAMA_DB_DEPLOYMENT');
    if (request.environment && request.environment !== deployment.environment) {
      throw new Fault(
        'target/other-environment',
        `Environment ${request.environment} differs from ${deployment.environment}, which LLAMA_DB_DEPLOYMENT describes`,
        'a command works on one environment only with the description of that environment',
        'Unset LLAMA_DB_DEPLOYMENT, or name the environment that it describes.',
        usage,
      );
    }
    return deployment;
  }
  if (!request.environment || !request.readOutputs) return undefined;
  const output = await request.readOutputs(request.environment);
  return parseDeployment(output, `Terraform output deployment of ${request.environment}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Fault(
      'target/deployment-not-json',
      'LLAMA_DB_DEPLOYMENT is not JSON',
      messageOf(error),
      'Copy the Terraform output `deployment` into it (its shape: database/deployment.ts), or unset it and name the environment.',
      { ...usage, cause: error },
    );
  }
}

function parseDeployment(document: unknown, source: string): Deployment {
  const parsed = deploymentSchema.safeParse(document);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.join('.') || 'document'}: ${issue.message}`,
  );
  throw new Fault(
    'target/deployment-malformed',
    `${source} does not describe a deployment`,
    problems.join('; '),
    'Synthesize and deploy again with this version of the project (database/deployment.ts).',
    usage,
  );
}

function fromDeployment(
  deployment: Deployment | undefined,
  environment: string | undefined,
  variables: Variables,
): Target {
  if (!deployment) {
    throw new Fault(
      'target/missing',
      environment ? `Environment ${environment} has no description` : 'No target is given',
      'a command needs an environment, --url, DATABASE_URL, or LLAMA_DB_DEPLOYMENT (set by the apply)',
      'Example: llama-db status <environment>, or llama-db status --url postgresql://user@host/database.',
      usage,
    );
  }
  const writer = deployment[deployment.writer];
  if (!writer) {
    throw new Fault(
      'target/writer-without-replica',
      `Environment ${deployment.environment} names a replica as its writer and has no replica`,
      'writer is "replica", and the deployment lists no replica',
      'Set writer to primary in the environment file, or add the replica.',
      usage,
    );
  }
  const { PGPASSWORD: password, PGSSLROOTCERT: rootCertificateFile } = variables;
  return {
    environment: deployment.environment,
    host: writer.host,
    port: parsePort(variables['PGPORT'] ?? '5432', 'PGPORT'),
    database: deployment.database,
    user: userOf(deployment, password),
    ...(password ? { password } : {}),
    ...(rootCertificateFile ? { rootCertificateFile } : {}),
    deployment,
  };
}

/** With password login, PGPASSWORD is the password of that administrator, unless it is an Entra token. */
function userOf({ administrator, passwordAdministrator }: Deployment, password: string | undefined): string {
  const isToken = password !== undefined && /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/.test(password);
  return password && !isToken ? (passwordAdministrator ?? administrator) : administrator;
}

const urlParameters = new Set(['sslmode', 'sslrootcert', 'hostaddr']);

function fromUrl(
  text: string,
  source: UrlSource,
  variables: Variables,
  deployment: Deployment | undefined,
): Target {
  const example = 'Example: postgresql://user@host:5432/database?sslmode=verify-full.';
  // Messages never quote the URL, because it may contain a password.
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^postgres(ql)?:$/.test(url.protocol))
    throw refuse(source, 'target/url-not-postgresql', 'its scheme is not postgresql://', example);
  const { host, port, user, password, database } = urlParts(url, source);
  if (!host) throw refuse(source, 'target/url-without-host', 'it names no host', example);
  if (!user) throw refuse(source, 'target/url-without-user', 'it names no user', example);
  if (!database) throw refuse(source, 'target/url-without-database', 'it names no database', example);
  for (const name of url.searchParams.keys()) {
    if (!urlParameters.has(name)) {
      throw refuse(
        source,
        'target/url-parameter-unknown',
        `its parameter ${name} is unknown`,
        `Use only these parameters: ${[...urlParameters].join(', ')}.`,
      );
    }
  }
  const mode = url.searchParams.get('sslmode') ?? 'verify-full';
  if (mode !== 'verify-full') {
    throw refuse(
      source,
      'target/url-sslmode-unsafe',
      `sslmode=${mode} does not authenticate the server, so an impostor could receive the login`,
      'Use sslmode=verify-full (the default); sslrootcert=<file> names the authority to trust.',
    );
  }
  const secret = password ?? variables['PGPASSWORD'];
  const root = url.searchParams.get('sslrootcert') ?? variables['PGSSLROOTCERT'];
  const address = url.searchParams.get('hostaddr');
  return {
    ...(deployment ? { environment: deployment.environment, deployment } : {}),
    host,
    ...(address ? { address } : {}),
    port,
    database,
    user,
    ...(secret ? { password: secret } : {}),
    ...(root ? { rootCertificateFile: root } : {}),
  };
}

interface UrlParts {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly database: string;
}

type UrlSource = '--url' | 'DATABASE_URL';

function refuse(source: UrlSource, code: FaultCode, why: string, remedy: string): Fault {
  return new Fault(code, `${source} cannot be used`, why, remedy, usage);
}

function urlParts(url: URL, source: UrlSource): UrlParts {
  try {
    const password = decodeURIComponent(url.password);
    return {
      host: decodeURIComponent(url.hostname).replace(/^\[|\]$/g, ''),
      port: parsePort(url.port || '5432', source),
      user: decodeURIComponent(url.username),
      ...(password ? { password } : {}),
      database: decodeURIComponent(url.pathname.slice(1)),
    };
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw refuse(
      source,
      'target/url-escape-malformed',
      'it contains a % that starts no escape',
      'Write a % inside a name or password as %25.',
    );
  }
}

function parsePort(text: string, source: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65536) return port;
  throw new Fault(
    'target/port-out-of-range',
    `${source} gives port ${JSON.stringify(text)}`,
    'a port must be a whole number between 1 and 65535',
    'Set the port in PGPORT or in the URL; PostgreSQL on Azure listens on 5432.',
    usage,
  );
}

function checkTarget(target: Target): Target {
  if (target.port === 6432 || /pgbouncer|pooler/i.test(target.host)) {
    throw new Fault(
      'connection/pooler',
      `${target.host}:${target.port} is a connection pooler`,
      'with transaction pooling, the next client inherits advisory locks and settings, so two runs could migrate at once and a lock could stay behind',
      'Connect to the server directly, on port 5432.',
      usage,
    );
  }
  if (target.address !== undefined && isIP(target.address) === 0) {
    throw new Fault(
      'target/address-not-ip',
      `Host address ${JSON.stringify(target.address)} is not an IP address`,
      'like hostaddr of libpq, it replaces name resolution and nothing else; TLS still checks the host name',
      'Give an IP address, such as 127.0.0.1 for a tunnel.',
      usage,
    );
  }
  return target;
}
