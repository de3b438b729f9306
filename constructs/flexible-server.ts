import type { Construct } from 'constructs';
import { Server, type ServerProps } from './server.ts';

export interface PasswordLogin {
  readonly login: string;
  /** Reference to an ephemeral value. A plain password would end up in the synthesized file. */
  readonly password: string;
  /** Raise it to send a new password: a write-only value cannot be compared. */
  readonly version: number;
}

export interface ServerAuthentication {
  readonly tenantId: string;
  /** @default - Entra only (PSRule AZR-000390) */
  readonly passwordLogin?: PasswordLogin | undefined;
}

export interface FlexibleServerProps extends ServerProps {
  /** PostgreSQL major version. Raising it upgrades in place, which needs every replica removed first. */
  readonly version: number;
  readonly authentication: ServerAuthentication;
}

/** The primary of an environment, with everything that must be chosen at its creation. */
export class FlexibleServer extends Server {
  constructor(scope: Construct, id: string, props: FlexibleServerProps) {
    const { tenantId, passwordLogin } = props.authentication;
    super(scope, id, props, {
      version: String(props.version),
      authentication: {
        activeDirectoryAuthEnabled: true,
        passwordAuthEnabled: passwordLogin !== undefined,
        tenantId,
      },
      // With password login off, azurerm refuses a login as well as a password (PGR 495-694).
      ...(passwordLogin && {
        administratorLogin: passwordLogin.login,
        administratorPasswordWo: passwordLogin.password,
        administratorPasswordWoVersion: passwordLogin.version,
      }),
    });
  }
}
