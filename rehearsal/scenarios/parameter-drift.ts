import { textAt } from '../../core/json.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { Operator } from '../sandbox/operator.ts';
import type { Scenario } from '../sandbox/scenario.ts';

const name = 'log_min_duration_statement';
const address = `azurerm_postgresql_flexible_server_configuration.server_parameters_${name}`;

export const scenario: Scenario = {
  name: 'parameter-drift',
  title: 'The plan shows a server parameter that was changed by hand, and the next deployment restores it',
  needs: [],
  startsFrom: 'deployed',
  async run(sandbox) {
    const current = () =>
      within(sandbox.postgres.connection('superuser'), async (client) => {
        const { rows } = await client.query<{ setting: string }>(
          'SELECT setting FROM pg_settings WHERE name = $1',
          [name],
        );
        return rows[0]?.setting;
      });
    const before = await current();
    await new Operator(sandbox.azure).setParameter(sandbox.serverId('primary'), name, '5');
    sandbox.check('PostgreSQL has the changed value', (await current()) === '5');
    const { changes } = await sandbox.diff();
    sandbox.check(
      'the plan changes this parameter and nothing else',
      changes.join() === `update ${address}`,
      () => changes.join(', '),
    );
    await sandbox.assertDeploys({}, 'the deployment succeeds');
    sandbox.check('PostgreSQL has the value of the settings again', (await current()) === before);
    const stored = sandbox.azure.state.get(`${sandbox.serverId('primary')}/configurations/${name}`);
    sandbox.check('Azure has it as well', textAt(stored?.body, 'properties', 'value') === before);
  },
};
