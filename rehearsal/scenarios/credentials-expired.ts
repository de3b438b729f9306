import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'credentials-expired',
  title: 'With an expired secret a deployment ends before it changes anything, with the reason of Entra',
  environments: ['development', 'staging', 'production'],
  begins: 'deployed',
  async run(stage) {
    const { directory } = stage.azure;
    const moment = Date.now();
    directory.expireCredentials();
    await stage.refused(/AADSTS7000222.*expired/s);
    // What the post-deploy step would say: it asks for a token as every command does that logs in.
    const { administrator, primary, database } = stage.deployment;
    const url = `postgresql://${encodeURIComponent(administrator)}@${primary.host}/${database}`;
    const said = await stage.command('status', '--url', url);
    const login = `No login for ${administrator} on ${primary.host}: `;
    stage.check(
      'llama-db says in one line whose login failed, why, and what to do',
      said.exitCode === 2 &&
        said.output
          .split('\n')
          .some(
            (line) =>
              line.startsWith(login) &&
              line.includes('the client secret has expired (AADSTS7000222)') &&
              line.endsWith('.'),
          ),
      () => said.output,
    );
    const changes = stage.changesSince(moment);
    stage.check('Azure was sent no change', changes.length === 0, () => changes.join(', '));
    directory.renewCredentials();
    await stage.deployed({}, 'the deployment succeeds with a new secret');
  },
};
