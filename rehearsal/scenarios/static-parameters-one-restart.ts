import { administration } from '../../local/postgres/address.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';

/** Static parameters without a limit inherited by the replica, so that the order of the two servers does not matter. */
const parameters = { track_activity_query_size: 2048, wal_buffers: 1024, max_logical_replication_workers: 6 };
const changed = Object.keys(parameters);

export const scenario: Scenario = {
  name: 'static-parameters-one-restart',
  title:
    'Changing several static parameters restarts the server once, at the end, and leaves no pending restart',
  needs: [],
  prefers: ['replica'],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    const moment = Date.now();
    const server = await sandbox.writer();
    const before = server.restarts;
    const run = await sandbox.assertDeploys({
      change: (input) => {
        input.server.parameters = { ...input.server.parameters, ...parameters };
      },
    });
    const done = sandbox.changesSince(moment);
    const set = changed.filter((name) => done.some((change) => change.endsWith(`/configurations/${name}`)));
    sandbox.check('every parameter was set', set.length === changed.length, () => `only ${set.join(', ')}`);
    const asked = done.filter((change) => change.endsWith('/restart'));
    sandbox.check(
      'Azure was asked for one restart per server',
      asked.length > 0 && new Set(asked).size === asked.length,
      () => asked.join(', ') || 'it was asked for no restart',
    );
    const restarts = server.restarts - before;
    sandbox.check(
      'PostgreSQL was restarted once',
      restarts === 1,
      () => `it was restarted ${restarts} times`,
    );
    const lines = run.steps.map(({ text }) => text).join('; ');
    sandbox.check(
      'the post-deploy step named the parameters',
      lines.includes('track_activity_query_size'),
      () => lines,
    );
    const state = await inForce(sandbox);
    sandbox.check(
      'the values are in force, and no restart is pending',
      state.pending === 0 && state.size === '2kB',
      () => JSON.stringify(state),
    );
    const again = Date.now();
    await sandbox.assertDeploys({}, 'the next deployment succeeds');
    sandbox.check('it restarts nothing', sandbox.changesSince(again).length === 0);
  },
};

async function inForce(sandbox: Sandbox): Promise<{ readonly pending: number; readonly size: string }> {
  return within(administration(await sandbox.writer()), async (client) => {
    const { rows } = await client.query<{ pending: number; size: string }>(
      `SELECT count(*) FILTER (WHERE pending_restart)::int AS pending,
              current_setting('track_activity_query_size') AS size FROM pg_settings`,
    );
    return rows[0] ?? { pending: -1, size: '' };
  });
}
