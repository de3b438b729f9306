import { PostgresqlFlexibleServerConfiguration } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server-configuration/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { chained } from './chain.ts';
import type { IFlexibleServer } from './server.ts';

export interface ServerParametersProps {
  readonly server: IFlexibleServer;
  /**
   * Values by name, as Azure spells them: lower-case `on`, plain numbers, never empty, which azurerm cannot send. In
   * the order of application: `pgbouncer.enabled` before the parameters that Azure hides until it is on.
   */
  readonly parameters: ReadonlyMap<string, string>;
  readonly after: readonly ITerraformDependable[];
}

/**
 * Server parameters, one after another. Static ones do not restart the server here, because a provider feature is off:
 * the post-deploy step restarts it once for all of them.
 */
export class ServerParameters extends Construct {
  readonly last: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: ServerParametersProps) {
    super(scope, id);
    this.last = chained(
      [...props.parameters],
      props.after,
      ([name, value], dependsOn) =>
        new PostgresqlFlexibleServerConfiguration(this, name, {
          name,
          serverId: props.server.id,
          value,
          dependsOn,
        }),
    );
  }
}
