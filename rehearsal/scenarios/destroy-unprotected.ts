import { resourceGroupOf } from '../../azure/resource-id.ts';
import { Operator } from '../sandbox/operator.ts';
import { reasonOf } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'destroy-unprotected',
  title:
    'Destroying an unprotected environment leaves nothing but the vault that Azure keeps for its retention period',
  needs: ['unprotected', 'noReplica'],
  isLong: true,
  startsFrom: 'deployed',
  waitSeconds: 120,
  endsWithEmptyPlan: false,
  async run(sandbox) {
    const { keyVault, location } = sandbox.settings;
    if (sandbox.quick)
      for (const type of [
        'Microsoft.Insights/diagnosticSettings',
        'Microsoft.Network/privateDnsZones/virtualNetworkLinks',
      ])
        new Operator(sandbox.azure).removeAll(type);
    const run = await sandbox.destroy();
    const failed = sandbox.azure.operations.flatMap(({ method, target, error }) =>
      error ? [`${method} ${target}: ${error.code}, ${error.message}`] : [],
    );
    sandbox.check('destroying succeeds', run.exitCode === 0, () => [reasonOf(run), ...failed].join('; '));
    const left = sandbox.azure.state
      .list()
      .map(({ id }) => id)
      .filter((id) => resourceGroupOf(id) !== undefined);
    sandbox.check('no resource is left', left.length === 0, () => left.join(', '));
    const kept = [...sandbox.azure.azure.memory.map('deletedVaults').keys()];
    sandbox.check(
      'Azure keeps the deleted vault and nothing else',
      kept.length === 1 && kept[0] === keyVault.name,
      () => `it keeps ${kept.join(', ') || 'nothing'} in ${location}`,
    );
    const { resources } = JSON.parse((await sandbox.stateText()) ?? '{}');
    sandbox.check('the state is empty', Array.isArray(resources) && resources.length === 0);
  },
};
