import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'removal-refused',
  title: 'Removing the replica from the settings of a protected environment does not delete it',
  needs: ['replica', 'virtualEndpoint', 'lock', 'preventDestroy'],
  startsFrom: 'deployed',
  // Its last step checks the plan.
  endsWithEmptyPlan: false,
  async run(sandbox) {
    const { replica, virtualEndpoint } = sandbox.settings;
    const moment = Date.now();
    await sandbox.assertRefused(
      /terraform_data\.protected_replica has lifecycle\.prevent_destroy/,
      {
        change: (input) => {
          delete input.replica;
          delete input.virtualEndpoint;
        },
      },
      'a plan without the replica is refused',
    );
    const changes = sandbox.changesSince(moment);
    sandbox.check('Azure was asked to change nothing', changes.length === 0, () => changes.join(', '));
    const { isEmpty, changes: planned } = await sandbox.diff({
      change: (input) => Object.assign(input, { replica, virtualEndpoint }),
    });
    sandbox.check('with the replica, the plan is empty', isEmpty, () => planned.join(', '));
  },
};
