/** Refusals of Microsoft.App. */
import { defineRefusals, learn } from '../core/refusal.ts';

const networks = `${learn}/container-apps/custom-virtual-networks`;

export const containerApps = defineRefusals('Container Apps', {
  subnetNotDelegated: {
    status: 400,
    code: 'ManagedEnvironmentSubnetDelegationError',
    rule: 'The subnet of an environment with workload profiles is delegated to Microsoft.App/environments',
    source: networks,
    message: () =>
      "The subnet of the environment must be delegated to the service 'Microsoft.App/environments'. See https://aka.ms/aca-env-networking for more details.",
  },
  subnetTooSmall: {
    status: 400,
    code: 'ManagedEnvironmentSubnetInvalid',
    rule: 'The subnet of an environment with workload profiles is /27 or larger',
    source: networks,
    message: (range: string) =>
      `The environment network configuration is invalid: Provided subnet must have a size of at least /27, and has ${range}.`,
  },
  subnetInUse: {
    status: 400,
    code: 'ManagedEnvironmentSubnetInUse',
    rule: 'A subnet belongs to one environment',
    source: networks,
    message: (other: string) => `The subnet is already used by the environment '${other}'.`,
  },
  environmentNotFound: {
    status: 400,
    code: 'InvalidRequestParameterWithDetails',
    rule: 'A job is in an environment that exists, in its region',
    source: `${learn}/container-apps/jobs`,
    message: (environment: string) => `Environment '${environment}' was not found in the region of the job.`,
  },
  environmentInUse: {
    status: 409,
    code: 'ManagedEnvironmentNotEmpty',
    rule: 'An environment with a job is not deleted',
    source: `${learn}/container-apps/environment`,
    message: (environment: string, job: string) =>
      `Environment '${environment}' cannot be deleted because it has the job '${job}'.`,
  },
  resourcesNotOffered: {
    status: 400,
    code: 'ContainerAppInvalidResourceTotal',
    rule: 'A container of the profile Consumption has 0.25 to 4 vCores in steps of 0.25, and twice as many GB of memory',
    source: `${learn}/container-apps/containers#allocations`,
    message: (cpu: string, memory: string) =>
      `The total requested CPU and memory resources for this application (CPU: ${cpu}, memory: ${memory}) is invalid.`,
  },
  identityNotAssigned: {
    status: 400,
    code: 'InvalidParameterValueInContainerTemplate',
    rule: 'The identity that pulls the image is an identity of the job',
    source: `${learn}/container-apps/managed-identity-image-pull`,
    message: (identity: string) => `The managed identity '${identity}' is not assigned to the job.`,
  },
});
