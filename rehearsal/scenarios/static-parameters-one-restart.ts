import { administration } from '../../local/postgres/address.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage/stage.ts';

/** Static parameters that no limit of the replica follows, so that the order of the two servers is free. */
const parameters = { track_activity_query_size: 2048, wal_buffers: 1024, max_logical_replication_workers: 6 };
const changed = Object.keys(parameters);

export const scenario: Scenario = {
  name: 'static-parameters-one-restart',
  title:
    'Several static parameters changed at once restart the server once, at the end, and nothing waits afterwards',
  environments: ['production', 'staging', 'development'],
  begins: 'deployed',
  async run(stage) {
    const moment = Date.now();
    const server = await stage.writer();
    const before = server.restarts;
    const run = await stage.deployed({
      change: (input) => {
        input.server.parameters = { ...input.server.parameters, ...parameters };
      },
    });
    const done = stage.changesSince(moment);
    const set = changed.filter((name) => done.some((change) => change.endsWith(`/configurations/${name}`)));
    stage.check('every parameter was set', set.length === changed.length, () => `only ${set.join(', ')}`);
    const asked = done.filter((change) => change.endsWith('/restart'));
    stage.check(
      'Azure was asked for one restart of each server that waited for one',
      asked.length > 0 && new Set(asked).size === asked.length,
      () => asked.join(', ') || 'it was asked for none',
    );
    const restarts = server.restarts - before;
    stage.check('PostgreSQL was restarted once', restarts === 1, () => `it was restarted ${restarts} times`);
    const words = run.steps.map(({ text }) => text).join('; ');
    stage.check(
      'the post-deploy step said what for',
      words.includes('track_activity_query_size'),
      () => words,
    );
    const state = await inForce(stage);
    stage.check(
      'the values are in force, and nothing waits for a restart',
      state.pending === 0 && state.size === '2kB',
      () => JSON.stringify(state),
    );
    const again = Date.now();
    await stage.deployed({}, 'the next deployment succeeds');
    stage.check('it restarts nothing', stage.changesSince(again).length === 0);
  },
};

async function inForce(stage: Stage): Promise<{ readonly pending: number; readonly size: string }> {
  return within(administration(await stage.writer()), async (client) => {
    const { rows } = await client.query<{ pending: number; size: string }>(
      `SELECT count(*) FILTER (WHERE pending_restart)::int AS pending,
              current_setting('track_activity_query_size') AS size FROM pg_settings`,
    );
    return rows[0] ?? { pending: -1, size: '' };
  });
}
