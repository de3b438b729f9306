import { describe, expect, it } from 'vitest';
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
  it('comes from the apply: writer, administrator, and the address to dial', async () => {
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

  it('follows the writer after a switchover, and its standby is the other one', async () => {
    const target = await resolveTarget({}, { ...described({ writer: 'replica' }), PGHOSTADDR: '10.1.2.3' });
    expect(target.host).toBe('replica.postgres.database.azure.com');
    const standby = standbyTarget(target);
    expect(standby?.host).toBe('primary.postgres.database.azure.com');
    expect(standby?.address).toBe('10.1.2.3');
  });

  it('comes from Terraform outputs when no apply tells it', async () => {
    const target = await resolveTarget(
      { environment: 'production', readOutputs: async (name) => ({ ...deployment, environment: name }) },
      {},
    );
    expect(target.host).toBe('primary.postgres.database.azure.com');
  });

  it('comes from a URL, whose address and authority stand for themselves', async () => {
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

  it('takes --host-address above everything, and a URL above PGHOSTADDR', async () => {
    const url = 'postgresql://u:p@db.example.test/d?hostaddr=127.0.0.1';
    const variables = { PGHOSTADDR: '10.0.0.1' };
    expect((await resolveTarget({ url }, variables)).address).toBe('127.0.0.1');
    expect((await resolveTarget({ url, hostAddress: '::1' }, variables)).address).toBe('::1');
  });

  it('is never described with its password', async () => {
    const target = await resolveTarget({ url: 'postgresql://u:hunter22@db.example.test/d' }, {});
    expect(describeTarget(target)).toBe('db.example.test:5432, database d');
  });
});

describe('a target is refused, exit 2,', () => {
  it.each([
    ['port 6432', 'postgresql://u:hunter22@db.example.test:6432/d', /connection pooler.*5432/],
    ['a pooler by name', 'postgresql://u:hunter22@db-pgbouncer.example.test/d', /connection pooler/],
    ['sslmode=require', 'postgresql://u:hunter22@h/d?sslmode=require', /sslmode=require does not prove/],
    ['sslmode=disable', 'postgresql://u:hunter22@h/d?sslmode=disable', /sslmode=verify-full/],
    ['sslmode=verify-ca', 'postgresql://u:hunter22@h/d?sslmode=verify-ca', /sslmode=verify-full/],
    [
      'an unknown parameter',
      'postgresql://u:hunter22@h/d?sslrootcrt=x',
      /sslrootcrt is not known.*sslrootcert/,
    ],
    ['another protocol', 'mysql://u:hunter22@h/d', /not a postgresql:\/\/ URL/],
    ['no URL at all', 'u:hunter22@h/d', /not a postgresql:\/\/ URL/],
    ['no user', 'postgresql://h/d', /no user/],
    ['no database', 'postgresql://u:hunter22@h', /no database/],
    ['a broken escape', 'postgresql://u:hunter22%@h/d', /%25/],
    ['an address that is a name', 'postgresql://u:hunter22@h/d?hostaddr=localhost', /not an IP address/],
  ])('for %s', async (_, url, expected) => {
    const fault = await refused(resolveTarget({ url }, {}));
    expect(fault.message).toMatch(expected);
    expect(fault.message).not.toContain('hunter22');
    expect(fault.exitCode).toBe(2);
  });

  it('when nothing names one', async () => {
    expect((await refused(resolveTarget({}, {}))).message).toMatch(/No target given.*Example/);
  });

  it('when the description is of another environment', async () => {
    const fault = await refused(resolveTarget({ environment: 'staging' }, described()));
    expect(fault.message).toMatch(/staging was asked for, LLAMA_DB_DEPLOYMENT describes production/);
  });

  it('when the description is incomplete, naming every field', async () => {
    const fault = await refused(resolveTarget({}, { LLAMA_DB_DEPLOYMENT: '{"environment":"x"}' }));
    expect(fault.message).toMatch(/primary: .*; writer: .*database: /);
  });

  it('when the description is not JSON', async () => {
    const fault = await refused(resolveTarget({}, { LLAMA_DB_DEPLOYMENT: '{' }));
    expect(fault.message).toMatch(/LLAMA_DB_DEPLOYMENT is not JSON/);
  });

  it('when the writer is a replica that is not there', async () => {
    const { replica: _, ...single } = deployment;
    const text = JSON.stringify({ ...single, writer: 'replica' });
    const fault = await refused(resolveTarget({}, { LLAMA_DB_DEPLOYMENT: text }));
    expect(fault.message).toMatch(/no replica/);
  });

  it('when PGPORT is not a port', async () => {
    expect((await refused(resolveTarget({}, { ...described(), PGPORT: 'x' }))).message).toMatch(/PGPORT/);
  });
});
