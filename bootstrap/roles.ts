/** Rights of the two identities of a pipeline: one plans, the other applies. */
import { createHash } from 'node:crypto';
import { builtInRoles } from '../azure/built-in-roles.ts';
import { apiVersionOf, deployActions } from '../azure/resource-types.ts';

export type Purpose = 'plan' | 'deploy';

/** A GUID that is the same for the same name at every run, as the name of a role or an assignment must be. */
export function stableGuid(...parts: readonly string[]): string {
  const hex = createHash('sha256').update(parts.join('\n')).digest('hex');
  const variant = ((Number.parseInt(hex[16] ?? '0', 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/**
 * The roles that a stack assigns (constructs/key-vault-key.ts, constructs/long-term-backup.ts). Without this condition
 * the deploying identity could make itself an owner of the subscription.
 * https://learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples
 */
const assignableRoles = [
  builtInRoles['Key Vault Crypto Service Encryption User'].id,
  builtInRoles.Reader.id,
  builtInRoles['PostgreSQL Flexible Server Long Term Retention Backup Role'].id,
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
}

/** Begins the names of what bootstrap creates: `llama-mapper-production`. */
export function pipelineName({ project, name }: PipelineOwner): string {
  return `${project.name}-${name}`;
}

interface CustomRole {
  readonly roleName: (owner: PipelineOwner) => string;
  readonly description: (owner: PipelineOwner) => string;
  readonly actions: readonly string[];
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
    actions: ['Microsoft.Resources/deployments/exportTemplate/action'],
    seed: 'plan-role',
  },
  deploy: {
    roleName: ({ project, name }) => `${project.name} deployment (${name})`,
    description: ({ project, name }) =>
      `Applies the ${name} stack of ${project.name}. Reads no secret or row, and no key that opens anything.`,
    actions: deployActions,
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
      permissions: [{ actions: [...actions], notActions: [] }],
      assignableScopes: [`/subscriptions/${subscriptionId}`],
    },
  };
}
