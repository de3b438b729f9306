/** The job that runs the post-deploy step inside the network, if the settings have one. */
import type { Construct } from 'constructs';
import { derivedNames } from '../azure/resource-names.ts';
import { ContainerJob } from '../constructs/container-job.ts';
import type { StackContext } from './context.ts';
import type { Observability } from './observability.ts';

export function postDeployJob(
  scope: Construct,
  { environment, foundation }: StackContext,
  { workspace }: Observability,
): ContainerJob | undefined {
  const { postDeployJob: given, tags } = environment;
  const { primary, jobs } = foundation;
  if (!given || !jobs) return undefined;
  const { name, image, identityId, cpu, timeoutMinutes } = given;
  return new ContainerJob(scope, 'post_deploy_job', {
    ...{ name, image, identityId, cpu, workspace, tags },
    environmentName: derivedNames.jobEnvironment(name),
    resourceGroupName: primary.resourceGroup.name,
    infrastructureGroupName: derivedNames.jobInfrastructure(environment.resourceGroup.name, name),
    location: primary.network.location,
    subnet: jobs,
    timeoutSeconds: timeoutMinutes * 60,
    command: ['node', 'commands/llama-db.mjs'],
    arguments: ['post-deploy'],
  });
}
