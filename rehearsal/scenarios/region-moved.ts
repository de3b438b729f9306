import type { EnvironmentInput } from '../../environments/settings.ts';
import { serverType } from '../../local/azure/providers/postgresql/server.ts';
import type { Scenario } from '../sandbox/scenario.ts';
import { anotherRegion } from '../sandbox/variants.ts';

const full = {
  error: {
    code: 'ServerCapacityNotAvailable',
    message: 'The location does not have capacity for the requested size.',
  },
} as const;

export const scenario: Scenario = {
  name: 'region-moved',
  title:
    'A region without capacity is left for another one under new names; under the old names the plan is refused and keeps everything',
  needs: ['unprotected', 'newGroup'],
  isLong: true,
  startsFrom: 'empty',
  async run(sandbox) {
    const { location: from, resourceGroup } = sandbox.settings;
    const to = anotherRegion({ location: from });
    const inFormerGroup = () =>
      sandbox.azure.state
        .list()
        .map(({ id }) => id)
        .filter((id) => `${id}/`.toLowerCase().includes(`/${resourceGroup.name.toLowerCase()}/`));
    sandbox.intercept = ({ method, path, body }) =>
      method === 'PUT' && /\/flexibleServers\/[^/]+$/i.test(path) && String(body).includes(`"${from}"`)
        ? { status: 400, body: full }
        : undefined;
    const failed = await sandbox.deploy();
    sandbox.check('the region has no capacity', failed.output.includes(full.error.code), () => failed.output);

    const begun = Date.now();
    await sandbox.assertRefused(
      new RegExp(`exists in another region than ${to}`),
      {
        change: (input) => {
          input.location = to;
        },
      },
      'another location alone is refused',
    );
    const changes = sandbox.changesSince(begun);
    sandbox.check('Azure was asked to change nothing', changes.length === 0, () => changes.join(', '));

    const moved = (input: EnvironmentInput) => {
      // The server was not created, so its name is free.
      for (const one of [input.resourceGroup, input.keyVault, input.logAnalytics])
        one.name = `${one.name.slice(0, -3)}new`;
    };
    await sandbox.assertDeploys({ change: moved }, 'with new names the environment moves');
    const [server] = sandbox.azure.state.ofType(serverType);
    sandbox.check('the server is in the other region', server?.body['location'] === to);
    sandbox.check('nothing of the former resource group is left', inFormerGroup().length === 0, () =>
      inFormerGroup().join(', '),
    );
  },
};
