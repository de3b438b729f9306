import { serverType } from '../../local/azure/providers/postgresql/server.ts';
import type { Scenario } from '../scenario.ts';
import type { How } from '../stage/stage.ts';

export const scenario: Scenario = {
  name: 'server-dropped',
  title: 'A server that was deleted in Azure is not created again, empty, unless the lock is lifted',
  environments: ['staging'],
  begins: 'deployed',
  async run(stage) {
    const { state } = stage.azure;
    const id = stage.serverId('primary');
    const deleted = [state.get(id), ...state.within(id)].filter((one) => one !== undefined);
    const begun = Date.now();
    state.delete(id);
    await stage.refused(
      /terraform_data\.protected_(?:server|database)_id has lifecycle\.prevent_destroy/,
      {},
      'a deployment that would create it again is refused',
    );
    const changes = stage.changesSince(begun);
    stage.check('Azure was asked to change nothing', changes.length === 0, () => changes.join(', '));
    stage.check('there is no server', state.ofType(serverType).length === 0);
    const lock = (deletionLock: 'inPlace' | 'lifted'): How => ({
      change: ({ protection }) => {
        protection.deletionLock = deletionLock;
      },
    });
    const { changes: planned } = await stage.diff(lock('lifted'));
    stage.check(
      'with the lock lifted the plan creates it',
      planned.includes('create azurerm_postgresql_flexible_server.server'),
      () => planned.join(', '),
    );
    for (const one of deleted) state.put(one.id, one.body);
    await stage.unchanged('once it is restored, the plan with the lock in place is empty', lock('inPlace'));
  },
};
