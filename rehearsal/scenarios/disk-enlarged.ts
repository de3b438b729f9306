import { numberAt } from '../../core/json.ts';
import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'disk-enlarged',
  title: 'The settings enlarge a disk with auto-grow in a deployment with resize: true',
  needs: ['autoGrow', 'noReplica', 'protected'],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    const size = () => numberAt(sandbox.serverProperties('primary'), 'storage', 'storageSizeGB') ?? 0;
    const wanted = 2 * size();
    const to = (sizeGb: number, resize: boolean) => ({
      change: (input: { server: { storage: object } }) =>
        Object.assign(input.server.storage, { sizeGb, resize }),
    });
    const ignored = await sandbox.diff(to(wanted, false));
    sandbox.check(
      'without resize, the plan warns that Terraform ignores the size',
      // The step after the deployment gets the new size to compare with.
      ignored.changes.every((change) => change === 'replace terraform_data.post_deploy') &&
        /With autoGrow, Terraform leaves its size/.test(ignored.output.replace(/[\s│]+/g, ' ')),
      () => ignored.output,
    );
    const run = await sandbox.assertDeploys(
      to(wanted, true),
      'the deployment that enlarges the disk succeeds',
    );
    sandbox.check('the disk has the size of the settings', size() === wanted, () => `${size()} GB`);
    const servers = run.resources.filter(({ address }) =>
      address.startsWith('azurerm_postgresql_flexible_server.'),
    );
    sandbox.check(
      'the server was updated in place',
      servers.map(({ action }) => action).join() === 'update',
      () => servers.map(({ action, address }) => `${action} ${address}`).join(', '),
    );
    await sandbox.assertEmptyPlan('the plan is empty');

    sandbox.azure.incidents.growDisk(sandbox.serverId('primary'));
    const refused = await sandbox.deploy(to(wanted, true));
    sandbox.check(
      'a deployment with resize fails for a disk that Azure has enlarged further',
      refused.exitCode !== 0,
    );
    sandbox.check(
      'prevent_destroy refuses the plan',
      refused.output.includes('prevent_destroy'),
      () => refused.output,
    );
    const { isEmpty, changes } = await sandbox.diff(to(wanted, false));
    sandbox.check('without resize, the plan is empty', isEmpty, () => changes.join(', '));
  },
};
