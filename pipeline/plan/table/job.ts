/** Rows about the post-deploy job and its environment. Jobs of other projects have the same types. */
import { textAt, textsAt } from '../../../core/json.ts';
import type { ResourceChange } from '../facts.ts';
import { calm, nothing, rows } from './families.ts';
import { type About, type Judgement, type Row, sources } from './row.ts';

const jobType = 'azurerm_container_app_job';
const environmentType = 'azurerm_container_app_environment';

/** Whether a job runs the post-deploy step, before or afterwards. */
function isPostDeployJob({ type, before, after }: ResourceChange): boolean {
  const [was, is] = [before, after].map((side) => textsAt(side, 'template', 0, 'container', 0, 'args')[0]);
  return type === jobType && (was === 'post-deploy' || is === 'post-deploy');
}

/** Whether it is the post-deploy job or its environment. */
function isOwn({ change, context }: About): boolean {
  if (change.type === jobType) return isPostDeployJob(change);
  const id = textAt(change.before, 'id')?.toLowerCase();
  // The configuration has no job that is destroyed, and the state none that is created.
  return context.facts.resources
    .filter(isPostDeployJob)
    .some(
      (job) =>
        context.needed(job, environmentType).includes(change) ||
        (id !== undefined && textAt(job.before, 'container_app_environment_id')?.toLowerCase() === id),
    );
}

/** Another judgement for what does not belong to the post-deploy step. */
const own =
  (judgement: Judgement, other: Judgement) =>
  (about: About): Judgement =>
    isOwn(about) ? judgement : other;

const unnoticed = nothing();
const withoutJob = calm(
  'a pipeline outside the network has no job meanwhile, and its post-deploy step fails; the database does not notice',
);
const destroyed = (what: string) =>
  own(withoutJob, { impact: 'unknown', says: `${what}, and the guard does not know what runs there` });

const image = 'template.container.image';
const sizes = ['cpu', 'memory', 'ephemeral_storage'].map((name) => `template.container.${name}`);
const otherProgram: Judgement = {
  impact: 'unknown',
  says: 'the post-deploy job runs another program, or the same with other variables, as an administrator of the database',
};

function replaced(about: About): readonly Judgement[] {
  const runsOther = about.change.changed.some(
    ({ path }) => /^template(?:\.|$)/.test(path) && ![image, ...sizes].includes(path),
  );
  return [
    ...(runsOther && isOwn(about) ? [otherProgram] : []),
    destroyed('the plan destroys and creates a job')(about),
  ];
}

export const jobRows: readonly Row[] = [
  ...rows(
    { id: 'post-deploy-job', types: [jobType], source: sources.jobs },
    {
      created: ['create', nothing],
      image: [
        [image],
        own(
          calm('the post-deploy step runs the code of the new image, if its files are those of the release'),
          unnoticed,
        ),
      ],
      program: [['template', 'template.*'], own(otherProgram, unnoticed)],
      identity: [
        ['identity', 'identity.identity_ids'],
        own(
          {
            impact: 'unknown',
            says: 'the post-deploy step logs in as another identity, which must be an administrator',
          },
          unnoticed,
        ),
      ],
      changed: [['*', ...sizes], nothing],
      replaced: ['replace', replaced],
      removed: ['delete', destroyed('the plan destroys a job')],
    },
  ),
  ...rows(
    { id: 'post-deploy-job-environment', types: [environmentType], source: sources.jobs },
    {
      created: ['create', nothing],
      changed: [['*'], nothing],
      replaced: ['replace', destroyed('the plan destroys and creates an environment of Container Apps')],
      removed: ['delete', destroyed('the plan destroys an environment of Container Apps')],
    },
  ),
];
