import { numberAt } from '../../core/json.ts';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'disk-grown',
  title: 'A disk that Azure has grown is neither shrunk nor replaced by the next deployment',
  environments: ['production', 'staging'],
  begins: 'deployed',
  async run(stage) {
    const which = stage.settings.replica ? (['primary', 'replica'] as const) : (['primary'] as const);
    const sizes = () =>
      which.map((one) => numberAt(stage.serverProperties(one), 'storage', 'storageSizeGB') ?? 0);
    const twice = sizes()
      .map((size) => 2 * size)
      .join();
    // Azure grows the replica first: its disk is never smaller than the primary's.
    for (const one of [...which].reverse()) stage.azure.incidents.growDisk(stage.serverId(one));
    const doubled = () => sizes().join() === twice;
    stage.check('each disk has doubled', doubled(), () => `${sizes().join(' GB, ')} GB`);
    const run = await stage.deployed({}, 'a deployment succeeds');
    stage.check('it changed nothing', run.resources.length === 0);
    stage.check('each disk is as large as Azure made it', doubled(), () => `${sizes().join(' GB, ')} GB`);
  },
};
