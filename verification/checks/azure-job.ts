import { type AzureInput, azureChecks, factOf, required, surroundingsOf } from '../azure/assertions.ts';
import type { JobFacts } from '../azure/facts.ts';
import type { Outcome } from '../check.ts';
import { judge } from '../outcome.ts';

type Expected = NonNullable<AzureInput['expected']['postDeployJob']>;

const object = 'post-deploy job';
const stepCommand = 'node commands/llama-db.mjs post-deploy';
const same = (one: string, other: string) => one.toLowerCase() === other.toLowerCase();
const remedy =
  'Deploy again, which puts the job back. Look for the change in its activity log (az monitor activity-log list).';

function compared(
  azure: AzureInput,
  differences: (job: JobFacts, expected: Expected) => readonly string[],
): Outcome {
  const expected = required(azure.expected.postDeployJob, 'postDeployJob');
  const job = factOf(azure.facts.postDeployJob);
  // One check reports that it is gone.
  const wrong = job ? differences(job, expected) : [];
  return judge(
    job?.image ?? 'missing',
    wrong.map((detail) => ({ object, detail })),
  );
}

export const checks = azureChecks([
  {
    id: 'AZU-042',
    name: 'post-deploy-job-runs-the-image-of-the-settings',
    loses: 'control',
    title: 'The post-deploy job runs the image of the settings, as their identity',
    inspects: 'image, command, identities and trigger of the job',
    why: 'The job logs in as an administrator. Another image or command is other code with all rights on every row.',
    remedy,
    source: 'docs/runners.md',
    assert: (azure) =>
      compared(azure, ({ image, command, identities, trigger }, expected) => [
        ...(image === expected.image ? [] : [`its image is ${image}, not ${expected.image}`]),
        ...(command === stepCommand ? [] : [`its command is ${command}, not ${stepCommand}`]),
        ...(identities.length === 1 && same(identities[0] ?? '', expected.identityId)
          ? []
          : [`its identities are ${identities.join(', ') || 'none'}, not ${expected.identityId}`]),
        ...(trigger === 'Manual' ? [] : [`its trigger is ${trigger}: it starts by itself`]),
      ]),
  },
  {
    id: 'AZU-043',
    name: 'post-deploy-job-output-is-kept',
    loses: 'traces',
    title: 'The output of the post-deploy job reaches the workspace',
    inspects: 'diagnostic setting of its environment',
    why: 'The console is the only place of the output. Without it, nobody learns why a step failed.',
    remedy,
    source: 'https://learn.microsoft.com/azure/container-apps/log-options',
    assert: (azure) => {
      const { workspaceId } = surroundingsOf(azure);
      return compared(azure, ({ diagnostics }) =>
        diagnostics && same(diagnostics.workspaceId, workspaceId) && diagnostics.logs.includes('allLogs')
          ? []
          : ['its output does not reach the workspace'],
      );
    },
  },
  {
    id: 'AZU-044',
    name: 'post-deploy-job-runs-once',
    loses: 'availability',
    title: 'The post-deploy job exists, runs once and has the time of the settings',
    inspects: 'existence, retries and timeout of the job',
    why: 'Without the job, or with too little time, the next deployment of a pipeline outside the network fails after its resources have changed. A second run after a failure hides the first.',
    remedy,
    source: 'docs/runners.md',
    assert: (azure) => {
      const expected = required(azure.expected.postDeployJob, 'postDeployJob');
      if (factOf(azure.facts.postDeployJob) === undefined)
        return judge('missing', [{ object, detail: 'it does not exist' }]);
      return compared(azure, ({ retries, timeoutSeconds }) => [
        ...(retries === 0 ? [] : [`it is repeated ${retries} times after a failure`]),
        ...(timeoutSeconds === expected.timeoutSeconds
          ? []
          : [`it ends after ${timeoutSeconds} s, not ${expected.timeoutSeconds}`]),
      ]);
    },
  },
]);
