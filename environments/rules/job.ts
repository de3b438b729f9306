/** The Container Apps job that runs the post-deploy step inside the network. */
import { check, defineRules } from '../rule.ts';

const registries = 'https://learn.microsoft.com/azure/container-apps/managed-identity-image-pull';
const sizes = 'https://learn.microsoft.com/azure/container-apps/containers#allocations';

/** A registry of Azure, a repository and a digest. */
const imageByDigest = /^[a-z0-9]{5,50}\.azurecr\.io\/[a-z0-9]+(?:[._/-][a-z0-9]+)*@sha256:[0-9a-f]{64}$/;
const identityId =
  /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.ManagedIdentity\/userAssignedIdentities\/[^/]+$/i;

const smallestCpu = 0.25;
const largestCpu = 4;
const shortestMinutes = 5;
const longestMinutes = 24 * 60;

export const jobRules = defineRules({
  'job/private-server': {
    rule: 'a job is for servers inside a network: the address that a job leaves it with is in no firewall rule',
    source: 'docs/decisions.md, 70',
    remedy: 'Leave postDeployJob out, or choose privateEndpoint or virtualNetworkInjected.',
    check: ({ network, postDeployJob }) =>
      check(!postDeployJob || network.mode !== 'public', 'postDeployJob', postDeployJob?.name),
  },

  'job/entra-login': {
    rule: 'a job logs in by its identity, and has no password: the settings and the state would show it',
    source: 'docs/decisions.md, 70',
    remedy: 'Turn server.authentication.passwordLogin off, or leave postDeployJob out.',
    check: ({ server, postDeployJob }) => {
      const { passwordLogin } = server.authentication;
      return check(!postDeployJob || !passwordLogin, 'server.authentication.passwordLogin', passwordLogin);
    },
  },

  'job/image-by-digest': {
    rule: 'the image is named by its digest in a registry of Azure (<registry>.azurecr.io/<repository>@sha256:<64 digits>): a tag can be moved to other code, and other registries need a password',
    source: registries,
    remedy: 'docs/runners.md builds the image and prints its digest.',
    check: ({ postDeployJob }) => {
      const image = postDeployJob?.image;
      return check(image === undefined || imageByDigest.test(image), 'postDeployJob.image', image);
    },
  },

  'job/identity-id': {
    rule: "the identity is the resource id of a user-assigned identity: a job's own identity exists only after it, and cannot be a member of a group before",
    source: registries,
    check: ({ postDeployJob }) => {
      const id = postDeployJob?.identityId;
      return check(id === undefined || identityId.test(id), 'postDeployJob.identityId', id);
    },
  },

  'job/cpu': {
    rule: `a job has ${smallestCpu} to ${largestCpu} vCores in steps of ${smallestCpu}`,
    source: sizes,
    check: ({ postDeployJob }) => {
      const cpu = postDeployJob?.cpu ?? smallestCpu;
      const holds = cpu >= smallestCpu && cpu <= largestCpu && Number.isInteger(cpu / smallestCpu);
      return check(holds, 'postDeployJob.cpu', cpu);
    },
  },

  'job/timeout': {
    rule: `a job may run ${shortestMinutes} to ${longestMinutes} minutes: a shorter one ends in the middle of a migration, a longer one holds the lock of deployments for days`,
    source: 'docs/decisions.md, 70',
    check: ({ postDeployJob }) => {
      const minutes = postDeployJob?.timeoutMinutes ?? shortestMinutes;
      const holds = minutes >= shortestMinutes && minutes <= longestMinutes;
      return check(holds, 'postDeployJob.timeoutMinutes', minutes);
    },
  },
});
