import { administration } from '../../local/postgres/address.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage/stage.ts';

export const scenario: Scenario = {
  name: 'post-deploy-fails',
  title:
    'A failing post-deploy step fails the deployment, and the next deployment runs the step again, nothing else',
  environments: ['development', 'staging', 'production'],
  begins: 'deployed',
  async run(stage) {
    const { directory } = stage.azure;
    const [administrators] = stage.settings.server.authentication.administrators;
    const deployer = directory.options.client.objectId;
    const before = await partitions(stage);
    // Somebody takes the deploying identity out of the group under whose name it logs in.
    directory.removeMember(administrators?.objectId ?? '', deployer);
    const failed = await stage.refused(
      /local-exec provisioner error/,
      {
        change: (input) => {
          const monthsAhead = stage.settings.database.partitions.monthsAhead + 1;
          input.database.partitions = { ...input.database.partitions, monthsAhead };
        },
      },
      'the deployment fails with its post-deploy step',
    );
    const said = failed.steps.map(({ text }) => text);
    const { server } = stage.settings;
    const line = said.filter((text) => text.includes(` refused the login of ${administrators?.name}: `));
    stage.check(
      'the step says in one line which login was refused, why, and what to do',
      line.length === 1 &&
        line[0]?.startsWith(server.name) === true &&
        /: password authentication failed for user .*\. The user name must be the Entra principal .*must be its member.*: az login\.$/.test(
          line[0],
        ),
      () => said.join('; '),
    );
    stage.check('the database is as it was', (await partitions(stage)) === before);

    const { changes } = await stage.diff();
    stage.check(
      'the next plan is to run the step again, and nothing else',
      changes.length === 1 && /terraform_data\.post_deploy$/.test(changes[0] ?? ''),
      () => changes.join(', '),
    );
    directory.addMember(administrators?.objectId ?? '', deployer);
    const again = await stage.deployed({}, 'the next deployment runs the step again and succeeds');
    stage.check(
      'it verified the database',
      again.steps.some(({ text }) => /^Verified: /.test(text)),
    );
    const after = await partitions(stage);
    stage.check(
      'the partitions of one more month were made',
      after > before,
      () => `${before}, then ${after}`,
    );
  },
};

async function partitions({ postgres, settings }: Stage): Promise<number> {
  return within({ ...administration(postgres), database: settings.database.name }, async (client) => {
    const { rows } = await client.query<{ count: number }>('SELECT count(*)::int AS count FROM pg_inherits');
    return rows[0]?.count ?? 0;
  });
}
