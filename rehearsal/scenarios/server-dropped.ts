import { textAt } from '../../core/json.ts';
import { serverType } from '../../local/azure/providers/postgresql/server.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { Operator } from '../sandbox/operator.ts';
import type { DeployOptions, Sandbox } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';

/** The migrations that the database has. */
function ledger({ postgres, settings }: Sandbox): Promise<string> {
  return within(postgres.connection('superuser', { database: settings.database.name }), async (client) => {
    const { rows } = await client.query<{ names: string }>(
      "SELECT string_agg(version || applied_at, ',' ORDER BY id) AS names FROM llama.schema_migrations",
    );
    return rows[0]?.names ?? '';
  });
}

export const scenario: Scenario = {
  name: 'server-dropped',
  title:
    'A server that was deleted in Azure is not created again, empty, unless the lock is lifted; revived, it continues',
  needs: ['lock', 'noReplica', 'standby'],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    const { state } = sandbox.azure;
    const id = sandbox.serverId('primary');
    const before = await ledger(sandbox);
    const deletedAt = new Date().toISOString();
    const operator = new Operator(sandbox.azure);
    await operator.send('DELETE', id);
    const begun = Date.now();
    await sandbox.assertRefused(
      /terraform_data\.protected_(?:server|database)_id has lifecycle\.prevent_destroy/,
      {},
      'a deployment that would create it again is refused',
    );
    const changes = sandbox.changesSince(begun);
    sandbox.check('Azure was asked to change nothing', changes.length === 0, () => changes.join(', '));
    sandbox.check('there is no server', state.ofType(serverType).length === 0);
    const lock = (deletionLock: 'inPlace' | 'lifted'): DeployOptions => ({
      change: ({ protection }) => {
        protection.deletionLock = deletionLock;
      },
    });
    const { changes: planned } = await sandbox.diff(lock('lifted'));
    sandbox.check(
      'with the lock lifted the plan creates it',
      planned.includes('create azurerm_postgresql_flexible_server.server'),
      () => planned.join(', '),
    );
    // The body of the request in docs/recovery.md.
    await operator.send('PUT', id, {
      location: sandbox.settings.location,
      properties: {
        createMode: 'ReviveDropped',
        pointInTimeUTC: deletedAt,
        sourceServerResourceId: id,
        backup: { geoRedundantBackup: sandbox.settings.server.backup.geoRedundant ? 'Enabled' : 'Disabled' },
      },
    });
    sandbox.check('the revived server has the rows', (await ledger(sandbox)) === before);
    await sandbox.assertDeploys(lock('inPlace'), 'the next deployment restores the settings of the server');
    sandbox.check('it kept the rows', (await ledger(sandbox)) === before);
    sandbox.check(
      'the server has its standby again',
      textAt(sandbox.serverProperties('primary'), 'highAvailability', 'mode') ===
        sandbox.settings.server.highAvailability?.mode,
    );
  },
};
