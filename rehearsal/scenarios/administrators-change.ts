import type { EnvironmentInput } from '../../environments/settings.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';

type Administrators = EnvironmentInput['server']['authentication']['administrators'];

const second = {
  name: 'second-database-admins',
  objectId: '7a1d0c4e-93b5-4f6a-8c2e-5b0f9d3e6a17',
  type: 'Group',
} as const;

/** Roles other than Azure's own that may act as the owner now, by themselves or through others. */
async function owners(sandbox: Sandbox): Promise<string> {
  return within(
    sandbox.postgres.connection('superuser', { database: sandbox.settings.database.name }),
    async (client) => {
      const { rows } = await client.query<{ names: string | null }>(
        `SELECT string_agg(rolname, ', ' ORDER BY rolname) AS names FROM pg_roles
          WHERE NOT rolsuper AND rolcanlogin AND pg_has_role(rolname, 'llama_owner', 'SET')`,
      );
      return rows[0]?.names ?? '';
    },
  );
}

export const scenario: Scenario = {
  name: 'administrators-change',
  title:
    'Entra administrators are renamed, added, put first and replaced, each in one deployment, and those that left own nothing',
  needs: ['passwordlessLogin', 'noReplica'],
  prefers: ['burstable'],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    const { directory } = sandbox.azure;
    directory.addMember(second.objectId, directory.options.client.objectId);
    const change = async (
      claim: string,
      administrators: (present: Administrators) => Administrators,
      expected: readonly string[],
    ) => {
      const run = await sandbox.assertDeploys(
        {
          // A migration that is not applied yet would need them; another retention makes the step run in any case.
          change: ({ server: { authentication }, database }) => {
            authentication.administrators = administrators(authentication.administrators);
            database.logins = [...(database.logins ?? [])].reverse();
          },
        },
        claim,
      );
      sandbox.check('the post-deploy step verified the database', /Verified: \d+ passed/.test(run.output));
      const found = await owners(sandbox);
      sandbox.check(
        'only the listed administrators may act as the owner',
        found === [...expected].sort().join(', '),
        () => found,
      );
    };
    const [own] = sandbox.settings.server.authentication.administrators;
    if (!own) throw new Error('the environment has no administrator');
    const renamed = { ...own, name: `${own.name}-renamed` };
    await change('the only administrator is renamed', () => [renamed], [renamed.name]);
    await change('the new name becomes the old one again', () => [own], [own.name]);
    await change('a second one is put first', () => [second, own], [own.name, second.name]);
    await change('their order changes', () => [own, second], [own.name, second.name]);
    await change('the first one leaves', () => [second], [second.name]);
    await change('the last one is replaced', () => [own], [own.name]);
  },
};
