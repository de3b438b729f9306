/** Microsoft.Authorization: role definitions, role assignments, management locks. */
import {
  type BuiltInRole,
  type BuiltInRoleName,
  builtInRoles,
  type Permission,
} from '../../../azure/built-in-roles.ts';
import { isWithin, nameOf, parentOf, sameId } from '../../../azure/resource-id.ts';
import { type JsonObject, objectAt, textAt } from '../../../core/json.ts';
import { assignmentType, definitionType, permissionsOf } from '../core/access.ts';
import type { Azure } from '../core/context.ts';
import { lockType } from '../core/locks.ts';
import { type Resource, toDocument } from '../core/resource-store.ts';
import { type Change, registerList, registerResourceType } from '../core/resource-types.ts';
import { authorizationShapes } from '../core/shapes.ts';
import { authorization as refusals } from '../refusals/authorization.ts';

export function registerAuthorization(azure: Azure): void {
  registerRoles(azure);
  registerAssignments(azure);
  registerResourceType(azure, {
    type: lockType,
    scope: 'anywhere',
    change: 'immediate',
    accept: (sent) => sent,
  });
  registerList(azure, lockType, {
    template: '/{scope*}/providers/Microsoft.Authorization/locks',
  });
}

function registerRoles(azure: Azure): void {
  const { router, store } = azure;
  const options = { type: definitionType, query: ['$filter'] } as const;
  const all = (): JsonObject[] => [
    ...Object.entries(builtInRoles).map(([name, role]) => builtInDocument(azure, name, role)),
    ...store.ofType(definitionType).map(toDocument),
  ];
  router.on(
    'GET',
    `/{scope*}/providers/${definitionType}`,
    ({ request }) => {
      const wanted = /roleName eq '([^']+)'/i.exec(request.query.get('$filter') ?? '')?.[1];
      const found = all().filter(
        (role) => wanted === undefined || textAt(role, 'properties', 'roleName') === wanted,
      );
      return { status: 200, body: { value: found } };
    },
    options,
  );
  for (const scope of ['/{scope*}', ''])
    router.on(
      'GET',
      `${scope}/providers/${definitionType}/{guid}`,
      ({ parameters }) => {
        const guid = parameters['guid'] ?? '';
        const role = all().find(({ name }) => name === guid.toLowerCase());
        if (!role) throw refusals.roleDefinitionNotFound(guid);
        return { status: 200, body: role };
      },
      options,
    );
  registerResourceType(azure, {
    type: definitionType,
    shape: authorizationShapes.definition,
    scope: 'anywhere',
    change: 'immediate',
    accept: (sent, { id }) => {
      const name = textAt(sent, 'properties', 'roleName') ?? '';
      const twin = all().find((role) => textAt(role, 'properties', 'roleName') === name);
      if (twin && nameOf(id).toLowerCase() !== twin['name']) throw refusals.roleNameTaken(name);
      return { properties: { ...objectAt(sent, 'properties'), type: 'CustomRole' } };
    },
  });
}

function builtInDocument({ subscriptionId }: Azure, roleName: string, role: BuiltInRole): JsonObject {
  const { id } = role;
  return {
    id: `/subscriptions/${subscriptionId}/providers/${definitionType}/${id}`,
    name: id,
    type: definitionType,
    properties: {
      roleName,
      type: 'BuiltInRole',
      description: '',
      assignableScopes: ['/'],
      permissions: [permissionDocument(role)],
    },
  };
}

function permissionDocument({ actions, notActions, dataActions, notDataActions }: Permission): JsonObject {
  return {
    actions: [...actions],
    notActions: [...(notActions ?? [])],
    dataActions: [...(dataActions ?? [])],
    notDataActions: [...(notDataActions ?? [])],
  };
}

/** Assigns roles on the subscription to the deploying identity, in effect at once. */
export function grantToClient(
  azure: Azure,
  roles: readonly BuiltInRoleName[] = ['Owner', 'Storage Blob Data Contributor'],
): void {
  const scope = `/subscriptions/${azure.subscriptionId}`;
  for (const [index, role] of roles.entries()) {
    const guid = (kind: string) => `00000000-0000-4000-${kind}-${String(index + 1).padStart(12, '0')}`;
    azure.store.put(`${scope}/providers/${assignmentType}/${guid('9000')}`, {
      properties: {
        roleDefinitionId: `${scope}/providers/${definitionType}/${builtInRoles[role].id}`,
        principalId: azure.directory.options.client.objectId,
        principalType: 'ServicePrincipal',
        scope,
        createdOn: new Date(0).toISOString(),
      },
    });
  }
}

function registerAssignments(azure: Azure): void {
  const { router, store } = azure;
  registerResourceType(azure, {
    type: assignmentType,
    shape: authorizationShapes.assignment,
    scope: 'anywhere',
    change: 'immediate',
    accept: (sent, change) => assigned(azure, sent, change),
  });
  // A list contains the assignments at the scope, above it and below it.
  router.on(
    'GET',
    `/{scope*}/providers/${assignmentType}`,
    ({ request }) => {
      const scope = parentOf(`${request.path}/none`);
      const holds = ({ id }: Resource) => isWithin(scope, parentOf(id)) || isWithin(parentOf(id), scope);
      return { status: 200, body: { value: store.ofType(assignmentType).filter(holds).map(toDocument) } };
    },
    { type: assignmentType },
  );
}

function assigned(azure: Azure, sent: JsonObject, { id, request, existing }: Change): JsonObject {
  const { store, directory } = azure;
  const scope = parentOf(id);
  const properties = objectAt(sent, 'properties');
  const principalId = textAt(properties, 'principalId') ?? '';
  const principal = directory.find(principalId);
  // If the request names its type, Azure accepts a principal that the directory does not show yet.
  if (!principal && textAt(properties, 'principalType') === undefined)
    throw refusals.principalNotFound(principalId, azure.tenantId);
  const role = textAt(properties, 'roleDefinitionId') ?? '';
  const before = existing && objectAt(existing.body, 'properties');
  // The same assignment again is accepted, as every second run of a template shows.
  if (
    before &&
    (before['principalId'] !== principalId ||
      nameOf(textAt(before, 'roleDefinitionId') ?? '') !== nameOf(role))
  )
    throw refusals.assignmentUpdateNotPermitted();
  if (permissionsOf(azure, role).length === 0) throw refusals.roleDefinitionNotFound(nameOf(role));
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
      createdOn: before?.['createdOn'] ?? new Date(azure.clock.now()).toISOString(),
      createdBy:
        before?.['createdBy'] ??
        directory.callerOf(request, 'https://management.azure.com')?.objectId ??
        null,
    },
  };
}
