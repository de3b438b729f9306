import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'second-deploy-changes-nothing',
  title: 'A second deployment sends Azure no change and does not run the post-deploy step again',
  environments: ['production', 'staging', 'development'],
  begins: 'deployed',
  async run(stage) {
    const run = await stage.deployed({}, 'the second deployment succeeds');
    stage.check('it worked on no resource', run.resources.length === 0, () =>
      run.resources.map(({ action, address }) => `${action} ${address}`).join(', '),
    );
    stage.check('Azure was sent no change', stage.azure.operations.length === 0);
    stage.check('the server was not restarted', stage.postgres.restarts === 0);
  },
};
