import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Fault } from '../../core/fault.ts';
import type { Deployment } from '../../database/deployment.ts';
import { describeTarget, resolveTarget, standbyTarget } from '../../database/target.ts';

const deployment: Deployment = {
  environment: 'production',
  primary: { host: 'primary.postgres.database.azure.com' },
  replica: { host: 'replica.postgres.database.azure.com' },
  writer: 'primary',
  database: 'llama_mapper',
  version: 17,
  administrator: 'Database Admins',
  authentication: 'entra',
  extensions: [],
  parameters: {},
  logins: [],
  pools: [],
  partitions: { monthsAhead: 3, retentionDays: {} },
};

const described = (changes: Partial<Deployment> = {}) => ({
  LLAMA_DB_DEPLOYMENT: JSON.stringify({ ...deployment, ...changes }),
});

async function refused(promise: Promise<unknown>): Promise<Fault> {
  const outcome = await promise.then(
    (value) => value,
    (error) => error,
  );
  expect(outcome).toBeInstanceOf(Fault);
  return outcome as Fault;
}

describe('a target', () => {
  it('logs in as the administrator with a password if PGPASSWORD has one, and as the group with a token', async () => {
    const user = async (password: string | undefined, changes: Partial<Deployment> = {}) =>
      (await resolveTarget({}, { ...described(changes), PGPASSWORD: password })).user;
    const allowed = { passwordAdministrator: 'llama_admin' };
    const token = 'eyJhbGciOiJSUzI1NiJ9.eyJvaWQiOiIxIn0.c2lnbmF0dXJl';
    expect(await user('a-password', allowed)).toBe('llama_admin');
    expect(await user(token, allowed)).toBe('Database Admins');
    expect(await user(undefined, allowed)).toBe('Database Admins');
    expect(await user(token)).toBe('Database Admins');
  });

  it('comes from the apply: writer, administrator and the address to dial', async () => {
    const target = await resolveTarget(
      {},
      { ...described(), PGHOSTADDR: '10.1.2.3', PGSSLROOTCERT: '/ca.pem' },
    );
    expect(target).toMatchObject({
      environment: 'production',
      host: 'primary.postgres.database.azure.com',
      address: '10.1.2.3',
      port: 5432,
      database: 'llama_mapper',
      user: 'Database Admins',
      rootCertificateFile: '/ca.pem',
    });
    expect(target.password).toBeUndefined();
  });

  it('follows the writer after a switchover; its standby is the other server', async () => {
    const target = await resolveTarget({}, { ...described({ writer: 'replica' }), PGHOSTADDR: '10.1.2.3' });
    expect(target.host).toBe('replica.postgres.database.azure.com');
    const standby = standbyTarget(target);
    expect(standby?.host).toBe('primary.postgres.database.azure.com');
    expect(standby?.address).toBe('10.1.2.3');
  });

  it('comes from Terraform outputs outside an apply', async () => {
    const target = await resolveTarget(
      { environment: 'production', readOutputs: async (name) => ({ ...deployment, environment: name }) },
      {},
    );
    expect(target.host).toBe('primary.postgres.database.azure.com');
  });

  it('comes from a URL with its own address and authority', async () => {
    const url =
      'postgresql://a%20b:p%40ss@db.example.test:6000/my%20db?sslmode=verify-full&sslrootcert=/x/ca.pem&hostaddr=127.0.0.1';
    expect(await resolveTarget({ url }, {})).toEqual({
      host: 'db.example.test',
      address: '127.0.0.1',
      port: 6000,
      database: 'my db',
      user: 'a b',
      password: 'p@ss',
      rootCertificateFile: '/x/ca.pem',
    });
  });

  it('comes from DATABASE_URL if nothing else names one', async () => {
    const variables = { DATABASE_URL: 'postgresql://u:hunter2@h/d' };
    expect(await resolveTarget({}, variables)).toMatchObject({ host: 'h', user: 'u', password: 'hunter2' });
    const given = await resolveTarget({ url: 'postgresql://v@i/e' }, variables);
    expect(given).toMatchObject({ host: 'i', user: 'v' });
    expect(given.password).toBeUndefined();
    expect((await resolveTarget({}, { ...variables, ...described() })).environment).toBe('production');
    const fault = await refused(resolveTarget({}, { DATABASE_URL: 'mysql://u:hunter2@h/d' }));
    expect(fault).toMatchObject({ code: 'target/url-not-postgresql', what: 'DATABASE_URL cannot be used' });
    expect(fault.message).not.toContain('hunter2');
  });

  describe('with a password file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'llama-db-'));
    afterAll(() => rmSync(folder, { recursive: true }));
    const file = (text: string, mode = 0o600) => {
      const path = join(folder, `pass-${Math.random()}`);
      writeFileSync(path, text, { mode });
      return path;
    };
    const password = async (text: string, url = 'postgresql://u@h/d') =>
      (await resolveTarget({ url }, { PGPASSFILE: file(text) })).password;

    it.each([
      ['h:5432:d:u:hunter2', 'hunter2'],
      ['# a comment\n\nother:*:*:*:wrong\n*:*:*:u:first\nh:5432:d:u:second\n', 'first'],
      ['h:5432:d:u:with:colon\\:s\\\\', 'with:colon:s\\'],
      ['h:5432:d:u:hunter2\r\n', 'hunter2'],
      ['h:5433:d:u:hunter2', undefined],
      ['\\*:5432:d:u:hunter2', undefined],
      ['h:5432:d:u', undefined],
      ['', undefined],
    ])('%j gives %j', async (text, expected) => {
      expect(await password(text)).toBe(expected);
    });

    it('finds names with colons, and an address as libpq writes it', async () => {
      expect(await password('h:5432:d:a\\:b:x', 'postgresql://a%3Ab@h/d')).toBe('x');
    });

    it('takes the password of the URL and PGPASSWORD first', async () => {
      const PGPASSFILE = file('*:*:*:*:of-the-file');
      const of = async (url: string, variables = {}) =>
        (await resolveTarget({ url }, { PGPASSFILE, ...variables })).password;
      expect(await of('postgresql://u:mine@h/d', { PGPASSWORD: 'variable' })).toBe('mine');
      expect(await of('postgresql://u@h/d', { PGPASSWORD: 'variable' })).toBe('variable');
      expect(await of('postgresql://u@h/d')).toBe('of-the-file');
    });

    it('logs in as the administrator with a password if a line has it', async () => {
      const changes = described({ passwordAdministrator: 'llama_admin' });
      const user = async (text: string) =>
        (await resolveTarget({}, { ...changes, PGPASSFILE: file(text) })).user;
      expect(await user('*:*:*:llama_admin:x')).toBe('llama_admin');
      expect(await user('*:*:*:another:x')).toBe('Database Admins');
    });

    it('refuses a missing one, and one that others may read', async () => {
      const url = 'postgresql://u@h/d';
      const code = async (PGPASSFILE: string) => (await refused(resolveTarget({ url }, { PGPASSFILE }))).code;
      expect(await code(join(folder, 'absent'))).toBe('target/password-file-unreadable');
      expect(await code(file('h:5432:d:u:x', 0o644))).toBe('target/password-file-open');
    });
  });

  it('prefers --host-address, then the URL, then PGHOSTADDR', async () => {
    const url = 'postgresql://u:p@db.example.test/d?hostaddr=127.0.0.1';
    const variables = { PGHOSTADDR: '10.0.0.1' };
    expect((await resolveTarget({ url }, variables)).address).toBe('127.0.0.1');
    expect((await resolveTarget({ url, hostAddress: '::1' }, variables)).address).toBe('::1');
  });

  it('has a description without its password', async () => {
    const target = await resolveTarget({ url: 'postgresql://u:hunter22@db.example.test/d' }, {});
    expect(describeTarget(target)).toBe('db.example.test:5432, database d');
  });
});

