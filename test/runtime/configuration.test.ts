/** Configuration from code, connection strings, the environment and Terraform outputs; and that no secret shows. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { format, inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { environments } from '../../environments/index.ts';
import { issueCertificate } from '../../local/postgres/certificates.ts';
import { resolveServer } from '../../runtime/configuration/server.ts';
import {
  Database,
  fromEnvironment,
  fromOutputs,
  fromOutputsFile,
  fromTerraform,
  Secret,
} from '../../runtime/index.ts';
import { deploymentDocument, localAttributes } from '../../stacks/deployment.ts';
import { terraform, whyNoTerraform } from '../support/terraform.ts';

const terraformMissing = await whyNoTerraform();
const host = 'myserver.postgres.database.azure.com';
const secret = 'hunter2-&%';
const code = (error: string) => expect.objectContaining({ name: 'ConfigurationError', code: error });

describe('a server', () => {
  it.each([
    [
      { host, user: 'app', password: secret },
      { port: 5432, database: 'llama_mapper' },
    ],
    [{ host, user: 'app', password: secret, port: 6432 }, { port: 6432 }],
    [
      { url: `postgresql://app:${encodeURIComponent(secret)}@${host}/records?sslmode=verify-full` },
      { database: 'records' },
    ],
    [{ url: new Secret(`postgres://app:x@${host}:6432/records`), password: secret }, { port: 6432 }],
    [
      { url: `postgresql://${host}`, user: 'maria@contoso.com', password: secret },
      { user: 'maria@contoso.com' },
    ],
  ])('is read from %j', (given, expected) => {
    const server = resolveServer(given);
    expect(server).toMatchObject({ host, ...expected });
    expect(server.password?.reveal()).toBe(secret);
  });

  it.each([
    [{ user: 'app', password: secret }, 'configuration/missing'],
    [{ host, password: secret }, 'configuration/missing'],
    [{ host, user: 'app' }, 'configuration/missing'],
    [{ host, user: 'app@myserver', password: secret }, 'configuration/single-server-user'],
    [{ host, user: 'app@MyServer', password: secret }, 'configuration/single-server-user'],
    [{ host, user: 'app', password: secret, port: 70_000 }, 'configuration/port-out-of-range'],
    [{ host, user: 'app', password: secret, port: Number('x') }, 'configuration/port-out-of-range'],
    [{ host, user: 'app', password: secret, address: 'localhost' }, 'configuration/address-not-ip'],
    [{ url: 'mysql://app@x/y' }, 'configuration/url-unusable'],
    [{ url: `postgresql://app:${secret}@${host}/%zz` }, 'configuration/url-unusable'],
    ...['disable', 'allow', 'prefer', 'require', 'verify-ca'].map(
      (mode) =>
        [{ url: `postgresql://app:p@${host}/x?sslmode=${mode}` }, 'configuration/url-unusable'] as const,
    ),
    [{ url: `postgresql://app:p@${host}/x?options=-crow_security=off` }, 'configuration/url-unusable'],
    [{ host, user: 'app', password: secret, rootCertificates: 'none' }, 'configuration/no-root'],
    [
      { host, user: 'app', password: secret, rootCertificateFile: '/does/not/exist' },
      'configuration/roots-unreadable',
    ],
  ] as const)('is refused for %j', (given, expected) => {
    expect(() => resolveServer(given)).toThrow(code(expected));
  });

  it('trusts a root, and no certificate that a root issued', async () => {
    const { authority, certificate } = await issueCertificate(['localhost']);
    const given = { host, user: 'app', password: secret };
    expect(resolveServer({ ...given, rootCertificates: authority }).roots).toBe(authority);
    expect(() => resolveServer({ ...given, rootCertificates: authority + certificate })).toThrow(
      code('configuration/not-a-root'),
    );
  });
});

describe('a secret', () => {
  const shown = (value: unknown) =>
    [
      inspect(value, { depth: 9, showHidden: true, getters: true }),
      format('%s %o %j', value, value, value),
      JSON.stringify(value),
    ].join();

  it('shows nowhere: not in options, not in the database, not in an error', () => {
    const variables = { PGHOST: host, PGUSER: 'app', PGPASSWORD: secret };
    const options = fromEnvironment(variables);
    const db = new Database(options);
    const parts = [
      new Secret(secret),
      options,
      db,
      db.tenant('a'),
      resolveServer(options),
      `${new Secret(secret)}`,
    ];
    for (const part of parts) expect(shown(part)).not.toContain('hunter2');
    expect(shown(fromEnvironment({ DATABASE_URL: `postgresql://a:${secret}@h/d` }))).not.toContain('hunter2');
  });

  it.each([
    `postgresql://app:${secret}@${host}/x?sslmode=require`,
    `postgresql://app:${secret}@${host}/x`,
    `http://app:hunter2@${host}/x`,
    `postgresql://app:hunter2@${host}:99999/x`,
    'hunter2',
  ])('shows in no error about a connection string (%#)', (url) => {
    let thrown: unknown;
    try {
      resolveServer({ url });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'configuration/url-unusable' });
    expect(shown(thrown)).not.toContain('hunter2');
  });
});

describe('the environment', () => {
  it('has the variables of libpq, which take precedence over a connection string', () => {
    const options = fromEnvironment({
      DATABASE_URL: `postgresql://one:p@${host}/one`,
      PGUSER: 'two',
      PGPORT: '6432',
      LLAMA_DB_REPLICA_HOSTS: 'r1.example.com, r2.example.com',
    });
    expect(resolveServer(options)).toMatchObject({ host, user: 'two', port: 6432, database: 'one' });
    expect(options.replicas).toEqual([{ host: 'r1.example.com' }, { host: 'r2.example.com' }]);
  });

  it('is refused with a mode that does not verify', () => {
    expect(() => fromEnvironment({ PGSSLMODE: 'require' })).toThrow(code('configuration/sslmode-unsafe'));
  });
});

describe('Terraform outputs', () => {
  const settings = environments.named('production');
  const deployment = deploymentDocument(settings, localAttributes(settings));
  const [login] = deployment.logins.filter(({ role }) => role === 'application_role');
  const user = login?.name ?? '';

  it.each([
    [
      'of terraform output -json',
      { deployment: { value: deployment, sensitive: false }, server_host: { value: 'x' } },
    ],
    ['of terraform output -json, as a text', { deployment: { value: JSON.stringify(deployment) } }],
    ['of the outputs file of cdktf', { production: { deployment, server_host: 'x' } }],
    ['of the deployment alone', deployment],
  ])('%s lead to the writer, with the replica and the login', (_, document) => {
    const options = fromOutputs(document, { user });
    const writer = deployment.endpoints?.writer ?? deployment.primary.host;
    expect(options).toMatchObject({ host: writer, database: deployment.database, user });
    expect(options.replicas).toEqual([
      { host: deployment.endpoints?.reader ?? deployment.replica?.host, name: 'replica' },
    ]);
  });

  it.each([
    [{}, {}, 'configuration/no-deployment'],
    [null, {}, 'configuration/no-deployment'],
    [{ deployment: { value: deployment } }, { environment: 'staging' }, 'configuration/no-deployment'],
    [{ one: { deployment }, two: { deployment } }, {}, 'configuration/no-deployment'],
    [{ ...deployment, logins: [] }, {}, 'configuration/login-ambiguous'],
    [{ ...deployment, primary: {} }, { user: 'app' }, 'configuration/deployment-malformed'],
  ])('are refused if they do not determine a server (%#)', (document, options, expected) => {
    expect(() => fromOutputs(document, options)).toThrow(code(expected));
  });

  it('are read from a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'llama-outputs-'));
    try {
      const file = join(folder, 'outputs.json');
      writeFileSync(file, JSON.stringify({ deployment: { value: deployment } }));
      expect(fromOutputsFile(file, { user })).toEqual(fromOutputs(deployment, { user }));
      expect(fromEnvironment({ LLAMA_DB_OUTPUTS: file, PGUSER: user })).toMatchObject({ user });
      expect(() => fromOutputsFile(join(folder, 'none'))).toThrow(code('configuration/outputs-unreadable'));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('are read with Terraform from the folder of the stacks', async (context) => {
    if (terraformMissing) return context.skip(terraformMissing);
    const directory = mkdtempSync(join(tmpdir(), 'llama-stacks-'));
    try {
      const stack = join(directory, 'stacks/production');
      mkdirSync(stack, { recursive: true });
      const output = { deployment: { value: JSON.stringify(deployment) } };
      writeFileSync(join(stack, 'cdk.tf.json'), JSON.stringify({ output }));
      await terraform(stack, 'apply', '-auto-approve');
      const options = { environment: 'production', directory, user };
      expect(await fromTerraform(options)).toEqual(fromOutputs(deployment, { user }));
      await expect(fromTerraform({ ...options, environment: 'staging' })).rejects.toThrow(
        code('configuration/terraform-failed'),
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
