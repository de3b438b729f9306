/**
 * How a login proves itself: with the password it was given, or with a token of Microsoft Entra ID.
 */
import { Fault } from '../core/fault.ts';
import type { Target } from './target.ts';

/** Scope of tokens that Azure Database for PostgreSQL takes as a password. */
export const tokenScope = 'https://ossrdbms-aad.database.windows.net/.default';

export interface Credential {
  readonly kind: 'password' | 'entra';
  /** Goes to the server over verified TLS, and nowhere else. */
  readonly password: string;
  /**
   * Who is acting, for the ledger: the object id inside the token, because a deployment logs in under its
   * group's name; with a password the login itself.
   */
  readonly executor: string;
}

export interface Token {
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly expiresOnTimestamp: number;
}

/** Asks for a token; the real one is `@azure/identity`. */
export type TokenSource = (scope: string) => Promise<Token | null>;

/**
 * The credential for a target: its password, else an Entra token.
 *
 * @throws Fault (exit 2) when there is neither, or when the token is expired.
 */
export async function credentialFor(
  target: Target,
  askToken: TokenSource = askAzureIdentity,
): Promise<Credential> {
  if (target.password !== undefined) {
    return { kind: 'password', password: target.password, executor: target.user };
  }
  const token = await requestToken(target, askToken);
  if (token.expiresOnTimestamp <= Date.now()) {
    throw noLogin(
      target,
      `the Entra token expired at ${new Date(token.expiresOnTimestamp).toISOString()}`,
      "Sign in again (az login); if it is fresh, check this machine's clock.",
    );
  }
  return { kind: 'entra', password: token.token, executor: objectIdOf(token.token) ?? target.user };
}

async function requestToken(target: Target, askToken: TokenSource): Promise<Token> {
  try {
    const token = await askToken(tokenScope);
    if (token) return token;
  } catch (error) {
    throw noLogin(target, `no password was given and Entra gave no token: ${reasonOf(error)}`, signIn, error);
  }
  throw noLogin(target, 'no password was given and Entra gave no token', signIn);
}

const signIn =
  'Sign in with az login, or run where a managed or federated identity is available; with password login set PGPASSWORD.';

function noLogin(target: Target, why: string, remedy: string, cause?: unknown): Fault {
  // The cause is kept as a name only: messages and properties of identity errors can quote token requests.
  const options = cause instanceof Error ? { cause: new Error(cause.name) } : {};
  return new Fault('credentials/1', `No login for ${target.user} on ${target.host}`, why, remedy, {
    ...options,
    exitCode: 2,
  });
}

/**
 * What deployments meet most of what Entra refuses.
 * https://learn.microsoft.com/entra/identity-platform/reference-error-codes
 */
const entraRefusals: Readonly<Record<string, string>> = {
  AADSTS7000222: 'the client secret has expired',
  AADSTS7000215: 'the client secret is wrong',
  AADSTS700016: 'the directory has no such application',
  AADSTS700024: 'the federated assertion has expired',
};

/** Names and codes only: messages of identity errors can quote what was sent. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason';
  // What Entra itself refused comes first: the list of sources that were tried buries it.
  const code = /AADSTS\d+/.exec(error.message)?.[0];
  const known = code === undefined ? undefined : entraRefusals[code];
  if (known !== undefined) return `${known} (${code})`;
  if (code) return `${error.name} ${code}`;
  if (error.name === 'CredentialUnavailableError' || error.name === 'AggregateAuthenticationError') {
    return 'no identity is signed in here (environment, workload identity, managed identity, Azure CLI, PowerShell, azd)';
  }
  return error.name;
}

async function askAzureIdentity(scope: string): Promise<Token | null> {
  // Loaded here because it takes longer than everything else of a run that has nothing to do.
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new DefaultAzureCredential().getToken(scope);
}

/** Claim `oid` of a token; its signature is the server's business. */
function objectIdOf(token: string): string | undefined {
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
