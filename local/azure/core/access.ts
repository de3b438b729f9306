/**
 * Access control: role assignments of an identity and of its groups, at a scope and above it, and the actions of their
 * roles. https://learn.microsoft.com/azure/role-based-access-control/overview
 */
import { type BuiltInRoleName, builtInRoles, type Permission } from '../../../azure/built-in-roles.ts';
import { isWithin, nameOf, parentOf } from '../../../azure/resource-id.ts';
import { type JsonObject, objectsAt, parseJson, textAt, textsAt } from '../../../core/json.ts';
import { authorization as refusals } from '../refusals/authorization.ts';
import { type ConditionSubject, holds } from './condition.ts';
import type { Azure } from './context.ts';
import type { Principal } from './directory.ts';
import type { AzureRequest } from './http.ts';
import { linkedActions } from './linked-actions.ts';
import { requestedAction } from './requested-action.ts';
import type { Resource } from './resource-store.ts';

export const assignmentType = 'Microsoft.Authorization/roleAssignments';
export const definitionType = 'Microsoft.Authorization/roleDefinitions';

/** The permissions of a built-in or custom role, by the GUID that is its name. */
export function permissionsOf(azure: Azure, role: string): readonly Permission[] {
  const guid = nameOf(role).toLowerCase();
  const builtIn = Object.values(builtInRoles).find(({ id }) => id === guid);
  if (builtIn) return [builtIn];
  const custom = azure.store.ofType(definitionType).find(({ name }) => name.toLowerCase() === guid);
  return objectsAt(custom?.body, 'properties', 'permissions').map((one) => ({
    actions: textsAt(one, 'actions'),
    notActions: textsAt(one, 'notActions'),
    dataActions: textsAt(one, 'dataActions'),
    notDataActions: textsAt(one, 'notDataActions'),
  }));
}

/**
 * Assignments of a principal, or of a group that it belongs to, at a scope or above it, that have taken effect: "it can
 * take up to 10 minutes for changes to take effect".
 * https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---role-assignment-changes-are-not-being-detected
 */
function assignmentsOf(azure: Azure, principalId: string, scope: string): Resource[] {
  return azure.store.ofType(assignmentType).filter(({ id, body }) => {
    const effective = Date.parse(textAt(body, 'properties', 'createdOn') ?? '') + azure.roleAssignmentDelayMs;
    return (
      effective <= azure.clock.now() &&
      isWithin(scope, parentOf(id)) &&
      azure.directory.isOrBelongsTo(principalId, textAt(body, 'properties', 'principalId') ?? '')
    );
  });
}

/** Whether a principal holds a built-in role at that very scope or above it. */
export function holdsRole(azure: Azure, principalId: string, role: BuiltInRoleName, scope: string): boolean {
  return assignmentsOf(azure, principalId, scope).some(
    ({ body }) => nameOf(textAt(body, 'properties', 'roleDefinitionId') ?? '') === builtInRoles[role].id,
  );
}

/** Whether a principal may take an action of the control plane, or of a service's own endpoint (`dataActions`). */
export function mayDo(
  azure: Azure,
  principalId: string,
  kind: 'actions' | 'dataActions',
  action: string,
  scope: string,
  attributes: ConditionSubject['attributes'] = new Map(),
): boolean {
  return assignmentsOf(azure, principalId, scope).some(({ body }) => {
    const condition = textAt(body, 'properties', 'condition');
    const permitted = permissionsOf(azure, textAt(body, 'properties', 'roleDefinitionId') ?? '').some((one) =>
      permits(one, kind, action),
    );
    return permitted && (condition === undefined || holds(condition, { action, attributes }));
  });
}

const patterns = new Map<string, RegExp>();

function matches(pattern: string, action: string): boolean {
  const known =
    patterns.get(pattern) ??
    new RegExp(`^${pattern.replace(/[.+?^$()|[\]\\{}]/g, '\\$&').replaceAll('*', '.*')}$`, 'i');
  patterns.set(pattern, known);
  return known.test(action);
}

/** Whether a permission contains an action and does not exclude it. */
export function permits(permission: Permission, kind: 'actions' | 'dataActions', action: string): boolean {
  const [given, withheld] =
    kind === 'actions'
      ? [permission.actions, permission.notActions]
      : [permission.dataActions, permission.notDataActions];
  return (
    (given ?? []).some((one) => matches(one, action)) && !(withheld ?? []).some((one) => matches(one, action))
  );
}

/**
 * Lets a request of the control plane through if its identity may make it, and may use each resource it refers to.
 *
 * @throws ArmError 403 AuthorizationFailed or LinkedAuthorizationFailed
 */
export function refuseUnauthorized(azure: Azure, request: AzureRequest, caller: Principal): void {
  const requested = requestedAction(request);
  if (!requested) return;
  const { action, scope } = requested;
  const client = caller.appId ?? caller.objectId;
  const sent = parseJson(request.body.toString('utf8'));
  const document: JsonObject = typeof sent === 'object' && sent !== null && !Array.isArray(sent) ? sent : {};
  if (!mayDo(azure, caller.objectId, 'actions', action, scope, attributesOf(azure, request, document)))
    throw refusals.authorizationFailed(client, caller.objectId, action, scope);
  if (!action.toLowerCase().endsWith('/write')) return;
  for (const linked of linkedActions(scope, document))
    if (!mayDo(azure, caller.objectId, 'actions', linked.action, linked.scope))
      throw refusals.linkedAuthorizationFailed(
        client,
        caller.objectId,
        action,
        scope,
        linked.action,
        linked.scope,
      );
}

/** The role that a request assigns, and the role of the assignment that it removes. */
function attributesOf(
  azure: Azure,
  { path }: AzureRequest,
  document: JsonObject,
): ConditionSubject['attributes'] {
  const name = '[microsoft.authorization/roleassignments:roledefinitionid]';
  const found = new Map<string, string>();
  const asked = textAt(document, 'properties', 'roleDefinitionId');
  if (asked !== undefined) found.set(`@request${name}`, nameOf(asked));
  const existing = textAt(azure.store.get(path)?.body, 'properties', 'roleDefinitionId');
  if (existing !== undefined) found.set(`@resource${name}`, nameOf(existing));
  return found;
}
