/**
 * Where a command connects: told by the apply that runs it, by an environment's Terraform outputs, or by URL.
 */
import { isIP } from 'node:net';
import { otherRole } from '../azure/vocabulary.ts';
import { Fault } from '../core/fault.ts';
import { type Deployment, deploymentSchema } from './deployment.ts';

export interface Target {
  /** Name to print; absent for a target given by URL alone. */
  readonly environment?: string;
  /** Host name that the certificate must carry, whatever address is dialled. */
  readonly host: string;
  /** IP address to dial instead of resolving `host`, for tunnels. */
  readonly address?: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** Absent: an Entra token is asked for. */
  readonly password?: string;
  /** PEM file of the authority to trust. @default - the authorities Node trusts */
  readonly rootCertificateFile?: string;
  readonly deployment?: Deployment;
}

export interface TargetRequest {
  readonly environment?: string;
  readonly url?: string;
  /** IP address to dial; stands above `hostaddr=` and PGHOSTADDR. */
  readonly hostAddress?: string;
  /** Reads the Terraform output `deployment` of an environment. */
  readonly readOutputs?: (environment: string) => Promise<unknown>;
}

type Variables = Readonly<Record<string, string | undefined>>;

const usage = { exitCode: 2 };

/**
 * Resolves the target of a command. A URL stands above the rest; then LLAMA_DB_DEPLOYMENT, which the apply
 * sets; then the Terraform outputs of the named environment.
 *
 * @throws Fault (exit 2) when nothing names a target, or when what names it cannot be used.
 */
export async function resolveTarget(request: TargetRequest, variables: Variables): Promise<Target> {
  const deployment = await resolveDeployment(request, variables);
  const target = request.url
    ? fromUrl(request.url, variables, deployment)
    : fromDeployment(deployment, request.environment, variables);
  const address = request.hostAddress ?? target.address ?? variables['PGHOSTADDR'];
  return checkTarget(address ? { ...target, address } : target);
}

/**
 * The same login on the other server of the pair, read-only; undefined where the deployment has one server. An address
 * to dial stays: it may be a gateway that leads by name, or a tunnel to the writer, which only the server can tell.
 */
export function standbyTarget(target: Target): Target | undefined {
  const { deployment } = target;
  if (!deployment?.replica) return undefined;
  return { ...target, host: deployment[otherRole(deployment.writer)]?.host ?? '' };
}

/** How the target is called in messages: never with its password. */
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
        'target/1',
        `Environment ${request.environment} was asked for, LLAMA_DB_DEPLOYMENT describes ${deployment.environment}`,
        'working on one environment with the description of another is refused',
        'Unset LLAMA_DB_DEPLOYMENT or name the environment it describes.',
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
      'target/2',
      'LLAMA_DB_DEPLOYMENT is not JSON',
      error instanceof Error ? error.message : String(error),
      'It is the document of database/deployment.ts; the apply sets it, and Terraform output `deployment` holds it.',
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
    'target/3',
    `${source} does not describe a deployment`,
    problems.join('; '),
    'Synthesize and deploy with the version of this project that you run now (database/deployment.ts).',
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
      'target/4',
      environment ? `Nothing describes environment ${environment}` : 'No target given',
      'a command needs an environment, --url, or LLAMA_DB_DEPLOYMENT (set by the apply)',
      'Example: llama-db status production, or llama-db status --url postgresql://user@host/database.',
      usage,
    );
  }
  const writer = deployment[deployment.writer];
  if (!writer) {
    throw new Fault(
      'target/5',
      `Environment ${deployment.environment} says that its replica takes the writes, and has no replica`,
      'writer is "replica" and the deployment lists no replica',
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
    user: deployment.administrator,
    ...(password ? { password } : {}),
    ...(rootCertificateFile ? { rootCertificateFile } : {}),
    deployment,
  };
}

const urlParameters = new Set(['sslmode', 'sslrootcert', 'hostaddr']);

function fromUrl(text: string, variables: Variables, deployment: Deployment | undefined): Target {
  const refuse = (why: string, remedy: string): Fault =>
    new Fault('target/6', '--url cannot be used', why, remedy, usage);
  const example = 'Example: postgresql://user@host:5432/database?sslmode=verify-full.';
  // Never quote the text itself in a message: it may carry a password.
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^postgres(ql)?:$/.test(url.protocol)) throw refuse('it is not a postgresql:// URL', example);
  const { host, port, user, password, database } = urlParts(url, refuse);
  if (!host) throw refuse('it names no host', example);
  if (!user) throw refuse('it names no user', example);
  if (!database) throw refuse('it names no database', example);
  for (const name of url.searchParams.keys()) {
    if (!urlParameters.has(name)) {
      throw refuse(`parameter ${name} is not known`, `Known parameters: ${[...urlParameters].join(', ')}.`);
    }
  }
  const mode = url.searchParams.get('sslmode') ?? 'verify-full';
  if (mode !== 'verify-full') {
    throw refuse(
      `sslmode=${mode} does not prove who the server is, and the login would be sent to whoever answers`,
      'Use sslmode=verify-full (also what leaving it out means); sslrootcert=<file> names the authority to trust.',
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

function urlParts(url: URL, refuse: (why: string, remedy: string) => Fault): UrlParts {
  try {
    const password = decodeURIComponent(url.password);
    return {
      host: decodeURIComponent(url.hostname).replace(/^\[|\]$/g, ''),
      port: parsePort(url.port || '5432', '--url'),
      user: decodeURIComponent(url.username),
      ...(password ? { password } : {}),
      database: decodeURIComponent(url.pathname.slice(1)),
    };
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw refuse('a % in it does not start an escape', 'Write a % inside a name or password as %25.');
  }
}

function parsePort(text: string, source: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65536) return port;
  throw new Fault(
    'target/7',
    `${source} gives port ${JSON.stringify(text)}`,
    'a port is 1-65535',
    'Mend it.',
    usage,
  );
}

function checkTarget(target: Target): Target {
  if (target.port === 6432 || /pgbouncer|pooler/i.test(target.host)) {
    throw new Fault(
      'target/8',
      `${target.host}:${target.port} is a connection pooler`,
      'through transaction pooling an advisory lock and SET belong to whichever client comes next, so two runs could migrate at once and a lock could stay behind',
      'Use the server itself, port 5432.',
      usage,
    );
  }
  if (target.address !== undefined && isIP(target.address) === 0) {
    throw new Fault(
      'target/9',
      `Host address ${JSON.stringify(target.address)} is not an IP address`,
      "it only says where to dial, as libpq's hostaddr; the name to check stays the host's",
      'Give an IP address, e.g. 127.0.0.1 for a tunnel.',
      usage,
    );
  }
  return target;
}
