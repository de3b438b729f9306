import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'removal-refused',
  title: 'A replica that is taken out of the settings of a protected environment is not deleted',
  environments: ['production'],
  begins: 'deployed',
  // The plan of its last step.
  endsDeployed: false,
  async run(stage) {
    const { replica, virtualEndpoint } = stage.settings;
    const moment = Date.now();
    await stage.refused(
      /terraform_data\.protected_replica has lifecycle\.prevent_destroy/,
      {
        change: (input) => {
          delete input.replica;
          delete input.virtualEndpoint;
        },
      },
      'a plan without the replica is refused',
    );
    const changes = stage.changesSince(moment);
    stage.check('Azure was asked to change nothing', changes.length === 0, () => changes.join(', '));
    const { isEmpty, changes: planned } = await stage.diff({
      change: (input) => Object.assign(input, { replica, virtualEndpoint }),
    });
    stage.check('with the replica the plan is empty', isEmpty, () => planned.join(', '));
  },
};
