/** The login of a command: the password of its target, or a token of Microsoft Entra ID. */
import { Fault } from '../core/fault.ts';
import { CredentialError, objectIdOf, requestToken, type Token } from '../runtime/credentials.ts';
import type { Target } from './target.ts';

export interface Credential {
  readonly kind: 'password' | 'entra';
  /** Sent to the server over verified TLS, and nowhere else. */
  readonly password: string;
  /**
   * The acting identity, for the ledger. With Entra it is the object id inside the token, because a deployment logs
   * in under the name of its group; with a password it is the login.
   */
  readonly executor: string;
}

/** Requests a token for a scope, as `getToken` of an `@azure/identity` credential does. */
export type TokenSource = (scope: string) => Promise<Token | null>;

/**
 * The credential for a target: its password, or else an Entra token.
 *
 * @throws Fault (exit 2) if there is neither, or if the token has expired
 */
export async function credentialFor(
  target: Target,
  askToken: TokenSource = askAzureIdentity,
): Promise<Credential> {
  if (target.password !== undefined) {
    return { kind: 'password', password: target.password, executor: target.user };
  }
  try {
    const { token } = await requestToken({ getToken: askToken });
    return { kind: 'entra', password: token, executor: objectIdOf(token) ?? target.user };
  } catch (error) {
    if (!(error instanceof CredentialError)) throw error;
    const options = { cause: error.cause, exitCode: 2 };
    const what = `No login is available for ${target.user} on ${target.host}`;
    throw error.problem === 'token-expired'
      ? new Fault(
          'credentials/token-expired',
          what,
          error.message,
          "Sign in again (az login). If the token is fresh, correct this machine's clock.",
          options,
        )
      : new Fault(
          'credentials/no-token',
          what,
          `no password is given and ${error.message}`,
          'Sign in with az login, or run where a managed or federated identity is available. With password login, set PGPASSWORD.',
          options,
        );
  }
}

async function askAzureIdentity(scope: string): Promise<Token | null> {
  // Loaded on demand: it takes longer than the rest of a run that finds nothing to do.
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new DefaultAzureCredential().getToken(scope);
}
