/** Rows about the post-deploy job and its environment. */
import { calm, nothing, rows } from './families.ts';
import { fixed, type Row, sources } from './row.ts';

const withoutJob = fixed(
  'online',
  'a pipeline outside the network has no job meanwhile, and its post-deploy step fails; the database does not notice',
);

export const jobRows: readonly Row[] = [
  ...rows(
    { id: 'post-deploy-job', types: ['azurerm_container_app_job'], source: sources.jobs },
    {
      created: ['create', nothing],
      image: [
        ['template', 'template.container', 'template.container.image'],
        () =>
          calm('the post-deploy step runs the code of the new image, if its files are those of the release'),
      ],
      identity: [
        ['identity', 'identity.identity_ids'],
        fixed('unknown', 'the post-deploy step logs in as another identity, which must be an administrator'),
      ],
      changed: [['*'], nothing],
      replaced: ['replace', withoutJob],
      removed: ['delete', withoutJob],
    },
  ),
  ...rows(
    {
      id: 'post-deploy-job-environment',
      types: ['azurerm_container_app_environment'],
      source: sources.jobs,
    },
    {
      created: ['create', nothing],
      changed: [['*'], nothing],
      replaced: ['replace', withoutJob],
      removed: ['delete', withoutJob],
    },
  ),
];
