import { numberAt } from '../../core/json.ts';
import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'disk-grown',
  title: 'The next deployment neither shrinks nor replaces a disk that Azure has grown',
  needs: ['autoGrow', 'protected'],
  prefers: ['replica'],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    const which = sandbox.settings.replica ? (['primary', 'replica'] as const) : (['primary'] as const);
    const sizes = () =>
      which.map((one) => numberAt(sandbox.serverProperties(one), 'storage', 'storageSizeGB') ?? 0);
    const twice = sizes()
      .map((size) => 2 * size)
      .join();
    // Azure grows the replica first, so that its disk is never smaller than the primary's.
    for (const one of [...which].reverse()) sandbox.azure.incidents.growDisk(sandbox.serverId(one));
    const doubled = () => sizes().join() === twice;
    sandbox.check('each disk has doubled', doubled(), () => `${sizes().join(' GB, ')} GB`);
    const run = await sandbox.assertDeploys({}, 'a deployment succeeds');
    sandbox.check('it changed nothing', run.resources.length === 0);
    sandbox.check(
      'each disk has kept the size that Azure gave it',
      doubled(),
      () => `${sizes().join(' GB, ')} GB`,
    );
  },
};
