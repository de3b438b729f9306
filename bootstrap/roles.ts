/** Rights of the two identities of a pipeline: one plans, the other applies. */
import { builtInRoles, serverAccessRoles } from '../azure/built-in-roles.ts';
import { stableGuid } from '../azure/guid.ts';
import { apiVersionOf, deployActions, jobActions } from '../azure/resource-types.ts';

export type Purpose = 'plan' | 'deploy';

/**
 * The roles that a stack assigns (constructs/key-vault-key.ts, long-term-backup.ts, server-access.ts). Without this condition
 * the deploying identity could make itself an owner of the subscription.
 * https://learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples
 */
const assignableRoles = [
  builtInRoles['Key Vault Crypto Service Encryption User'].id,
  builtInRoles['PostgreSQL Flexible Server Long Term Retention Backup Role'].id,
  // Reader, which the backup vault needs as well, and others that only read.
  ...serverAccessRoles.map((role) => builtInRoles[role].id),
];
export const onlyTheStacksRoles = [
  ['write', '@Request'],
  ['delete', '@Resource'],
]
  .map(
    ([action, source]) =>
      `((!(ActionMatches{'Microsoft.Authorization/roleAssignments/${action}'})) OR ` +
      `(${source}[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals ` +
      `{${assignableRoles.join(', ')}}))`,
  )
  .join(' AND ');

/** The environment that a pipeline deploys, and its project. */
export interface PipelineOwner {
  readonly project: { readonly name: string };
  /** The environment's. */
  readonly name: string;
  /** @default - the identities get no right on jobs */
  readonly postDeployJob?: unknown;
}

/** Begins the names of what bootstrap creates: `llama-mapper-production`. */
export function pipelineName({ project, name }: PipelineOwner): string {
  return `${project.name}-${name}`;
}

interface CustomRole {
  readonly roleName: (owner: PipelineOwner) => string;
  readonly description: (owner: PipelineOwner) => string;
  readonly actions: (owner: PipelineOwner) => readonly string[];
  /** Part of the name's GUID. */
  readonly seed: string;
}

/** One custom role per identity. */
export const customRoles: Readonly<Record<Purpose, CustomRole>> = {
  plan: {
    roleName: ({ project, name }) => `${project.name} plan (${name})`,
    description: ({ project, name }) =>
      `Refreshes the ${name} stack of ${project.name}, together with the role Reader.`,
    // A refresh of azurerm_resource_group_template_deployment exports the template, which is an action and not a read
    // (https://github.com/Azure/alz-terraform-accelerator/issues/33).
    // It refreshes a job by its secrets too, of which the post-deploy job has none.
    actions: ({ postDeployJob }) => [
      'Microsoft.Resources/deployments/exportTemplate/action',
      ...(postDeployJob ? ['Microsoft.App/jobs/listSecrets/action'] : []),
    ],
    seed: 'plan-role',
  },
  deploy: {
    roleName: ({ project, name }) => `${project.name} deployment (${name})`,
    description: ({ project, name }) =>
      `Applies the ${name} stack of ${project.name}. Reads no secret or row, and no key that opens anything.`,
    actions: ({ postDeployJob }) => [...deployActions, ...(postDeployJob ? jobActions : [])],
    seed: 'role',
  },
};

export function customRoleId(purpose: Purpose, subscriptionId: string, owner: PipelineOwner): string {
  return stableGuid(customRoles[purpose].seed, subscriptionId, pipelineName(owner));
}

/** The definition of an identity's custom role, for a template at the level of the subscription. */
export function roleDefinition(purpose: Purpose, subscriptionId: string, owner: PipelineOwner) {
  const { roleName, description, actions } = customRoles[purpose];
  return {
    type: 'Microsoft.Authorization/roleDefinitions',
    apiVersion: apiVersionOf('Microsoft.Authorization/roleDefinitions'),
    name: customRoleId(purpose, subscriptionId, owner),
    properties: {
      roleName: roleName(owner),
      description: description(owner),
      type: 'CustomRole',
      permissions: [{ actions: [...actions(owner)], notActions: [] }],
      assignableScopes: [`/subscriptions/${subscriptionId}`],
    },
  };
}
