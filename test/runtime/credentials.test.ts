import { describe, expect, it, vi } from 'vitest';
import {
  CredentialError,
  entraPassword,
  objectIdOf,
  requestToken,
  type Token,
  tokenScope,
} from '../../runtime/credentials.ts';

const minute = 60_000;
const tokenFor = (token: string, lifetime: number): Token => ({
  token,
  expiresOnTimestamp: Date.now() + lifetime,
});
const credential = (getToken: (scope: string) => Promise<Token | null>) => ({ getToken: vi.fn(getToken) });

/** Issues tokens t1, t2 and so on. */
function numbered(lifetime: number) {
  let issued = 0;
  return credential(async () => {
    issued += 1;
    return tokenFor(`t${issued}`, lifetime);
  });
}

describe('a token', () => {
  it('is requested for Azure Database for PostgreSQL', async () => {
    const source = credential(async () => tokenFor('t', minute));
    expect((await requestToken(source)).token).toBe('t');
    expect(source.getToken.mock.calls).toEqual([[tokenScope]]);
  });

  it('is refused if it has expired', async () => {
    await expect(requestToken(credential(async () => tokenFor('t', -1)))).rejects.toMatchObject({
      name: 'CredentialError',
      problem: 'token-expired',
      message: expect.stringMatching(/expired at \d{4}-/),
    });
  });

  it('is refused if Entra issues none', async () => {
    await expect(requestToken(credential(async () => null))).rejects.toMatchObject({ problem: 'no-token' });
  });

  it('fails without the quotes of an identity error', async () => {
    const failing = credential(async () => {
      throw Object.assign(new Error('AADSTS7000222: expired; client_secret=hunter22'), {
        name: 'AuthenticationError',
        response: 'hunter22',
      });
    });
    const error = await requestToken(failing).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CredentialError);
    expect(error).toMatchObject({
      problem: 'no-token',
      message: expect.stringMatching(/client secret has expired \(AADSTS7000222\)/),
      cause: { message: 'AuthenticationError' },
    });
    const cause = (error as CredentialError).cause as object;
    expect(JSON.stringify([error, String(error), cause, Object.entries(cause)])).not.toContain('hunter22');
  });
});

describe('the password of a pool', () => {
  it('is one token for all connections until it is about to expire', async () => {
    const source = numbered(60 * minute);
    const password = entraPassword(source);
    expect(await Promise.all([password(), password(), password()])).toEqual(['t1', 't1', 't1']);
    expect(await password()).toBe('t1');
    expect(source.getToken).toHaveBeenCalledTimes(1);
  });

  it('is replaced before it expires', async () => {
    const source = numbered(10 * minute);
    const usual = entraPassword(source);
    expect([await usual(), await usual()]).toEqual(['t1', 't1']);
    const early = entraPassword(source, { refreshBeforeMs: 11 * minute });
    expect([await early(), await early()]).toEqual(['t2', 't3']);
  });

  it('stays in use while it is valid if its replacement fails', async () => {
    const tokens = [tokenFor('t1', minute)];
    const source = credential(async () => {
      const token = tokens.shift();
      if (token) return token;
      throw new Error('Entra is down');
    });
    const password = entraPassword(source, { refreshBeforeMs: 5 * minute });
    expect([await password(), await password()]).toEqual(['t1', 't1']);
    expect(source.getToken).toHaveBeenCalledTimes(2);
  });

  it('fails once the token has expired, and recovers with the next request', async () => {
    vi.useFakeTimers();
    try {
      const answers: (Token | null)[] = [tokenFor('t1', minute), null, tokenFor('t2', 60 * minute)];
      const password = entraPassword(credential(async () => answers.shift() ?? null));
      expect(await password()).toBe('t1');
      vi.setSystemTime(Date.now() + 2 * minute);
      await expect(password()).rejects.toMatchObject({ problem: 'no-token' });
      expect(await password()).toBe('t2');
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('the object id of a token', () => {
  const token = (claims: unknown) =>
    `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.signature`;

  it.each([
    [token({ oid: '7d1c7cf1-0000-4000-8000-000000000001' }), '7d1c7cf1-0000-4000-8000-000000000001'],
    [token({ oid: 1 }), undefined],
    [token(null), undefined],
    ['opaque', undefined],
    ['x.@@.y', undefined],
  ])('of %s is %s', (text, expected) => {
    expect(objectIdOf(text)).toBe(expected);
  });
});
