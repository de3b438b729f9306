import { Operator } from '../operator.ts';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'replica-promoted-alone',
  title: 'A replica that somebody made a server of its own is not replaced behind their back',
  environments: ['production'],
  begins: 'deployed',
  async run(stage) {
    await new Operator(stage.azure).promoteAlone(stage.serverId('replica'));
    const { changes } = await stage.diff();
    stage.check(
      'no plan touches a server',
      changes.every((change) => !change.includes('azurerm_postgresql_flexible_server.')),
      () => changes.join(', '),
    );
  },
};
