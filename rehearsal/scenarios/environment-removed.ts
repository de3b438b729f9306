import { assertDestroys } from '../sandbox/destruction.ts';
import { reasonOf } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'environment-removed',
  title:
    'A protected environment is destroyed only after a deployment has lifted its protection, and leaves nothing but its vault',
  needs: ['lock', 'noReplica'],
  isLong: true,
  startsFrom: 'deployed',
  waitSeconds: 120,
  endsWithEmptyPlan: false,
  async run(sandbox) {
    const begun = Date.now();
    const refused = await sandbox.destroy();
    sandbox.check(
      'with the lock in place destroying is refused',
      refused.exitCode !== 0 && /cannot be destroyed|prevent_destroy/.test(reasonOf(refused)),
      () => reasonOf(refused),
    );
    const changes = sandbox.changesSince(begun);
    sandbox.check('Azure was asked to change nothing', changes.length === 0, () => changes.join(', '));
    await sandbox.assertDeploys(
      {
        change: ({ protection }) =>
          Object.assign(protection, { deletionLock: 'lifted', preventDestroy: false }),
      },
      'a deployment lifts the protection',
    );
    await assertDestroys(sandbox);
  },
};
