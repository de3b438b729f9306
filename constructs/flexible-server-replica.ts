import type { Construct } from 'constructs';
import type { ServerAuthentication } from './flexible-server.ts';
import { type IFlexibleServer, Server, type ServerProps } from './server.ts';

export interface FlexibleServerReplicaProps extends Omit<ServerProps, 'paired'> {
  /** The server that the replica follows. */
  readonly source: Pick<IFlexibleServer, 'id'>;
  /**
   * Set after a switchover made the replica the writer, because Entra settings do not come with the role.
   * @default - the source's, which the replica takes over at creation
   */
  readonly authentication?: Pick<ServerAuthentication, 'tenantId'> & { readonly passwordLogin: boolean };
}

/**
 * A read replica. Version, logins and Entra administrators come with the copy. Parameters, endpoint, diagnostics and
 * alerts do not: it gets them like any other server.
 */
export class FlexibleServerReplica extends Server {
  constructor(scope: Construct, id: string, props: FlexibleServerReplicaProps) {
    super(
      scope,
      id,
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
  }
}
