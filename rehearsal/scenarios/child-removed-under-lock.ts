import { objectAt, textAt } from '../../core/json.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { lockType } from '../../local/azure/core/locks.ts';
import { keep, lockByHand } from '../locks-by-hand.ts';
import type { Scenario } from '../scenario.ts';
import type { How } from '../stage/stage.ts';

const endpointType = 'Microsoft.DBforPostgreSQL/flexibleServers/virtualEndpoints';

export const scenario: Scenario = {
  name: 'child-removed-under-lock',
  title:
    'A child of a locked server is removed only with the lock lifted, which the next deployment puts back',
  environments: ['production'],
  begins: 'deployed',
  async run(stage) {
    const { azure } = stage;
    const locks = () => azure.state.ofType(lockType).length;
    if (stage.quick) await lockByHand(stage);
    stage.check('servers and vault are locked', locks() === 3, () => `there are ${locks()} locks`);
    const moment = Date.now();
    let endpoint: EnvironmentInput['virtualEndpoint'];
    await stage.refused(
      /ScopeLocked/,
      {
        change: (input) => {
          endpoint = input.virtualEndpoint;
          delete input.virtualEndpoint;
        },
      },
      'removing the virtual endpoint is refused',
    );
    stage.check('the virtual endpoint is still there', azure.state.ofType(endpointType).length === 1);
    const notes = azure.state
      .ofType(lockType)
      .map(({ body }) => textAt(objectAt(body, 'properties'), 'notes'));
    stage.check(
      'the lock itself says how it is done',
      notes.every((one) => one?.includes('deletionLock: lifted')),
      () => notes.join('; '),
    );
    const deleted = stage.changesSince(moment).filter((change) => change.startsWith('DELETE'));
    stage.check('one deletion was tried, and none more', deleted.length === 1, () => deleted.join(', '));

    const mode = (deletionLock: 'lifted' | 'inPlace', more?: How['change']): How => ({
      change: (input) => {
        input.protection = { ...input.protection, deletionLock };
        more?.(input);
      },
    });
    // Deployed first and by itself: Azure needs a moment to let go of what a lock protected.
    await stage.deployed(
      mode('lifted', (input) => {
        if (endpoint) input.virtualEndpoint = endpoint;
      }),
      "deletionLock: 'lifted' takes the locks away and nothing else",
    );
    stage.check('the locks are lifted', locks() === 0);
    stage.check('the virtual endpoint is still there', azure.state.ofType(endpointType).length === 1);
    await stage.deployed(
      { change: (input) => delete input.virtualEndpoint },
      'with the locks lifted the endpoint is removed',
    );
    stage.check('the virtual endpoint is gone', azure.state.ofType(endpointType).length === 0);
    if (stage.quick) await lockByHand(stage, { ...mode('inPlace'), keep });
    else await stage.deployed(mode('inPlace'), "with deletionLock: 'inPlace' the locks are put back");
    stage.check('servers and vault are locked again', locks() === 3, () => `there are ${locks()} locks`);
  },
};
