import type { PostgresqlFlexibleServer } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server/index.js';
import { Construct } from 'constructs';
import type { IFlexibleServer, ServerAuthentication } from './flexible-server.ts';
import { type ServerProps, serverResource } from './server-resource.ts';

export interface FlexibleServerReplicaProps extends Omit<ServerProps, 'paired'> {
  /** Server it follows. */
  readonly source: Pick<IFlexibleServer, 'id'>;
  /**
   * Said once a switchover made it the writer, because Entra settings do not come with the role.
   * @default - the source's, which it takes over at creation
   */
  readonly authentication?: Pick<ServerAuthentication, 'tenantId'> & { readonly passwordLogin: boolean };
}

/**
 * A read replica. Version, logins and Entra administrators come with the copy; parameters, endpoint, diagnostics
 * and alerts do not and are given to it like to any server.
 */
export class FlexibleServerReplica extends Construct implements IFlexibleServer {
  readonly id: string;
  readonly name: string;
  readonly resourceGroupName: string;
  readonly host: string;
  readonly identityPrincipalId: string;
  readonly resource: PostgresqlFlexibleServer;
  readonly address: string;

  constructor(scope: Construct, id: string, props: FlexibleServerReplicaProps) {
    super(scope, id);
    const { server, identity } = serverResource(
      this,
      { ...props, paired: true },
      {
        createMode: 'Replica',
        sourceServerId: props.source.id,
        ...(props.authentication && {
          authentication: {
            activeDirectoryAuthEnabled: true,
            passwordAuthEnabled: props.authentication.passwordLogin,
            tenantId: props.authentication.tenantId,
          },
        }),
      },
    );
    this.id = server.id;
    this.name = props.name;
    this.resourceGroupName = props.resourceGroupName;
    this.host = server.fqdn;
    this.identityPrincipalId = identity.principalId;
    this.resource = server;
    this.address = `${server.terraformResourceType}.${server.friendlyUniqueId}`;
  }
}
