/** Refusals of Microsoft.Authorization. */
import { defineRefusals, learn } from '../core/refusal.ts';

const rbac = `${learn}/role-based-access-control`;

export const authorization = defineRefusals('Roles and rights', {
  authorizationFailed: {
    status: 403,
    code: 'AuthorizationFailed',
    rule: 'A role of the identity, or of a group that it belongs to, permits the action at the scope or above it',
    source: `${rbac}/troubleshooting`,
    message: (client: string, objectId: string, action: string, scope: string) =>
      `The client '${client}' with object id '${objectId}' does not have authorization to perform action '${action}' over scope '${scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
  },
  linkedAuthorizationFailed: {
    status: 403,
    code: 'LinkedAuthorizationFailed',
    rule: 'The identity may also use each resource that the document refers to: subnets, zones, identities, servers and vaults behind private endpoints',
    source: `${rbac}/troubleshooting; the linked actions: https://github.com/Azure/mpf`,
    message: (client: string, objectId: string, action: string, id: string, linked: string, scope: string) =>
      `The client '${client}' with object id '${objectId}' has permission to perform action '${action}' on scope '${id}'; however, it does not have permission to perform action(s) '${linked}' on the linked scope(s) '${scope}' (respectively) or the linked scope(s) are invalid.`,
  },
  roleDefinitionNotFound: {
    status: 404,
    code: 'RoleDefinitionDoesNotExist',
    rule: 'A role that is read or assigned is defined',
    source: `${rbac}/troubleshooting`,
    message: (id: string) => `The specified role definition with ID '${id}' does not exist.`,
  },
  roleNameTaken: {
    status: 409,
    code: 'RoleDefinitionWithSameNameExists',
    rule: 'Custom roles of a tenant have different names',
    source: `${rbac}/custom-roles`,
    message: (name: string) =>
      `The custom role cannot be updated. A custom role with the same name '${name}' already exists in this directory. Use a different name.`,
  },
  principalNotFound: {
    status: 400,
    code: 'PrincipalNotFound',
    rule: 'The principal of an assignment without principalType is in the directory',
    source: `${rbac}/troubleshooting`,
    message: (principal: string, tenant: string) =>
      `Principal ${principal.replaceAll('-', '')} does not exist in the directory ${tenant}. Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group.`,
  },
  assignmentUpdateNotPermitted: {
    status: 400,
    code: 'RoleAssignmentUpdateNotPermitted',
    rule: 'An assignment is never changed',
    source: `${rbac}/troubleshooting`,
    message: () => 'Tenant ID, application ID, principal ID, and scope are not allowed to be updated.',
  },
  assignmentExists: {
    status: 409,
    code: 'RoleAssignmentExists',
    rule: 'A principal has a role at a scope once',
    source: `${rbac}/troubleshooting`,
    message: () => 'The role assignment already exists.',
  },
});
