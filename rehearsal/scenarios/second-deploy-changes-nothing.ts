import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'second-deploy-changes-nothing',
  title: 'A second deployment changes nothing in Azure and does not run the post-deploy step again',
  needs: [],
  prefers: ['replica'],
  startsFrom: 'deployed',
  startsProvider: true,
  async run(sandbox) {
    const run = await sandbox.assertDeploys({}, 'the second deployment succeeds');
    sandbox.check('it changed no resource', run.resources.length === 0, () =>
      run.resources.map(({ action, address }) => `${action} ${address}`).join(', '),
    );
    sandbox.check('Azure was asked for no change', sandbox.azure.operations.length === 0);
    sandbox.check('the server was not restarted', sandbox.postgres.restarts === 0);
  },
};
