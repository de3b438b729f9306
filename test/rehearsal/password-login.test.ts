// Duration: 60 s
/** Password login, deployed and operated as README.md says: one password, in two variables. */
import { afterAll, describe, expect, it } from 'vitest';
import { within } from '../../local/postgres/bootstrap.ts';
import { Sandbox } from '../../rehearsal/sandbox/sandbox.ts';
import { whyNoTerraform } from '../../rehearsal/terraform/installation.ts';
import { includesLong, takesMinutes } from '../support/extent.ts';
import { ownNearest } from '../support/own.ts';

const environment = ownNearest('noReplica', 'burstable');
const missing = await whyNoTerraform();
let sandbox: Sandbox | undefined;
afterAll(() => sandbox?.close());

describe('an environment with password login', () => {
  it('is deployed, verified and operated with PGPASSWORD', { timeout: 600_000 }, async (context) => {
    context.skip(missing !== undefined, missing);
    context.skip(!includesLong, takesMinutes);
    sandbox = await Sandbox.open({
      environment,
      quick: true,
      change: ({ server }) => {
        Object.assign(server.authentication, { passwordLogin: true, administratorLogin: 'llama_admin' });
      },
    });
    const { output } = await sandbox.assertDeploys();
    expect(output).toContain(`Database ${sandbox.settings.database.name} belongs to azure_pg_admin now`);
    const { rows } = await within(
      sandbox.postgres.connection('superuser', { database: sandbox.settings.database.name }),
      (client) => client.query('SELECT DISTINCT executor AS login FROM llama.releases'),
    );
    expect(rows).toEqual([{ login: 'llama_admin' }]);
    const verified = await sandbox.command('verify', environment, '--fail-on', 'high');
    expect(verified.output).not.toContain('ROL-');
    // Without it the same commands log in with an Entra token, as the group.
    const status = await sandbox.command('status', environment);
    expect(status.exitCode).toBe(0);
    await sandbox.assertEmptyPlan();
    await sandbox.assertInvariants();
  });
});
