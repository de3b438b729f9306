import { objectAt, textAt } from '../../core/json.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { lockType } from '../../local/azure/core/locks.ts';
import { lockByHand, withLocks } from '../sandbox/operator.ts';
import type { DeployOptions } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';
import { lockCount } from '../sandbox/variants.ts';

const endpointType = 'Microsoft.DBforPostgreSQL/flexibleServers/virtualEndpoints';

export const scenario: Scenario = {
  name: 'child-removed-under-lock',
  title:
    'A child of a locked server can be removed only after the lock was lifted; the next deployment restores the lock',
  needs: ['replica', 'virtualEndpoint', 'lock'],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    const { azure } = sandbox;
    const locks = () => azure.state.ofType(lockType).length;
    if (sandbox.quick) await lockByHand(sandbox);
    sandbox.check(
      'servers and vault are locked',
      locks() === lockCount(sandbox.settings),
      () => `there are ${locks()} locks`,
    );
    const moment = Date.now();
    let endpoint: EnvironmentInput['virtualEndpoint'];
    await sandbox.assertRefused(
      /ScopeLocked/,
      {
        change: (input) => {
          endpoint = input.virtualEndpoint;
          delete input.virtualEndpoint;
        },
      },
      'Azure refuses to remove the virtual endpoint',
    );
    sandbox.check('the virtual endpoint still exists', azure.state.ofType(endpointType).length === 1);
    const notes = azure.state
      .ofType(lockType)
      .map(({ body }) => textAt(objectAt(body, 'properties'), 'notes'));
    sandbox.check(
      'the notes of each lock explain how to lift it',
      notes.every((one) => one?.includes('deletionLock: lifted')),
      () => notes.join('; '),
    );
    const deleted = sandbox.changesSince(moment).filter((change) => change.startsWith('DELETE'));
    sandbox.check('Azure was asked for one deletion only', deleted.length === 1, () => deleted.join(', '));

    const mode = (deletionLock: 'lifted' | 'inPlace', more?: DeployOptions['change']): DeployOptions => ({
      change: (input) => {
        input.protection = { ...input.protection, deletionLock };
        more?.(input);
      },
    });
    // In a deployment of its own: Azure needs a moment before a lifted lock has no effect.
    await sandbox.assertDeploys(
      mode('lifted', (input) => {
        if (endpoint) input.virtualEndpoint = endpoint;
      }),
      "deletionLock: 'lifted' removes the locks and nothing else",
    );
    sandbox.check('no lock is left', locks() === 0);
    sandbox.check('the virtual endpoint still exists', azure.state.ofType(endpointType).length === 1);
    await sandbox.assertDeploys(
      { change: (input) => delete input.virtualEndpoint },
      'without locks, the endpoint can be removed',
    );
    sandbox.check('the virtual endpoint no longer exists', azure.state.ofType(endpointType).length === 0);
    if (sandbox.quick) await lockByHand(sandbox, { ...mode('inPlace'), include: withLocks });
    else await sandbox.assertDeploys(mode('inPlace'), "deletionLock: 'inPlace' restores the locks");
    sandbox.check(
      'servers and vault are locked again',
      locks() === lockCount(sandbox.settings),
      () => `there are ${locks()} locks`,
    );
  },
};
