import { serverType } from '../azure/postgresql/server.ts';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'server-dropped',
  title:
    'A server that somebody deleted in Azure is not made again, empty, before a person has lifted the lock',
  environments: ['staging'],
  begins: 'deployed',
  // Nothing can be migrated on a server that was only just made of nothing.
  endsDeployed: false,
  async run(stage) {
    const { azure } = stage;
    const begun = Date.now();
    azure.state.delete(stage.serverId('primary'));
    await stage.refused(
      /terraform_data\.protected_(?:server|database)_id has lifecycle\.prevent_destroy/,
      {},
      'a deployment that would make it again is refused',
    );
    const changes = stage.changesSince(begun);
    stage.check('Azure was asked to change nothing', changes.length === 0, () => changes.join(', '));
    stage.check('there is no server', azure.state.ofType(serverType).length === 0);
    const { changes: planned } = await stage.diff({
      change: (input) => {
        input.protection.deletionLock = 'lifted';
      },
    });
    const again = 'create azurerm_postgresql_flexible_server.server';
    stage.check('with the lock lifted it would be made again', planned.includes(again), () =>
      planned.join(', '),
    );
  },
};
