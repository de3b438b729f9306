import { PostgresqlFlexibleServerVirtualEndpoint } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server-virtual-endpoint/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import type { IFlexibleServer } from './server.ts';

export interface VirtualEndpointProps {
  /** First label of both host names, unique in all of Azure. */
  readonly name: string;
  readonly primary: IFlexibleServer;
  readonly replica: IFlexibleServer;
  readonly after: readonly ITerraformDependable[];
}

/**
 * Two host names that follow a switchover, so that applications need no change.
 *
 * A switchover exchanges the source and the replica of the endpoint. Terraform ignores both arguments: the provider
 * cannot swap them, and it replaces the endpoint if the servers are in two resource groups
 * (terraform-provider-azurerm#27796, #30789).
 */
export class VirtualEndpoint extends Construct {
  readonly writerHost: string;
  readonly readerHost: string;
  readonly resource: ITerraformDependable;

  constructor(scope: Construct, id: string, props: VirtualEndpointProps) {
    super(scope, id);
    const endpoint = new PostgresqlFlexibleServerVirtualEndpoint(this, 'Default', {
      name: props.name,
      sourceServerId: props.primary.id,
      replicaServerId: props.replica.id,
      type: 'ReadWrite',
      lifecycle: { ignoreChanges: ['source_server_id', 'replica_server_id'] },
      dependsOn: [...props.after],
    });
    this.writerHost = `${endpoint.name}.writer.postgres.database.azure.com`;
    this.readerHost = `${endpoint.name}.reader.postgres.database.azure.com`;
    this.resource = endpoint;
  }
}
