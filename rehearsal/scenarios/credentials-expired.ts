import { hasError } from '../sandbox/commands.ts';
import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'credentials-expired',
  title:
    'With an expired client secret, a deployment ends with the reason from Entra before it changes anything',
  needs: [],
  startsFrom: 'deployed',
  startsProvider: true,
  async run(sandbox) {
    const { directory } = sandbox.azure;
    const moment = Date.now();
    directory.expireCredentials();
    await sandbox.assertRefused(/AADSTS7000222.*expired/s);
    // The post-deploy step requests its token in the same way.
    const { administrator, primary, database } = sandbox.deployment;
    const url = `postgresql://${encodeURIComponent(administrator)}@${primary.host}/${database}`;
    const status = await sandbox.command('status', '--url', url);
    sandbox.check(
      'llama-db reports in one line which login failed, the reason and the remedy',
      status.exitCode === 2 &&
        hasError(
          status.output,
          'credentials/no-token',
          ...[administrator, primary.host, 'the client secret has expired (AADSTS7000222)'],
          // Both remedies.
          ...['az login', 'PGPASSWORD'],
        ),
      () => status.output,
    );
    const changes = sandbox.changesSince(moment);
    sandbox.check('Azure was asked for no change', changes.length === 0, () => changes.join(', '));
    directory.renewCredentials();
    await sandbox.assertDeploys({}, 'with a new secret, the deployment succeeds');
  },
};
