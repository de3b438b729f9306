import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'first-deploy',
  title: 'A first deployment builds everything, ends with a verified database, and leaves nothing to change',
  environments: ['production', 'staging', 'development'],
  begins: 'before the first deployment',
  async run(stage) {
    const run = await stage.deployed({}, 'the first deployment succeeds');
    const failed = stage.azure.operations.filter(({ outcome }) => outcome !== 'Succeeded');
    stage.check('Azure refused nothing', failed.length === 0, () =>
      failed.map(({ method, target, error }) => `${method} ${target}: ${error?.code}`).join('; '),
    );
    stage.check('the post-deploy step verified the database', /Verified: \d+ passed/.test(run.output));
    const token = stage.azure.requests.some(({ path }) => path.endsWith('/oauth2/v2.0/token'));
    stage.check(
      'the post-deploy step logged in with an Entra token',
      token && !stage.variables['PGPASSWORD'],
    );
  },
};
