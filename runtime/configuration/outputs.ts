/** Configuration from the Terraform outputs of a deployment. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ConfigurationError, reasonOf } from '../errors.ts';
import type { CellOptions } from './options.ts';

export interface OutputOptions {
  /** Environment, for a file of several. @default - the only one of the file */
  readonly environment?: string;
  /** Login. @default - the only login with application_role */
  readonly user?: string;
}

const run = promisify(execFile);
const applicationRole = 'application_role';

/**
 * Servers, database and login from a document of outputs: of `terraform output -json`, of `cdktf output --outputs-file`, or the
 * output `deployment` alone. The document has no password.
 *
 * @throws ConfigurationError if it does not describe a deployment, or not the only one or the only login
 */
export function fromOutputs(document: unknown, options: OutputOptions = {}): CellOptions {
  const deployment = deploymentIn(document, options.environment);
  const database = textAt(deployment, 'database');
  const writerRole = textAt(deployment, 'writer');
  const readerRole = writerRole === 'primary' ? 'replica' : 'primary';
  const server = textAt(deployment, writerRole, 'host');
  const other = at(deployment, readerRole, 'host');
  // The endpoints follow a switchover.
  const host = at(deployment, 'endpoints', 'writer') ?? server;
  const reader = at(deployment, 'endpoints', 'reader') ?? other;
  return {
    host: String(host),
    database,
    user: options.user ?? onlyLogin(deployment),
    ...(typeof reader === 'string' ? { replicas: [{ host: reader, name: 'replica' }] } : {}),
  };
}

/** `fromOutputs` of a JSON file. @throws ConfigurationError */
export function fromOutputsFile(file: string, options: OutputOptions = {}): CellOptions {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigurationError(
      'configuration/outputs-unreadable',
      `The outputs in ${file} cannot be read`,
      reasonOf(error),
      'Write them: terraform output -json > outputs.json.',
      { cause: error },
    );
  }
  return fromOutputs(parsed(text, file), options);
}

export interface TerraformOptions extends OutputOptions {
  readonly environment: string;
  /** Folder of the synthesized stacks. @default - CDKTF_OUTDIR, else `cdktf.out` */
  readonly directory?: string;
  /** @default 'terraform' - found on the PATH */
  readonly program?: string;
}

/** `fromOutputs` of the stack of an environment, read with Terraform. @throws ConfigurationError */
export async function fromTerraform(options: TerraformOptions): Promise<CellOptions> {
  const { environment, program = 'terraform' } = options;
  const root = options.directory ?? process.env['CDKTF_OUTDIR'] ?? 'cdktf.out';
  const stack = join(root, 'stacks', environment);
  let stdout: string;
  try {
    ({ stdout } = await run(program, [`-chdir=${stack}`, 'output', '-json', '-no-color']));
  } catch (error) {
    const words: unknown = error instanceof Error ? Reflect.get(error, 'stderr') : undefined;
    throw new ConfigurationError(
      'configuration/terraform-failed',
      `The outputs of ${stack} cannot be read`,
      (typeof words === 'string' && words.trim()) || reasonOf(error),
      `Run terraform -chdir=${stack} output -json by hand.`,
      { cause: error },
    );
  }
  return fromOutputs(parsed(stdout, stack), options);
}

export function parsed(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ConfigurationError(
      'configuration/outputs-not-json',
      `${source} is not JSON`,
      reasonOf(error),
      'Write it with terraform output -json.',
      { cause: error },
    );
  }
}

/** The deployment document in one of its three forms. */
function deploymentIn(document: unknown, environment: string | undefined): unknown {
  const found =
    own(document) ??
    (environment === undefined ? undefined : own(at(document, environment))) ??
    (environment === undefined ? onlyOf(document) : undefined);
  const problem =
    found === undefined
      ? `no output deployment${environment === undefined ? '' : ` of ${environment}`} is in it`
      : environment !== undefined && at(found, 'environment') !== environment
        ? `it describes ${String(at(found, 'environment'))}, not ${environment}`
        : undefined;
  if (problem === undefined) return found;
  throw new ConfigurationError(
    'configuration/no-deployment',
    'The outputs do not describe the deployment',
    problem,
    'Give the outputs of the stack after its deployment; name the environment if there are several.',
  );
}

function own(document: unknown): unknown {
  const output = at(document, 'deployment');
  const value = at(output, 'value') ?? output;
  if (value !== undefined) return typeof value === 'string' ? parsed(value, 'The output deployment') : value;
  return at(document, 'writer') === undefined ? undefined : document;
}

function onlyOf(document: unknown): unknown {
  const found = Object.values(Object(document))
    .map(own)
    .filter((one) => one !== undefined);
  return found.length === 1 ? found[0] : undefined;
}

function onlyLogin(deployment: unknown): string {
  const logins: unknown = at(deployment, 'logins');
  const names = (Array.isArray(logins) ? logins : [])
    .filter((login) => at(login, 'role') === applicationRole)
    .map((login) => String(at(login, 'name')));
  if (names.length === 1 && names[0]) return names[0];
  throw new ConfigurationError(
    'configuration/login-ambiguous',
    'The outputs do not determine the login',
    names.length === 0
      ? `no login has ${applicationRole}`
      : `these have ${applicationRole}: ${names.join(', ')}`,
    'Give user.',
  );
}

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, name) => {
    return typeof inner === 'object' && inner !== null && Object.hasOwn(inner, name)
      ? Reflect.get(inner, name)
      : undefined;
  }, value);
}

function textAt(value: unknown, ...path: readonly string[]): string {
  const found = at(value, ...path);
  if (typeof found === 'string' && found !== '') return found;
  throw new ConfigurationError(
    'configuration/deployment-malformed',
    `The deployment has no ${path.join('.')}`,
    'the output deployment of another version of the project has another form',
    'Deploy with this version, and write the outputs again.',
  );
}
