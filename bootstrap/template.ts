/**
 * The one ARM template, at the level of a subscription, that prepares the first deployment of an environment: the
 * container of its state, the identities of its pipeline, their roles. It can be reviewed before it runs, and a second
 * run changes nothing.
 */
import { builtInRoles } from '../azure/built-in-roles.ts';
import { stableGuid } from '../azure/guid.ts';
import { apiVersionOf, jobNamespace, namespaces } from '../azure/resource-types.ts';
import type { ResolvedEnvironment } from '../environments/resolved.ts';
import type { Federation } from './federation.ts';
import {
  customRoleId,
  onlyTheStacksRoles,
  type PipelineOwner,
  pipelineName,
  roleDefinition,
} from './roles.ts';
import { type Identity, identityType, principalOf, type RemoteState, stateGroup } from './state.ts';

export interface BootstrapOptions {
  /** Azure subscription, for ids inside the template. */
  readonly subscriptionId: string;
  readonly federation: Federation;
}

/**
 * Resource providers to register, because the deploying identity may not register them. Microsoft.Resources is part of
 * every subscription.
 */
export function resourceProviders({
  postDeployJob,
}: Pick<PipelineOwner, 'postDeployJob'>): readonly string[] {
  const without = ['Microsoft.Resources', ...(postDeployJob ? [] : [jobNamespace])];
  return namespaces.filter((namespace) => !without.includes(namespace));
}

/**
 * The template of one environment.
 *
 * @returns undefined for an environment with a local state: a person deploys it under their own login
 */
export function bootstrapTemplate(settings: ResolvedEnvironment, options: BootstrapOptions) {
  if (settings.state.backend !== 'azurerm') return undefined;
  const { state, location } = settings;
  const { subscriptionId } = options;
  const identities = identitiesOf(settings, options.federation);
  return {
    $schema: 'https://schema.management.azure.com/schemas/2018-05-01/subscriptionDeploymentTemplate.json#',
    contentVersion: '1.0.0.0',
    resources: [
      {
        type: 'Microsoft.Resources/resourceGroups',
        apiVersion: apiVersionOf('Microsoft.Resources/resourceGroups'),
        name: state.resourceGroup,
        location,
        tags: { ...settings.tags },
      },
      ...identities.map(({ purpose }) => roleDefinition(purpose, subscriptionId, settings)),
      stateDeployment(settings, state, identities, subscriptionId),
      ...identities.flatMap((identity) => subscriptionAccess(settings, state, identity, subscriptionId)),
    ],
    outputs: clientIds(
      identities,
      ({ purpose }) => `[reference('${deploymentName(settings)}').outputs.${purpose}ClientId.value]`,
    ),
  };
}

export type BootstrapTemplate = NonNullable<ReturnType<typeof bootstrapTemplate>>;

function identitiesOf(
  owner: PipelineOwner,
  { credential, issuer, subjects }: Federation,
): readonly Identity[] {
  return (['plan', 'deploy'] as const).map((purpose) => ({
    purpose,
    name: `${pipelineName(owner)}-${purpose}`,
    credential,
    issuer,
    subject: subjects[purpose],
  }));
}

const deploymentName = (owner: PipelineOwner) => `${pipelineName(owner)}-state`;

function stateDeployment(
  settings: ResolvedEnvironment,
  state: RemoteState,
  identities: readonly Identity[],
  subscriptionId: string,
) {
  return {
    type: 'Microsoft.Resources/deployments',
    apiVersion: apiVersionOf('Microsoft.Resources/deployments'),
    name: deploymentName(settings),
    resourceGroup: state.resourceGroup,
    dependsOn: [`[subscriptionResourceId('Microsoft.Resources/resourceGroups', '${state.resourceGroup}')]`],
    properties: {
      mode: 'Incremental',
      expressionEvaluationOptions: { scope: 'inner' },
      template: {
        $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
        contentVersion: '1.0.0.0',
        resources: stateGroup(settings, state, identities, subscriptionId),
        outputs: clientIds(
          identities,
          ({ name }) =>
            `[reference(resourceId('${identityType}', '${name}'), '${apiVersionOf(identityType)}').clientId]`,
        ),
      },
    },
  };
}

/** Roles for the whole subscription, because the environment's resource groups do not exist yet. */
function subscriptionAccess(
  owner: PipelineOwner,
  state: RemoteState,
  { purpose, name }: Identity,
  subscriptionId: string,
) {
  const custom = customRoleId(purpose, subscriptionId, owner);
  const assignment = (seed: string, role: string, dependsOn: readonly string[] = []) => ({
    type: 'Microsoft.Authorization/roleAssignments',
    apiVersion: apiVersionOf('Microsoft.Authorization/roleAssignments'),
    name: stableGuid(seed, subscriptionId, pipelineName(owner), purpose),
    dependsOn: [
      `[resourceId('${subscriptionId}', '${state.resourceGroup}', 'Microsoft.Resources/deployments', '${deploymentName(owner)}')]`,
      ...dependsOn,
    ],
    properties: {
      roleDefinitionId: `[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '${role}')]`,
      principalId: principalOf(name, state, subscriptionId),
      principalType: 'ServicePrincipal',
      ...(purpose === 'deploy' && { condition: onlyTheStacksRoles, conditionVersion: '2.0' }),
    },
  });
  const defined = `[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '${custom}')]`;
  return purpose === 'deploy'
    ? [assignment('subscription', custom, [defined])]
    : [
        assignment('subscription', builtInRoles.Reader.id),
        assignment('subscription-refresh', custom, [defined]),
      ];
}

function clientIds(identities: readonly Identity[], value: (identity: Identity) => string) {
  return Object.fromEntries(
    identities.map((identity) => [`${identity.purpose}ClientId`, { type: 'string', value: value(identity) }]),
  );
}
