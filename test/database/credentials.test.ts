import { describe, expect, it } from 'vitest';
import { Fault } from '../../core/fault.ts';
import { credentialFor, type TokenSource } from '../../database/credentials.ts';
import type { Target } from '../../database/target.ts';
import { tokenScope } from '../../runtime/credentials.ts';

const target: Target = { host: 'db.example.test', port: 5432, database: 'd', user: 'Database Admins' };
const inOneHour = () => Date.now() + 3_600_000;

function token(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256' })}.${part(claims)}.c2lnbmF0dXJl`;
}

async function refused(source: TokenSource): Promise<Fault> {
  const outcome: unknown = await credentialFor(target, source).catch((error) => error);
  expect(outcome).toBeInstanceOf(Fault);
  return outcome as Fault;
}

describe('a login', () => {
  it('uses the given password without a token request', async () => {
    const credential = await credentialFor({ ...target, password: 'secret' }, () =>
      expect.fail('asked Entra'),
    );
    expect(credential).toEqual({ kind: 'password', password: 'secret', executor: 'Database Admins' });
  });

  it('uses an Entra token, and records its object id as executor', async () => {
    const scopes: string[] = [];
    const text = token({ oid: '7d1c7cf1-0000-4000-8000-000000000001' });
    const credential = await credentialFor(target, async (scope) => {
      scopes.push(scope);
      return { token: text, expiresOnTimestamp: inOneHour() };
    });
    expect(scopes).toEqual([tokenScope]);
    expect(credential).toEqual({
      kind: 'entra',
      password: text,
      executor: '7d1c7cf1-0000-4000-8000-000000000001',
    });
  });

  it('records the login as executor if the token has no object id', async () => {
    const source = async () => ({ token: 'opaque', expiresOnTimestamp: inOneHour() });
    expect((await credentialFor(target, source)).executor).toBe('Database Admins');
  });

  it('is refused with an expired token, which is not printed', async () => {
    const text = token({ oid: 'x' });
    const fault = await refused(async () => ({ token: text, expiresOnTimestamp: Date.now() - 1000 }));
    expect(fault).toMatchObject({
      code: 'credentials/token-expired',
      what: expect.stringMatching(/Database Admins.*db\.example\.test/),
      remedy: expect.stringContaining('az login'),
    });
    expect(fault.message).not.toContain(text);
    expect(fault.exitCode).toBe(2);
  });

  it('is refused without an identity, in one line', async () => {
    const fault = await refused(() => {
      throw Object.assign(new Error('EnvironmentCredential: tried\nAzureCliCredential: tried'), {
        name: 'CredentialUnavailableError',
      });
    });
    expect(fault.code).toBe('credentials/no-token');
    expect(fault.message).toMatch(/no identity is signed in.*az login/);
    expect(fault.message).not.toContain('\n');
    expect(fault.exitCode).toBe(2);
  });

  it('keeps the quotes of an identity error out of message and cause', async () => {
    const fault = await refused(() => {
      throw Object.assign(new Error('AADSTS7000215: invalid client secret; client_secret=hunter22'), {
        name: 'AuthenticationError',
      });
    });
    expect(fault.code).toBe('credentials/no-token');
    expect(fault.why).toContain('AADSTS7000215');
    expect(JSON.stringify([fault.message, fault.stack, (fault.cause as Error).message])).not.toContain(
      'hunter22',
    );
  });

  it('is refused if Entra issues no token', async () => {
    expect((await refused(async () => null)).code).toBe('credentials/no-token');
  });
});
