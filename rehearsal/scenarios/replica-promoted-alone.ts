import { Operator } from '../sandbox/operator.ts';
import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'replica-promoted-alone',
  title: 'A plan does not replace a replica that an operator has promoted to a standalone server',
  needs: ['replica'],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    await new Operator(sandbox.azure).promoteAlone(sandbox.serverId('replica'));
    const { changes } = await sandbox.diff();
    sandbox.check(
      'no plan touches a server',
      changes.every((change) => !change.includes('azurerm_postgresql_flexible_server.')),
      () => changes.join(', '),
    );
  },
};
