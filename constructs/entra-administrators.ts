import { PostgresqlFlexibleServerActiveDirectoryAdministrator } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server-active-directory-administrator/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import type { PrincipalType } from '../azure/vocabulary.ts';
import { chained } from './chain.ts';
import type { IFlexibleServer } from './server.ts';

export interface EntraAdministrator {
  /** Display name or user principal name, which is the name of the role in PostgreSQL. Case-sensitive. */
  readonly name: string;
  readonly objectId: string;
  readonly type: PrincipalType;
}

export interface EntraAdministratorsProps {
  readonly server: IFlexibleServer;
  readonly tenantId: string;
  readonly administrators: readonly EntraAdministrator[];
  readonly after: readonly ITerraformDependable[];
}

/**
 * The principals that administer the server with an Entra token (PSRule AZR-000389). Set on the primary only: replicas
 * get them with the data.
 */
export class EntraAdministrators extends Construct {
  readonly last: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: EntraAdministratorsProps) {
    super(scope, id);
    this.last = chained(
      props.administrators,
      props.after,
      (administrator, dependsOn) =>
        // The address has the object id: a name may change its case or move to another principal.
        new PostgresqlFlexibleServerActiveDirectoryAdministrator(this, administrator.objectId, {
          serverName: props.server.name,
          resourceGroupName: props.server.resourceGroupName,
          tenantId: props.tenantId,
          objectId: administrator.objectId,
          principalName: administrator.name,
          principalType: administrator.type,
          // It refers to the server by name. A replaced server keeps its name and loses its administrators.
          lifecycle: { replaceTriggeredBy: [`${props.server.address}.id`] },
          dependsOn,
        }),
    );
  }
}
