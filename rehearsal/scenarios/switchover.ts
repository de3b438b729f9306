import { nameOf } from '../../azure/resource-id.ts';
import type { ServerRole } from '../../azure/vocabulary.ts';
import { textAt } from '../../core/json.ts';
import { serverBehind } from '../../local/azure/index.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { Operator } from '../sandbox/operator.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';

/** High availability mode of a server; only the server that accepts writes has one. */
function availability(sandbox: Sandbox, which: ServerRole): string | undefined {
  return textAt(sandbox.serverProperties(which), 'highAvailability', 'mode');
}

/** Number of rows of the ledger, on the server that accepts writes. */
async function ledger(sandbox: Sandbox): Promise<string> {
  const writer = await sandbox.writer();
  return within(
    writer.connection('superuser', { database: sandbox.settings.database.name }),
    async (client) => {
      const { rows } = await client.query<{ rows: string; standby: boolean }>(
        'SELECT count(*) AS rows, pg_is_in_recovery() AS standby FROM llama.schema_migrations',
      );
      return rows[0]?.standby ? 'the writer is a standby' : (rows[0]?.rows ?? '');
    },
  );
}

async function switchTo(sandbox: Sandbox, to: ServerRole, from: ServerRole): Promise<void> {
  const { virtualEndpoint } = sandbox.settings;
  const resolved = (role: string) =>
    nameOf(
      serverBehind(sandbox.azure.azure, `${virtualEndpoint?.name}.${role}.postgres.database.azure.com`) ?? '',
    );
  const [migrations, resource] = [await ledger(sandbox), sandbox.serverId(to)];
  await new Operator(sandbox.azure).switchOver(resource);
  sandbox.check(
    `the ${to} accepts writes and has every committed row`,
    (await ledger(sandbox)) === migrations,
  );
  sandbox.check(`the writer endpoint resolves to the ${to}`, resolved('writer') === nameOf(resource), () =>
    resolved('writer'),
  );
  sandbox.check(
    `the reader endpoint resolves to the ${from}`,
    resolved('reader') === nameOf(sandbox.serverId(from)),
  );
  sandbox.check('the switchover has disabled high availability', availability(sandbox, from) === 'Disabled');

  const follow = (input: { writer?: ServerRole | undefined }) => {
    input.writer = to;
  };
  const run = await sandbox.assertDeploys({ change: follow }, `a deployment with writer: '${to}' succeeds`);
  sandbox.check('the new writer has a standby again', availability(sandbox, to) === 'ZoneRedundant', () =>
    String(availability(sandbox, to)),
  );
  sandbox.check('the other server has no standby', availability(sandbox, from) === 'Disabled');
  sandbox.check('the post-deploy step verified the database', /Verified: \d+ passed/.test(run.output));
  const replaced = run.resources.filter(({ action }) => action !== 'update' && action !== 'read');
  sandbox.check(
    'only the post-deploy step was replaced',
    replaced.every(({ address }) => address.startsWith('terraform_data.')),
    () => replaced.map(({ action, address }) => `${action} ${address}`).join(', '),
  );
  await sandbox.assertEmptyPlan(`the plan is empty while the ${to} accepts writes`);
}

export const scenario: Scenario = {
  name: 'switchover',
  title:
    'After a switchover to the replica and back, endpoints and settings follow, and no server is replaced',
  needs: ['replica', 'virtualEndpoint', 'zoneRedundant'],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    await switchTo(sandbox, 'replica', 'primary');
    await switchTo(sandbox, 'primary', 'replica');
  },
};
