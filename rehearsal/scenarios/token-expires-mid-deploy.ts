import type { Scenario } from '../scenario.ts';

/** Two parameters that take effect at once, so that there is a second operation to refuse. */
const parameters = { deadlock_timeout: 2000, log_min_duration_statement: 2000 };

export const scenario: Scenario = {
  name: 'token-expires-mid-deploy',
  title:
    'A token that stops being valid in the middle of a deployment ends it with a clear line; the next one converges',
  environments: ['production', 'staging', 'development'],
  begins: 'deployed',
  async run(stage) {
    const names = Object.keys(parameters);
    stage.intercept = ({ method, path }) => {
      if (method === 'GET' || !names.some((name) => path.endsWith(`/configurations/${name}`)))
        return undefined;
      stage.intercept = undefined;
      // The first one is still done; whatever comes after it carries a token that is no longer taken.
      setTimeout(() => stage.azure.directory.revokeTokens('https://management.azure.com'), 5);
      return undefined;
    };
    await stage.refused(/InvalidAuthenticationToken|401/, {
      change: (input) => {
        input.server.parameters = { ...input.server.parameters, ...parameters };
      },
    });
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
