/** Configuration from environment variables. */
import { ConfigurationError } from '../errors.ts';
import type { CellOptions, DatabaseOptions, ReplicaOptions } from './options.ts';
import { fromOutputs, fromOutputsFile, parsed } from './outputs.ts';
import { Secret } from './secret.ts';

export type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Options from environment variables. The first source of the servers that is set counts:
 *
 * 1. `DATABASE_URL`, a connection string;
 * 2. `LLAMA_DB_DEPLOYMENT`, the output `deployment` as JSON;
 * 3. `LLAMA_DB_OUTPUTS`, the path of a file of Terraform outputs, with `LLAMA_DB_ENVIRONMENT` if it describes several.
 *
 * `PGHOST`, `PGHOSTADDR`, `PGPORT`, `PGDATABASE`, `PGUSER`, `PGPASSWORD`, `PGSSLROOTCERT` and `PGSSLMODE` have the meaning of libpq,
 * and take precedence. `PGAPPNAME` is the name of the application. `LLAMA_DB_REPLICA_HOSTS` lists host names of replicas with commas.
 * Spread it and add what is not text, such as the credential: `new Database({ ...fromEnvironment(), credential })`.
 *
 * @param variables @default - those of the process
 * @throws ConfigurationError if a variable cannot be used
 */
export function fromEnvironment(variables: Variables = process.env): DatabaseOptions {
  const mode = variables['PGSSLMODE'];
  if (mode && mode !== 'verify-full') {
    throw new ConfigurationError(
      'configuration/sslmode-unsafe',
      `PGSSLMODE=${mode} cannot be used`,
      'it does not verify that the server is the named one',
      'Set PGSSLMODE=verify-full, or unset it.',
    );
  }
  const { PGPASSWORD: password, PGPORT: port, PGAPPNAME: applicationName } = variables;
  const given = {
    host: variables['PGHOST'],
    address: variables['PGHOSTADDR'],
    port: port === undefined || port === '' ? undefined : Number(port),
    database: variables['PGDATABASE'],
    user: variables['PGUSER'],
    password: password === undefined || password === '' ? undefined : new Secret(password),
    rootCertificateFile: variables['PGSSLROOTCERT'],
    applicationName,
    replicas: replicasIn(variables['LLAMA_DB_REPLICA_HOSTS']),
  };
  const known = Object.entries(given).filter(([, value]) => value !== undefined && value !== '');
  return { ...servers(variables), ...Object.fromEntries(known) };
}

function servers(variables: Variables): CellOptions {
  const { DATABASE_URL: url, LLAMA_DB_DEPLOYMENT: deployment, LLAMA_DB_OUTPUTS: file } = variables;
  const { LLAMA_DB_ENVIRONMENT: environment, PGUSER: user } = variables;
  const options = { ...(environment ? { environment } : {}), ...(user ? { user } : {}) };
  if (url) return { url: new Secret(url) };
  if (deployment) return fromOutputs(parsed(deployment, 'LLAMA_DB_DEPLOYMENT'), options);
  return file ? fromOutputsFile(file, options) : {};
}

function replicasIn(list: string | undefined): readonly ReplicaOptions[] | undefined {
  const hosts = (list ?? '')
    .split(',')
    .map((host) => host.trim())
    .filter((host) => host !== '');
  return hosts.length === 0 ? undefined : hosts.map((host) => ({ host }));
}
