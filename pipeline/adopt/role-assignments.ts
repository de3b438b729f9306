/** Role assignments have random names, so they are found by scope, role and principal. */

import { idKey } from '../../azure/resource-id.ts';
import { textAt } from '../../core/json.ts';
import type { StackResource } from './stack.ts';
import type { Existing, Values } from './types.ts';

const provider = 'providers/Microsoft.Authorization';

/** Azure accepts one assignment per role, principal and scope, and refuses a second with RoleAssignmentExists. */
export async function findRoleAssignment(
  resource: StackResource,
  values: Values,
): Promise<Existing | undefined> {
  const [scope, principal] = await Promise.all([
    values.argument(resource, 'scope'),
    values.argument(resource, 'principal_id'),
  ]);
  if (scope === undefined || principal === undefined) return undefined;
  const role = await roleId(resource, values, scope);
  const assignments = await values.azure.list(`${scope}/${provider}/roleAssignments`);
  const document = assignments.find(
    ({ properties }) =>
      // The list of a scope also contains inherited assignments and those below it.
      idKey(textAt(properties, 'scope') ?? '') === idKey(scope) &&
      idKey(textAt(properties, 'principalId') ?? '') === idKey(principal) &&
      lastOf(textAt(properties, 'roleDefinitionId')) === lastOf(role),
  );
  const name = lastOf(textAt(document, 'id'));
  if (!document || name === undefined) return undefined;
  // The provider compares the id with the scope as the stack spells it.
  const id = `${scope}/${provider}/roleAssignments/${name}`;
  return { id, importId: id, document };
}

async function roleId(resource: StackResource, values: Values, scope: string): Promise<string | undefined> {
  const given = await values.argument(resource, 'role_definition_id');
  if (given !== undefined) return given;
  const name = await values.argument(resource, 'role_definition_name');
  const [role] = await values.azure.list(`${scope}/${provider}/roleDefinitions`, `roleName eq '${name}'`);
  return textAt(role, 'id');
}

function lastOf(id: string | undefined): string | undefined {
  return id?.slice(id.lastIndexOf('/') + 1).toLowerCase();
}
