import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'first-deploy',
  title: 'A first deployment builds everything, ends with a verified database, and the next plan is empty',
  needs: [],
  prefers: ['replica'],
  startsFrom: 'empty',
  startsProvider: true,
  async run(sandbox) {
    const run = await sandbox.assertDeploys({}, 'the first deployment succeeds');
    const failed = sandbox.azure.operations.filter(({ outcome }) => outcome !== 'Succeeded');
    sandbox.check('Azure refused nothing', failed.length === 0, () =>
      failed.map(({ method, target, error }) => `${method} ${target}: ${error?.code}`).join('; '),
    );
    sandbox.check('the post-deploy step verified the database', /Verified: \d+ passed/.test(run.output));
    const token = sandbox.azure.requests.some(({ path }) => path.endsWith('/oauth2/v2.0/token'));
    sandbox.check(
      'the post-deploy step logged in with an Entra token',
      token && !sandbox.variables['PGPASSWORD'],
    );
  },
};
