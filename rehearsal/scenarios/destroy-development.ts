import { resourceGroupOf } from '../../azure/resource-id.ts';
import type { Scenario } from '../scenario.ts';
import { reasonOf } from '../stage/stage.ts';

export const scenario: Scenario = {
  name: 'destroy-development',
  title: 'Development is destroyed cleanly: nothing is left but the vault that Azure keeps for its retention',
  environments: ['development'],
  begins: 'deployed',
  endsDeployed: false,
  async run(stage) {
    const { keyVault, location } = stage.settings;
    if (stage.quick)
      for (const type of [
        'Microsoft.Insights/diagnosticSettings',
        'Microsoft.Network/privateDnsZones/virtualNetworkLinks',
      ])
        stage.removeByHand(type);
    const run = await stage.destroy();
    const failed = stage.azure.operations.flatMap(({ method, target, error }) =>
      error ? [`${method} ${target}: ${error.code}, ${error.message}`] : [],
    );
    stage.check('the destruction succeeds', run.exitCode === 0, () => [reasonOf(run), ...failed].join('; '));
    const left = stage.azure.state
      .list()
      .map(({ id }) => id)
      .filter((id) => resourceGroupOf(id) !== undefined);
    stage.check('no resource is left', left.length === 0, () => left.join(', '));
    const kept = [...stage.azure.azure.memory.map('deletedVaults').keys()];
    stage.check(
      'Azure keeps the deleted vault, and nothing else',
      kept.length === 1 && kept[0] === keyVault.name,
      () => `it keeps ${kept.join(', ') || 'nothing'} in ${location}`,
    );
    const state = (await stage.project.artefacts()).get(`${stage.environment}.tfstate`);
    const { resources } = JSON.parse(state?.toString() ?? '{}');
    stage.check('the state is empty', Array.isArray(resources) && resources.length === 0);
  },
};
