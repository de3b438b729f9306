import { textAt } from '../../core/json.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { Operator } from '../operator.ts';
import type { Scenario } from '../scenario.ts';

const name = 'log_min_duration_statement';
const address = `azurerm_postgresql_flexible_server_configuration.server_parameters_${name}`;

export const scenario: Scenario = {
  name: 'parameter-drift',
  title: 'A server parameter changed by hand is shown by the plan and put back by the next deployment',
  environments: ['development', 'staging', 'production'],
  begins: 'deployed',
  async run(stage) {
    const shown = () =>
      within(stage.postgres.connection('superuser'), async (client) => {
        const { rows } = await client.query<{ setting: string }>(
          'SELECT setting FROM pg_settings WHERE name = $1',
          [name],
        );
        return rows[0]?.setting;
      });
    const before = await shown();
    await new Operator(stage.azure).setParameter(stage.serverId('primary'), name, '5');
    stage.check('PostgreSQL has the changed value', (await shown()) === '5');
    const { changes } = await stage.diff();
    stage.check('the plan names the parameter and nothing else', changes.join() === `update ${address}`, () =>
      changes.join(', '),
    );
    await stage.deployed({}, 'the deployment succeeds');
    stage.check('PostgreSQL has the value of the settings again', (await shown()) === before);
    const stored = stage.azure.state.get(`${stage.serverId('primary')}/configurations/${name}`);
    stage.check('Azure has it too', textAt(stored?.body, 'properties', 'value') === before);
  },
};
