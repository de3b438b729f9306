import { azureChecks, factOf, required, surroundingsOf } from '../azure/assertions.ts';
import type { JobFacts } from '../azure/facts.ts';
import { judge } from '../outcome.ts';

/** A job runs as an administrator of the database: every part of it decides what code does so, and who sees its output. */
export const checks = azureChecks([
  {
    id: 'AZU-042',
    name: 'post-deploy-job-as-set',
    loses: 'control',
    title: 'The post-deploy job runs the image of the settings, as their identity',
    inspects:
      'image, command, identities, trigger, retries and timeout of the job, and the diagnostic setting of its environment',
    why: 'The job logs in as an administrator. Another image or command is other code with all rights on every row, and without the diagnostic setting nobody sees its output.',
    remedy:
      'Deploy again, which puts the job back. Look for the change in the activity log of the job (az monitor activity-log list).',
    source: 'docs/runners.md',
    assert: (azure) => {
      const expected = required(azure.expected.postDeployJob, 'postDeployJob');
      const { workspaceId } = surroundingsOf(azure);
      const job = factOf(azure.facts.postDeployJob);
      const object = 'post-deploy job';
      if (!job) return judge('missing', [{ object, detail: 'it does not exist' }]);
      const wrong = [
        ...differences(job, expected),
        ...(job.diagnostics &&
        same(job.diagnostics.workspaceId, workspaceId) &&
        job.diagnostics.logs.includes('allLogs')
          ? []
          : ['its output does not reach the workspace']),
      ];
      return judge(
        job.image,
        wrong.map((detail) => ({ object, detail })),
      );
    },
  },
]);

function differences(
  job: JobFacts,
  expected: { readonly image: string; readonly identityId: string; readonly timeoutSeconds: number },
): string[] {
  const { image, command, identities, trigger, retries, timeoutSeconds } = job;
  const identity = identities.length === 1 && same(identities[0] ?? '', expected.identityId);
  return [
    ...(image === expected.image ? [] : [`its image is ${image}, not ${expected.image}`]),
    ...(command === stepCommand ? [] : [`its command is ${command}, not ${stepCommand}`]),
    ...(identity
      ? []
      : [`its identities are ${identities.join(', ') || 'none'}, not ${expected.identityId}`]),
    ...(trigger === 'Manual' ? [] : [`its trigger is ${trigger}: it starts by itself`]),
    ...(retries === 0 ? [] : [`it is repeated ${retries} times after a failure`]),
    ...(timeoutSeconds === expected.timeoutSeconds
      ? []
      : [`it ends after ${timeoutSeconds} s, not ${expected.timeoutSeconds}`]),
  ];
}

const stepCommand = 'node commands/llama-db.mjs post-deploy';
const same = (one: string, other: string) => one.toLowerCase() === other.toLowerCase();
