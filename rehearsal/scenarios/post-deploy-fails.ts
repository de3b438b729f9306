import { administration } from '../../local/postgres/address.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { hasError } from '../sandbox/commands.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'post-deploy-fails',
  title: 'A failing post-deploy step fails the deployment, and the next deployment only runs the step again',
  needs: [],
  startsFrom: 'deployed',
  async run(sandbox) {
    const { directory } = sandbox.azure;
    const [administrators] = sandbox.settings.server.authentication.administrators;
    const deployer = directory.options.client.objectId;
    const before = await partitions(sandbox);
    // The deploying identity leaves the group under whose name it logs in.
    directory.removeMember(administrators?.objectId ?? '', deployer);
    const failed = await sandbox.assertRefused(
      /local-exec provisioner error/,
      {
        change: (input) => {
          const monthsAhead = sandbox.settings.database.partitions.monthsAhead + 1;
          input.database.partitions = { ...input.database.partitions, monthsAhead };
        },
      },
      'the deployment fails in its post-deploy step',
    );
    const lines = failed.steps.map(({ text }) => text);
    const login = administrators?.name ?? '';
    sandbox.check(
      'the step reports in one line which login was refused, the reason and the remedy',
      hasError(
        lines.join('\n'),
        'connection/login-refused',
        ...[sandbox.deployment.primary.host, sandbox.deployment.database],
        `refused the login of ${login}: password authentication failed for user "${login}"`,
        ...['sign in as a member of it', 'az login'],
      ),
      () => lines.join('; '),
    );
    sandbox.check('the database is unchanged', (await partitions(sandbox)) === before);

    const { changes } = await sandbox.diff();
    sandbox.check(
      'the next plan only runs the step again',
      changes.length === 1 && /terraform_data\.post_deploy$/.test(changes[0] ?? ''),
      () => changes.join(', '),
    );
    directory.addMember(administrators?.objectId ?? '', deployer);
    const again = await sandbox.assertDeploys({}, 'the next deployment runs the step again and succeeds');
    sandbox.check(
      'it verified the database',
      again.steps.some(({ text }) => /^Verified: /.test(text)),
    );
    const after = await partitions(sandbox);
    sandbox.check(
      'the partitions of one more month were created',
      after > before,
      () => `${before}, then ${after}`,
    );
  },
};

async function partitions({ postgres, settings }: Sandbox): Promise<number> {
  return within({ ...administration(postgres), database: settings.database.name }, async (client) => {
    const { rows } = await client.query<{ count: number }>('SELECT count(*)::int AS count FROM pg_inherits');
    return rows[0]?.count ?? 0;
  });
}
