import { numberAt } from '../../core/json.ts';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'disk-enlarged',
  title: 'A disk that grows by itself is enlarged by the settings in the one deployment that says so',
  environments: ['staging'],
  begins: 'deployed',
  async run(stage) {
    const size = () => numberAt(stage.serverProperties('primary'), 'storage', 'storageSizeGB') ?? 0;
    const wanted = 2 * size();
    const to = (sizeGb: number, resize: boolean) => ({
      change: (input: { server: { storage: object } }) =>
        Object.assign(input.server.storage, { sizeGb, resize }),
    });
    const run = await stage.deployed(to(wanted, true), 'the deployment that enlarges it succeeds');
    stage.check('the disk has the size of the settings', size() === wanted, () => `${size()} GB`);
    const servers = run.resources.filter(({ address }) =>
      address.startsWith('azurerm_postgresql_flexible_server.'),
    );
    stage.check('in place', servers.map(({ action }) => action).join() === 'update', () =>
      servers.map(({ action, address }) => `${action} ${address}`).join(', '),
    );
    await stage.unchanged('the plan is empty');

    stage.azure.incidents.growDisk(stage.serverId('primary'));
    const refused = await stage.deploy(to(wanted, true));
    stage.check('what Azure has made larger is not replaced', refused.exitCode !== 0);
    stage.check('the plan is refused', refused.output.includes('prevent_destroy'), () => refused.output);
    const { isEmpty, changes } = await stage.diff(to(wanted, false));
    stage.check('without resize the plan is empty', isEmpty, () => changes.join(', '));
  },
};
