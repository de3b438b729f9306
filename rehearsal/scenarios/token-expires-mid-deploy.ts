import type { Scenario } from '../scenario.ts';

/** Two parameters that take effect at once, so that there is a second operation to refuse. */
const parameters = { deadlock_timeout: 2000, log_min_duration_statement: 2000 };

export const scenario: Scenario = {
  name: 'token-expires-mid-deploy',
  title:
    'A token that stops being valid in the middle of a deployment ends it with a clear line; the next one converges',
  environments: ['development', 'staging', 'production'],
  begins: 'deployed',
  async run(stage) {
    const names = Object.keys(parameters);
    const moment = Date.now();
    stage.interceptAnswer = ({ method, path }) => {
      if (method === 'GET' || !names.some((name) => path.endsWith(`/configurations/${name}`)))
        return undefined;
      stage.interceptAnswer = undefined;
      // The first one is accepted; whatever comes after it carries a token that is no longer taken.
      stage.azure.directory.revokeTokens('https://management.azure.com');
      return undefined;
    };
    await stage.refused(/InvalidAuthenticationToken|401/, {
      change: (input) => {
        input.server.parameters = { ...input.server.parameters, ...parameters };
      },
    });
    const done = stage.azure.operations.filter(
      ({ startedAt, outcome }) => startedAt >= moment && outcome !== 'Refused',
    );
    stage.check('Azure took one change, and none more', done.length === 1, () =>
      done.map(({ method, target }) => `${method} ${target}`).join(', '),
    );
    await stage.deployed({}, 'the next deployment converges');
    const set = names.map(
      (name) =>
        stage.azure.state
          .list()
          .find(({ id }) => id.endsWith(`${stage.settings.server.name}/configurations/${name}`))?.body[
          'properties'
        ],
    );
    stage.check(
      'both parameters are set',
      set.every((one) => JSON.stringify(one).includes('"2000"')),
      () => JSON.stringify(set),
    );
  },
};
