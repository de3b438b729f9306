import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import type { ServerAccessRole } from '../azure/built-in-roles.ts';
import { derivedNames } from '../azure/resource-names.ts';
import type { PrincipalType } from '../azure/vocabulary.ts';
import type { IFlexibleServer } from './server.ts';

export interface ServerReader {
  /** In Entra. */
  readonly objectId: string;
  readonly type: PrincipalType;
  readonly role: ServerAccessRole;
}

export interface ServerAccessProps {
  readonly server: IFlexibleServer;
  readonly readers: readonly ServerReader[];
  /** @default - the server only */
  readonly after?: readonly ITerraformDependable[];
}

/**
 * Who may read a server and its metrics in Azure. It is no access to the database, whose logins are PostgreSQL's.
 *
 * Azure deletes no assignment below a lock, so a reader leaves the settings while the lock is lifted.
 */
export class ServerAccess extends Construct {
  readonly resources: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, { server, readers, after = [] }: ServerAccessProps) {
    super(scope, id);
    this.resources = readers.map(({ objectId, type, role }) => {
      const name = derivedNames.serverAccess(server.name, objectId, role);
      return new RoleAssignment(this, name, {
        name,
        scope: server.id,
        roleDefinitionName: role,
        principalId: objectId,
        principalType: type,
        description: `Reads ${server.name} in Azure`,
        ...(after.length > 0 && { dependsOn: [...after] }),
      });
    });
  }
}
