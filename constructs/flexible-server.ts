import type { PostgresqlFlexibleServer } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { type ServerProps, serverResource } from './server-resource.ts';

export interface PasswordLogin {
  readonly login: string;
  /** Reference to an ephemeral value; a plain password would end in the synthesized file. */
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

/** Another server of the same shape, or this one, as the constructs around it see it. */
export interface IFlexibleServer {
  readonly id: string;
  readonly name: string;
  readonly resourceGroupName: string;
  /** Host name that its certificate carries. */
  readonly host: string;
  /** Object id of the server's own managed identity. */
  readonly identityPrincipalId: string;
  readonly resource: ITerraformDependable;
  /** Address in the plan: `azurerm_postgresql_flexible_server.server`. */
  readonly address: string;
}

/** The first server of an environment, with everything that must be chosen at its creation. */
export class FlexibleServer extends Construct implements IFlexibleServer {
  readonly id: string;
  readonly name: string;
  readonly resourceGroupName: string;
  readonly host: string;
  readonly identityPrincipalId: string;
  readonly resource: PostgresqlFlexibleServer;
  readonly address: string;

  constructor(scope: Construct, id: string, props: FlexibleServerProps) {
    super(scope, id);
    const { tenantId, passwordLogin } = props.authentication;
    const { server, identity } = serverResource(this, props, {
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
    this.id = server.id;
    this.name = props.name;
    this.resourceGroupName = props.resourceGroupName;
    this.host = server.fqdn;
    this.identityPrincipalId = identity.principalId;
    this.resource = server;
    this.address = `${server.terraformResourceType}.${server.friendlyUniqueId}`;
  }
}
