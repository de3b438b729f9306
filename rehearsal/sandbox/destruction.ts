/** Destroys an environment and checks that nothing is left of it. */
import { resourceGroupOf } from '../../azure/resource-id.ts';
import { Operator } from './operator.ts';
import { reasonOf, type Sandbox } from './sandbox.ts';

/** @throws Fault if the destruction fails, or if anything is left but the vault that Azure keeps for its retention period */
export async function assertDestroys(sandbox: Sandbox): Promise<void> {
  const { keyVault, location } = sandbox.settings;
  // azurerm waits minutes for each of these.
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
}
