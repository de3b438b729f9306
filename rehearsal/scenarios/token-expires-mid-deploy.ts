import type { Scenario } from '../sandbox/scenario.ts';

/** Two dynamic parameters, so that Azure can refuse the second operation. */
const parameters = { deadlock_timeout: 2000, log_min_duration_statement: 2000 };

export const scenario: Scenario = {
  name: 'token-expires-mid-deploy',
  title:
    'A token that expires during a deployment ends it with a clear error, and the next deployment converges',
  needs: [],
  isLong: true,
  startsFrom: 'deployed',
  startsProvider: true,
  async run(sandbox) {
    const names = Object.keys(parameters);
    const moment = Date.now();
    sandbox.interceptAnswer = ({ method, path }) => {
      if (method === 'GET' || !names.some((name) => path.endsWith(`/configurations/${name}`)))
        return undefined;
      sandbox.interceptAnswer = undefined;
      // Azure accepts the first operation. Every later request carries a revoked token.
      sandbox.azure.directory.revokeTokens('https://management.azure.com');
      return undefined;
    };
    await sandbox.assertRefused(/InvalidAuthenticationToken|401/, {
      change: (input) => {
        input.server.parameters = { ...input.server.parameters, ...parameters };
      },
    });
    const done = sandbox.azure.operations.filter(
      ({ startedAt, outcome }) => startedAt >= moment && outcome !== 'Refused',
    );
    sandbox.check('Azure accepted one change only', done.length === 1, () =>
      done.map(({ method, target }) => `${method} ${target}`).join(', '),
    );
    await sandbox.assertDeploys({}, 'the next deployment converges');
    const set = names.map(
      (name) =>
        sandbox.azure.state
          .list()
          .find(({ id }) => id.endsWith(`${sandbox.settings.server.name}/configurations/${name}`))?.body[
          'properties'
        ],
    );
    sandbox.check(
      'both parameters are set',
      set.every((one) => JSON.stringify(one).includes('"2000"')),
      () => JSON.stringify(set),
    );
  },
};
