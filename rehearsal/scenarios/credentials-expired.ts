import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'credentials-expired',
  title: 'With an expired secret a deployment ends before it changes anything, with the reason of Entra',
  environments: ['production', 'staging', 'development'],
  begins: 'deployed',
  async run(stage) {
    const { directory } = stage.azure;
    const moment = Date.now();
    directory.expireCredentials();
    await stage.refused(/AADSTS7000222.*expired/s);
    const changes = stage.changesSince(moment);
    stage.check('Azure was sent no change', changes.length === 0, () => changes.join(', '));
    directory.renewCredentials();
    await stage.deployed({}, 'the deployment succeeds with a new secret');
  },
};
