/** Microsoft.Authorization: role definitions, role assignments, management locks. */

import { nameOf, parentOf, sameId } from '../../../azure/resource-id.ts';
import { objectAt, textAt } from '../../../core/json.ts';
import type { Azure } from '../core/context.ts';
import { callerOf } from '../core/directory.ts';
import { lockType } from '../core/locks.ts';
import { registerList, registerResourceType } from '../core/resource-types.ts';
import { authorizationShapes } from '../core/shapes.ts';
import { authorization as refusals } from '../refusals/authorization.ts';

export const assignmentType = 'Microsoft.Authorization/roleAssignments';

/** https://learn.microsoft.com/azure/role-based-access-control/built-in-roles */
const builtInRoles: Readonly<Record<string, string>> = {
  Owner: '8e3af657-a8ff-443c-a75c-2fe8c4bcb635',
  Contributor: 'b24988ac-6180-42a0-ab88-20f7382dd24c',
  Reader: 'acdd72a7-3385-48ef-bd42-f606fba81ae7',
  'Key Vault Administrator': '00482a5a-887f-4fb3-b363-3b7fe8e74483',
  'Key Vault Crypto Officer': '14b46e9e-c2b7-41b4-b07b-48a6ebf60603',
  'Key Vault Crypto User': '12338af0-0e69-4776-bea7-57ae8d297424',
  'Key Vault Crypto Service Encryption User': 'e147488a-f6f5-4113-8e2d-b22465e65bf6',
  'Key Vault Secrets Officer': 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7',
  'Key Vault Secrets User': '4633458b-17de-408a-b874-0445c86b69e6',
  'PostgreSQL Flexible Server Long Term Retention Backup Role': 'c088a766-074b-43ba-90d4-1fb21feae531',
};

export function roleId(name: string): string | undefined {
  return builtInRoles[name];
}

/**
 * Whether a principal holds a built-in role at that very scope or above it, and it has arrived: "it can take up to 10
 * minutes for changes to take effect".
 * https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---role-assignment-changes-are-not-being-detected
 */
export function holdsRole(azure: Azure, principalId: string, role: string, scope: string): boolean {
  return azure.store.ofType(assignmentType).some((assignment) => {
    const at = parentOf(assignment.id).toLowerCase();
    return (
      textAt(assignment.body, 'properties', 'principalId')?.toLowerCase() === principalId.toLowerCase() &&
      nameOf(textAt(assignment.body, 'properties', 'roleDefinitionId') ?? '') === builtInRoles[role] &&
      Date.parse(textAt(assignment.body, 'properties', 'createdOn') ?? '') + azure.rolesTake <=
        azure.clock.now() &&
      `${scope.toLowerCase()}/`.startsWith(`${at}/`)
    );
  });
}

export function registerAuthorization(azure: Azure): void {
  registerRoles(azure);
  registerAssignments(azure);
  registerResourceType(azure, {
    type: lockType,
    shape: authorizationShapes.lock,
    scope: 'anywhere',
    change: 'immediate',
    accept: (sent, { id }) => {
      requireScope(azure, parentOf(id));
      return sent;
    },
  });
  registerList(azure, lockType, {
    template: '/{scope*}/providers/Microsoft.Authorization/locks',
  });
}

function requireScope(azure: Azure, scope: string): void {
  if (!/^\/?subscriptions\/[^/]+$/i.test(scope) && !azure.store.get(scope))
    throw refusals.scopeNotFound(scope);
}

function registerRoles(azure: Azure): void {
  const { router, subscriptionId } = azure;
  const options = { type: 'Microsoft.Authorization/roleDefinitions', query: ['$filter'] } as const;
  const document = (name: string, guid: string) => ({
    id: `/subscriptions/${subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${guid}`,
    name: guid,
    type: 'Microsoft.Authorization/roleDefinitions',
    properties: {
      roleName: name,
      type: 'BuiltInRole',
      description: '',
      assignableScopes: ['/'],
      permissions: [],
    },
  });
  router.on(
    'GET',
    '/{scope*}/providers/Microsoft.Authorization/roleDefinitions',
    ({ request }) => {
      const wanted = /roleName eq '([^']+)'/i.exec(request.query.get('$filter') ?? '')?.[1];
      const found = Object.entries(builtInRoles).filter(([name]) => wanted === undefined || name === wanted);
      return { status: 200, body: { value: found.map(([name, guid]) => document(name, guid)) } };
    },
    options,
  );
  for (const template of [
    '/{scope*}/providers/Microsoft.Authorization/roleDefinitions/{guid}',
    '/providers/Microsoft.Authorization/roleDefinitions/{guid}',
  ])
    router.on(
      'GET',
      template,
      ({ parameters }) => {
        const found = Object.entries(builtInRoles).find(([, guid]) => guid === parameters['guid']);
        if (!found) throw refusals.roleDefinitionNotFound(parameters['guid'] ?? '');
        return { status: 200, body: document(...found) };
      },
      options,
    );
}

function registerAssignments(azure: Azure): void {
  const { store, directory } = azure;
  registerResourceType(azure, {
    type: assignmentType,
    shape: authorizationShapes.assignment,
    scope: 'anywhere',
    change: 'immediate',
    accept: (sent, { id, request, existing }) => {
      const scope = parentOf(id);
      requireScope(azure, scope);
      const properties = objectAt(sent, 'properties');
      const principalId = textAt(properties, 'principalId') ?? '';
      const principal = directory.find(principalId);
      // With its type given, Azure takes a principal the directory does not show yet (it may just have been made).
      if (!principal && textAt(properties, 'principalType') === undefined)
        throw refusals.principalNotFound(principalId, azure.tenantId);
      if (existing) throw refusals.assignmentUpdateNotPermitted();
      const role = textAt(properties, 'roleDefinitionId') ?? '';
      const twin = store
        .children(scope, assignmentType)
        .find(
          (other) =>
            textAt(other.body, 'properties', 'principalId') === principalId &&
            nameOf(textAt(other.body, 'properties', 'roleDefinitionId') ?? '') === nameOf(role),
        );
      if (twin && !sameId(twin.id, id)) throw refusals.assignmentExists();
      return {
        properties: {
          condition: null,
          conditionVersion: null,
          principalType: principal?.kind ?? 'ServicePrincipal',
          ...properties,
          scope,
          createdOn: new Date(azure.clock.now()).toISOString(),
          createdBy: callerOf(request) ?? null,
        },
      };
    },
  });
  registerList(azure, assignmentType, {
    template: '/{scope*}/providers/Microsoft.Authorization/roleAssignments',
  });
}
