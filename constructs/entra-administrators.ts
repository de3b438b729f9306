import { PostgresqlFlexibleServerActiveDirectoryAdministrator } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server-active-directory-administrator/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import type { PrincipalType } from '../azure/vocabulary.ts';
import { chained } from './chain.ts';
import type { IFlexibleServer } from './flexible-server.ts';

export interface EntraAdministrator {
  /** Display name or user principal name; the role's name in PostgreSQL. Case-sensitive. */
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
 * Who administers the server with an Entra token (PSRule AZR-000389). Set on the primary only: replicas get them
 * with the data.
 */
export class EntraAdministrators extends Construct {
  readonly last: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: EntraAdministratorsProps) {
    super(scope, id);
    this.last = chained(
      props.administrators,
      props.after,
      (administrator, dependsOn) =>
        // The address carries the object id: names may change case or be given to somebody else.
        new PostgresqlFlexibleServerActiveDirectoryAdministrator(this, administrator.objectId, {
          serverName: props.server.name,
          resourceGroupName: props.server.resourceGroupName,
          tenantId: props.tenantId,
          objectId: administrator.objectId,
          principalName: administrator.name,
          principalType: administrator.type,
          // It refers to the server by name, which a replaced server keeps while losing its administrators.
          lifecycle: { replaceTriggeredBy: [`${props.server.address}.id`] },
          dependsOn,
        }),
    );
  }
}