describe('a target is refused with exit status 2', () => {
  it.each([
    ['port 6432', 'postgresql://u:hunter22@db.example.test:6432/d', 'connection/pooler', /5432/],
    [
      'a pooler by name',
      'postgresql://u:hunter22@db-pgbouncer.example.test/d',
      'connection/pooler',
      /db-pgbouncer/,
    ],
    [
      'sslmode=require',
      'postgresql://u:hunter22@h/d?sslmode=require',
      'target/url-sslmode-unsafe',
      /sslmode=require/,
    ],
    [
      'sslmode=disable',
      'postgresql://u:hunter22@h/d?sslmode=disable',
      'target/url-sslmode-unsafe',
      /sslmode=verify-full/,
    ],
    [
      'sslmode=verify-ca',
      'postgresql://u:hunter22@h/d?sslmode=verify-ca',
      'target/url-sslmode-unsafe',
      /sslmode=verify-full/,
    ],
    [
      'an unknown parameter',
      'postgresql://u:hunter22@h/d?sslrootcrt=x',
      'target/url-parameter-unknown',
      /sslrootcrt.*sslrootcert/,
    ],
    ['another protocol', 'mysql://u:hunter22@h/d', 'target/url-not-postgresql', /postgresql:\/\//],
    ['a text without a scheme', 'u:hunter22@h/d', 'target/url-not-postgresql', /postgresql:\/\//],
    ['a URL without host', 'postgresql:///d', 'target/url-without-host', /Example/],
    ['a URL without user', 'postgresql://h/d', 'target/url-without-user', /Example/],
    ['a URL without database', 'postgresql://u:hunter22@h', 'target/url-without-database', /Example/],
    ['a malformed escape', 'postgresql://u:hunter22%@h/d', 'target/url-escape-malformed', /%25/],
    [
      'an address that is a name',
      'postgresql://u:hunter22@h/d?hostaddr=localhost',
      'target/address-not-ip',
      /localhost/,
    ],
  ])('for %s', async (_, url, code, values) => {
    const fault = await refused(resolveTarget({ url }, {}));
    expect(fault.code).toBe(code);
    expect(fault.message).toMatch(values);
    expect(fault.message).not.toContain('hunter22');
    expect(fault.exitCode).toBe(2);
  });

  it('if no source names one', async () => {
    const fault = await refused(resolveTarget({}, {}));
    expect(fault).toMatchObject({ code: 'target/missing', remedy: expect.stringContaining('Example') });
  });

  it('if the description belongs to another environment', async () => {
    const fault = await refused(resolveTarget({ environment: 'staging' }, described()));
    expect(fault.code).toBe('target/other-environment');
    expect(fault.what).toMatch(/staging .*production/);
  });

  it('if the description is incomplete, naming every field', async () => {
    const fault = await refused(resolveTarget({}, { LLAMA_DB_DEPLOYMENT: '{"environment":"x"}' }));
    expect(fault.code).toBe('target/deployment-malformed');
    expect(fault.why).toMatch(/primary: .*; writer: .*database: /);
  });

  it('if the description is not JSON', async () => {
    const fault = await refused(resolveTarget({}, { LLAMA_DB_DEPLOYMENT: '{' }));
    expect(fault.code).toBe('target/deployment-not-json');
    expect(fault.what).toContain('LLAMA_DB_DEPLOYMENT');
  });

  it('if the writer is a missing replica', async () => {
    const { replica: _, ...single } = deployment;
    const text = JSON.stringify({ ...single, writer: 'replica' });
    const fault = await refused(resolveTarget({}, { LLAMA_DB_DEPLOYMENT: text }));
    expect(fault.code).toBe('target/writer-without-replica');
  });

  it.each(['x', '0', '65536', '5432.5'])('if PGPORT is %s', async (port) => {
    const fault = await refused(resolveTarget({}, { ...described(), PGPORT: port }));
    expect(fault).toMatchObject({
      code: 'target/port-out-of-range',
      what: `PGPORT gives port "${port}"`,
      why: expect.stringContaining('65535'),
    });
  });
});
