/** Logging in to Azure Database for PostgreSQL with a token of Microsoft Entra ID as the password. */

/** Scope of the tokens that Azure Database for PostgreSQL accepts as a password. */
export const tokenScope = 'https://ossrdbms-aad.database.windows.net/.default';

export interface Token {
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly expiresOnTimestamp: number;
}

/** The part of a credential of `@azure/identity` that is used here. */
export interface TokenCredential {
  getToken(scope: string): Promise<Token | null>;
}

/** `no-token`: Entra issued none; `token-expired`: it issued one that has already expired. */
export type CredentialProblem = 'no-token' | 'token-expired';

/** A login that cannot be made. Neither the message nor the cause quotes a token or a token request. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
  constructor(
    readonly problem: CredentialProblem,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * A token that is valid now.
 *
 * @throws CredentialError if Entra issues no token, or an expired one
 */
export async function requestToken(credential: TokenCredential): Promise<Token> {
  let token: Token | null;
  try {
    token = await credential.getToken(tokenScope);
  } catch (error) {
    // Messages and properties of identity errors can quote token requests, so only the name is kept.
    const options = error instanceof Error ? { cause: new Error(error.name) } : {};
    throw new CredentialError('no-token', `Entra issued no token: ${reasonOf(error)}`, options);
  }
  if (!token) throw new CredentialError('no-token', 'Entra issued no token');
  if (token.expiresOnTimestamp > Date.now()) return token;
  const expired = new Date(token.expiresOnTimestamp).toISOString();
  throw new CredentialError('token-expired', `the Entra token expired at ${expired}`);
}

export interface EntraPasswordOptions {
  /** Milliseconds before its expiry at which a token is replaced. @default 300000 */
  readonly refreshBeforeMs?: number;
}

const fiveMinutes = 5 * 60_000;
/** A request without an answer must not stop all later connections. */
const longestRequestMs = 30_000;

/** Tokens of one credential: shared by connections, requested once at a time, replaced before they expire. */
export class TokenCache {
  readonly #credential: TokenCredential;
  readonly #refreshBeforeMs: number;
  #current: Token | undefined;
  #request: Promise<Token> | undefined;

  constructor(credential: TokenCredential, { refreshBeforeMs = fiveMinutes }: EntraPasswordOptions = {}) {
    this.#credential = credential;
    this.#refreshBeforeMs = refreshBeforeMs;
  }

  /**
   * A token that is valid now. If its replacement fails while it is still valid, it stays in use.
   *
   * @throws CredentialError if Entra issues no valid token
   */
  async token(): Promise<string> {
    const known = this.#current;
    if (known && known.expiresOnTimestamp - this.#refreshBeforeMs > Date.now()) return known.token;
    try {
      return (await this.#renew()).token;
    } catch (error) {
      if (known && known.expiresOnTimestamp > Date.now()) return known.token;
      throw error;
    }
  }

  /** Forgets a token that a server has refused. */
  forget(token: string): void {
    if (this.#current?.token === token) this.#current = undefined;
  }

  async #renew(): Promise<Token> {
    this.#request ??= withinRequestLimit(requestToken(this.#credential)).finally(() => {
      this.#request = undefined;
    });
    this.#current = await this.#request;
    return this.#current;
  }
}

function withinRequestLimit(request: Promise<Token>): Promise<Token> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new CredentialError('no-token', `Entra issued no token within ${longestRequestMs} ms`)),
      longestRequestMs,
    );
    timer.unref();
    request.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * The `password` option of `pg.Client` and `pg.Pool`, which call it for each new connection: `TokenCache` as a function.
 *
 * The returned function throws CredentialError if Entra issues no valid token.
 */
export function entraPassword(
  credential: TokenCredential,
  options: EntraPasswordOptions = {},
): () => Promise<string> {
  const tokens = new TokenCache(credential, options);
  return () => tokens.token();
}

/** Claim `oid` of a token: the object id of the identity. The server, not this function, verifies the signature. */
export function objectIdOf(token: string): string | undefined {
  const payload = token.split('.')[1];
  if (!payload) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    const oid: unknown =
      typeof claims === 'object' && claims !== null ? Reflect.get(claims, 'oid') : undefined;
    return typeof oid === 'string' ? oid : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Refusals that deployments meet most often.
 * https://learn.microsoft.com/entra/identity-platform/reference-error-codes
 */
const entraRefusals: Readonly<Record<string, string>> = {
  AADSTS7000222: 'the client secret has expired',
  AADSTS7000215: 'the client secret is wrong',
  AADSTS700016: 'the directory does not contain the application',
  AADSTS700024: 'the federated assertion has expired',
};

/** Names and codes only, because messages of identity errors can quote the request. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason';
  // A refusal by Entra comes first: the list of tried sources would hide it.
  const code = /AADSTS\d+/.exec(error.message)?.[0];
  const known = code === undefined ? undefined : entraRefusals[code];
  if (known !== undefined) return `${known} (${code})`;
  if (code) return `${error.name} ${code}`;
  if (error.name === 'CredentialUnavailableError' || error.name === 'AggregateAuthenticationError') {
    return 'no identity is signed in here (environment, workload identity, managed identity, Azure CLI, PowerShell, azd)';
  }
  return error.name;
}
