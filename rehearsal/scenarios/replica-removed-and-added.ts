import type { EnvironmentInput } from '../../environments/settings.ts';
import { lockType } from '../../local/azure/core/locks.ts';
import { serverType } from '../../local/azure/providers/postgresql/server.ts';
import { lockByHand, Operator, withLocks } from '../sandbox/operator.ts';
import type { Scenario } from '../sandbox/scenario.ts';
import { lockCount } from '../sandbox/variants.ts';

export const scenario: Scenario = {
  name: 'replica-removed-and-added',
  title: 'After its lock was lifted, a replica is removed with its endpoint, and created again with the lock',
  needs: ['replica', 'virtualEndpoint', 'lock'],
  isLong: true,
  startsFrom: 'deployed',
  waitSeconds: 300,
  async run(sandbox) {
    const kept: Pick<EnvironmentInput, 'replica' | 'virtualEndpoint'> = {};
    const servers = () => sandbox.azure.state.ofType(serverType).map(({ name }) => name);
    const lifted = (input: EnvironmentInput) => {
      input.protection.deletionLock = 'lifted';
    };
    const locks = () => sandbox.azure.state.ofType(lockType).length;
    if (sandbox.quick) await lockByHand(sandbox);
    sandbox.check(
      'servers and vault are locked',
      locks() === lockCount(sandbox.settings),
      () => `there are ${locks()} locks`,
    );
    await sandbox.assertDeploys({ change: lifted }, 'a deployment lifts the locks');
    sandbox.check('no lock is left', locks() === 0, () => `there are ${locks()} locks`);
    if (sandbox.quick)
      new Operator(sandbox.azure).removeAll(
        'Microsoft.Insights/diagnosticSettings',
        sandbox.serverId('replica'),
      );
    const without = (input: EnvironmentInput) => {
      Object.assign(kept, { replica: input.replica, virtualEndpoint: input.virtualEndpoint });
      delete input.replica;
      delete input.virtualEndpoint;
    };
    await sandbox.assertDeploys({ change: without }, 'a deployment removes the replica');
    sandbox.check('only the primary is left', servers().join() === sandbox.settings.server.name, () =>
      servers().join(),
    );
    await sandbox.assertEmptyPlan('without the replica, the plan is empty');

    const again = (input: EnvironmentInput) => {
      Object.assign(input, kept);
      input.protection.deletionLock = 'inPlace';
    };
    // The locks come second: a lock by hand needs an existing resource.
    if (sandbox.quick) {
      await sandbox.assertDeploys(
        { change: (input) => Object.assign(input, kept) },
        'a deployment creates the replica again',
      );
      await lockByHand(sandbox, { include: withLocks, change: again });
    } else await sandbox.assertDeploys({ change: again }, 'a deployment creates the replica again');
    sandbox.check('there are two servers', servers().length === 2, () => servers().join());
    sandbox.check(
      'servers and vault are locked again',
      locks() === lockCount(sandbox.settings),
      () => `there are ${locks()} locks`,
    );
  },
};
