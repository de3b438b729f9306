import { serverType } from '../../local/azure/providers/postgresql/server.ts';
import type { DeployOptions } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'server-dropped',
  title: 'A server that was deleted in Azure is not created again, empty, unless the lock is lifted',
  environments: ['staging'],
  startsFrom: 'deployed',
  async run(sandbox) {
    const { state } = sandbox.azure;
    const id = sandbox.serverId('primary');
    const deleted = [state.get(id), ...state.within(id)].filter((one) => one !== undefined);
    const begun = Date.now();
    state.delete(id);
    await sandbox.assertRefused(
      /terraform_data\.protected_(?:server|database)_id has lifecycle\.prevent_destroy/,
      {},
      'a deployment that would create it again is refused',
    );
    const changes = sandbox.changesSince(begun);
    sandbox.check('Azure was asked to change nothing', changes.length === 0, () => changes.join(', '));
    sandbox.check('there is no server', state.ofType(serverType).length === 0);
    const lock = (deletionLock: 'inPlace' | 'lifted'): DeployOptions => ({
      change: ({ protection }) => {
        protection.deletionLock = deletionLock;
      },
    });
    const { changes: planned } = await sandbox.diff(lock('lifted'));
    sandbox.check(
      'with the lock lifted the plan creates it',
      planned.includes('create azurerm_postgresql_flexible_server.server'),
      () => planned.join(', '),
    );
    for (const one of deleted) state.put(one.id, one.body);
    await sandbox.assertEmptyPlan(
      'once it is restored, the plan with the lock in place is empty',
      lock('inPlace'),
    );
  },
};
