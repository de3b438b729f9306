import { nameOf } from '../../azure/resource-id.ts';
import type { ServerRole } from '../../azure/vocabulary.ts';
import { textAt } from '../../core/json.ts';
import { serverBehind } from '../../local/azure/index.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { Operator } from '../operator.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage/stage.ts';

/** What belongs to the server that takes writes, and to it alone. */
function availability(stage: Stage, which: ServerRole): string | undefined {
  return textAt(stage.serverProperties(which), 'highAvailability', 'mode');
}

/** Rows of the ledger, on the server that takes writes. */
async function ledger(stage: Stage): Promise<string> {
  const writer = await stage.writer();
  return within(
    writer.connection('superuser', { database: stage.settings.database.name }),
    async (client) => {
      const { rows } = await client.query<{ rows: string; standby: boolean }>(
        'SELECT count(*) AS rows, pg_is_in_recovery() AS standby FROM llama.schema_migrations',
      );
      return rows[0]?.standby ? 'the writer is a standby' : (rows[0]?.rows ?? '');
    },
  );
}

async function switchTo(stage: Stage, to: ServerRole, from: ServerRole): Promise<void> {
  const { virtualEndpoint } = stage.settings;
  const leads = (role: string) =>
    nameOf(
      serverBehind(stage.azure.azure, `${virtualEndpoint?.name}.${role}.postgres.database.azure.com`) ?? '',
    );
  const [migrations, resource] = [await ledger(stage), stage.serverId(to)];
  await new Operator(stage.azure).switchOver(resource);
  stage.check(
    `the ${to} takes writes, with everything that was committed`,
    (await ledger(stage)) === migrations,
  );
  stage.check(`the writer’s name leads to the ${to}`, leads('writer') === nameOf(resource), () =>
    leads('writer'),
  );
  stage.check(`the reader’s name leads to the ${from}`, leads('reader') === nameOf(stage.serverId(from)));
  stage.check('high availability has ended with it', availability(stage, from) === 'Disabled');

  const follow = (input: { writer?: ServerRole | undefined }) => {
    input.writer = to;
  };
  const run = await stage.deployed({ change: follow }, `the deployment that says writer: '${to}' succeeds`);
  stage.check('the new writer has a standby again', availability(stage, to) === 'ZoneRedundant', () =>
    String(availability(stage, to)),
  );
  stage.check('the other one has none', availability(stage, from) === 'Disabled');
  stage.check('the post-deploy step verified the database', /Verified: \d+ passed/.test(run.output));
  const replaced = run.resources.filter(({ action }) => action !== 'update' && action !== 'read');
  stage.check(
    'nothing but the post-deploy step was made anew',
    replaced.every(({ address }) => address.startsWith('terraform_data.')),
    () => replaced.map(({ action, address }) => `${action} ${address}`).join(', '),
  );
  await stage.unchanged(`the plan is empty while the ${to} takes writes`);
}

export const scenario: Scenario = {
  name: 'switchover',
  title:
    'A switchover to the replica and back: the names follow, the settings follow, and nothing is replaced',
  environments: ['production'],
  begins: 'deployed',
  async run(stage) {
    await switchTo(stage, 'replica', 'primary');
    await switchTo(stage, 'primary', 'replica');
  },
};
