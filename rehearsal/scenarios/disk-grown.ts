import { numberAt } from '../azure/json.ts';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'disk-grown',
  title: 'A disk that Azure has grown is neither shrunk nor replaced by the next deployment',
  environments: ['production', 'staging'],
  begins: 'deployed',
  async run(stage) {
    const size = () => numberAt(stage.serverProperties('primary'), 'storage', 'storageSizeGB') ?? 0;
    const before = size();
    if (stage.settings.replica) stage.azure.incidents.growDisk(stage.serverId('replica'));
    stage.azure.incidents.growDisk(stage.serverId('primary'));
    stage.check('the disk has doubled', size() === 2 * before, () => `${size()} GB`);
    await stage.unchanged('the plan is empty with the larger disk');
    await stage.deployed({}, 'a deployment succeeds');
    stage.check('the disk is as large as Azure made it', size() === 2 * before, () => `${size()} GB`);
  },
};
