import { ContainerAppEnvironment } from '@cdktf/provider-azurerm/lib/container-app-environment/index.js';
import { ContainerAppJob } from '@cdktf/provider-azurerm/lib/container-app-job/index.js';
import { DataAzurermUserAssignedIdentity } from '@cdktf/provider-azurerm/lib/data-azurerm-user-assigned-identity/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { canonicalIdentityId, nameOf, resourceGroupOf } from '../azure/resource-id.ts';
import { Diagnostics } from './diagnostics.ts';
import type { ILogAnalytics } from './log-analytics.ts';
import type { ISubnet } from './subnet.ts';

export interface ContainerJobProps {
  readonly name: string;
  /** Of the environment of Container Apps. */
  readonly environmentName: string;
  readonly resourceGroupName: string;
  /** Resource group in which Azure keeps the machines of the environment. Azure makes it. */
  readonly infrastructureGroupName: string;
  /** Region of the subnet's network. */
  readonly location: string;
  /** Delegated to Microsoft.App/environments, /27 or larger. */
  readonly subnet: ISubnet;
  /** By digest, in a registry of Azure. */
  readonly image: string;
  /** Resource id of a user-assigned identity, which pulls the image and is the identity of the program. */
  readonly identityId: string;
  /** vCores; memory is twice as many GB, the only ratio of the profile Consumption. */
  readonly cpu: number;
  /** Seconds after which Azure ends an execution. */
  readonly timeoutSeconds: number;
  readonly command: readonly string[];
  readonly arguments: readonly string[];
  readonly workspace: ILogAnalytics;
  /** @default - no tags */
  readonly tags?: Readonly<Record<string, string>>;
}

/**
 * A job of Container Apps that a client starts, in an environment of its own without any entrance.
 *
 * Its output goes through a diagnostic setting to the workspace. The destination `log-analytics` would send it with a shared
 * key of the workspace, which azurerm would read, and which a workspace without local authentication does not accept.
 * https://learn.microsoft.com/azure/container-apps/log-options
 *
 * One execution runs one container once: a failed post-deploy step is for a person, and its second run is a second start.
 */
export class ContainerJob extends Construct {
  readonly id: string;
  readonly environmentId: string;
  readonly resources: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: ContainerJobProps) {
    super(scope, id);
    const { resourceGroupName, location } = props;
    const tags = props.tags && { tags: props.tags };
    const identityId = canonicalIdentityId(props.identityId);
    // It is not created here: before the first deployment it must be a member of a group and may pull the image.
    const identity = new DataAzurermUserAssignedIdentity(this, 'identity', {
      name: nameOf(identityId),
      resourceGroupName: nameOf(resourceGroupOf(identityId) ?? ''),
    });
    const environment = new ContainerAppEnvironment(this, 'environment', {
      name: props.environmentName,
      resourceGroupName,
      location,
      infrastructureSubnetId: props.subnet.id,
      internalLoadBalancerEnabled: true,
      logsDestination: 'azure-monitor',
      workloadProfile: [{ name: profile, workloadProfileType: profile }],
      // Without a name, azurerm 4.55 plans to replace the environment for the one that Azure has chosen.
      infrastructureResourceGroupName: props.infrastructureGroupName,
      ...tags,
      dependsOn: [...props.subnet.ready],
    });
    const diagnostics = new Diagnostics(this, 'diagnostics', {
      name: 'log-analytics',
      targetResourceId: environment.id,
      workspace: props.workspace,
      metrics: false,
    });
    const job = new ContainerAppJob(this, 'Default', {
      name: props.name,
      resourceGroupName,
      location,
      containerAppEnvironmentId: environment.id,
      workloadProfileName: profile,
      replicaTimeoutInSeconds: props.timeoutSeconds,
      replicaRetryLimit: 0,
      manualTriggerConfig: { parallelism: 1, replicaCompletionCount: 1 },
      identity: { type: 'UserAssigned', identityIds: [identityId] },
      registry: [{ server: props.image.split('/')[0] ?? '', identity: identityId }],
      template: {
        container: [
          {
            name: containerName,
            image: props.image,
            cpu: props.cpu,
            memory: `${props.cpu * 2}Gi`,
            command: [...props.command],
            args: [...props.arguments],
            env: [{ name: 'AZURE_CLIENT_ID', value: identity.clientId }],
          },
        ],
      },
      ...tags,
      // Without it, the output of a first execution would be lost.
      dependsOn: [diagnostics.resource],
    });
    this.id = job.id;
    this.environmentId = environment.id;
    this.resources = [environment, diagnostics.resource, job];
  }
}

/** Without a profile, the environment would be one of the older kind, which needs a subnet of /23. */
const profile = 'Consumption';
const containerName = 'post-deploy';
