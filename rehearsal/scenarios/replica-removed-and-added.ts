import type { EnvironmentInput } from '../../environments/settings.ts';
import { serverType } from '../azure/postgresql/server.ts';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'replica-removed-and-added',
  title: 'A replica is removed with its endpoint once the protection is lifted, and made again',
  environments: ['production'],
  begins: 'deployed',
  notInTests: 'it deploys three times and makes a replica anew, which takes minutes',
  async run(stage) {
    const kept: Pick<EnvironmentInput, 'replica' | 'virtualEndpoint'> = {};
    const servers = () => stage.azure.state.ofType(serverType).map(({ name }) => name);
    const lifted = (input: EnvironmentInput) => {
      input.protection.deletionLock = 'lifted';
    };
    await stage.deployed({ change: lifted }, 'the protection is lifted');
    const without = (input: EnvironmentInput) => {
      Object.assign(kept, { replica: input.replica, virtualEndpoint: input.virtualEndpoint });
      delete input.replica;
      delete input.virtualEndpoint;
    };
    await stage.deployed({ change: without }, 'the replica is removed');
    stage.check('the primary alone is left', servers().join() === stage.settings.server.name, () =>
      servers().join(),
    );
    await stage.unchanged('the plan is empty without the replica');

    const again = (input: EnvironmentInput) => {
      Object.assign(input, kept);
      input.protection.deletionLock = 'inPlace';
    };
    await stage.deployed({ change: again }, 'the replica is made again');
    stage.check('there are two servers', servers().length === 2, () => servers().join());
  },
};
