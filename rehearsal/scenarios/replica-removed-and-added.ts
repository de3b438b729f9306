import type { EnvironmentInput } from '../../environments/settings.ts';
import { lockType } from '../../local/azure/core/locks.ts';
import { serverType } from '../../local/azure/providers/postgresql/server.ts';
import { keep, lockByHand } from '../locks-by-hand.ts';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'replica-removed-and-added',
  title: 'A replica is removed with its endpoint once its lock is lifted, and made again, with the lock',
  environments: ['production'],
  begins: 'deployed',
  async run(stage) {
    const kept: Pick<EnvironmentInput, 'replica' | 'virtualEndpoint'> = {};
    const servers = () => stage.azure.state.ofType(serverType).map(({ name }) => name);
    const lifted = (input: EnvironmentInput) => {
      input.protection.deletionLock = 'lifted';
    };
    const locks = () => stage.azure.state.ofType(lockType).length;
    if (stage.quick) await lockByHand(stage);
    stage.check('servers and vault are locked', locks() === 3, () => `there are ${locks()} locks`);
    await stage.deployed({ change: lifted }, 'the protection is lifted');
    stage.check('no lock is left', locks() === 0, () => `there are ${locks()} locks`);
    if (stage.quick) stage.removeByHand('Microsoft.Insights/diagnosticSettings', stage.serverId('replica'));
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
    // Locked afterwards: a lock is made by hand on what is there.
    if (stage.quick) {
      await stage.deployed({ change: (input) => Object.assign(input, kept) }, 'the replica is made again');
      await lockByHand(stage, { keep, change: again });
    } else await stage.deployed({ change: again }, 'the replica is made again');
    stage.check('there are two servers', servers().length === 2, () => servers().join());
    stage.check('servers and vault are locked again', locks() === 3, () => `there are ${locks()} locks`);
  },
};
