import { textAt } from '../../core/json.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { Operator } from '../sandbox/operator.ts';
import type { Scenario } from '../sandbox/scenario.ts';

/** The one finding that a local PostgreSQL of the former version causes. */
const onlyVersion = /1 at high or above: SET-018 /;

export const scenario: Scenario = {
  name: 'version-upgraded',
  title:
    'A pair gets the next major version without its replica, which is created again; with it the plan is refused',
  needs: ['replica', 'virtualEndpoint', 'upgradable'],
  isLong: true,
  startsFrom: 'deployed',
  waitSeconds: 120,
  // The local PostgreSQL keeps its version, so the post-deploy step fails at the end of each deployment after the upgrade.
  endsWithEmptyPlan: false,
  async run(sandbox) {
    const kept: Pick<EnvironmentInput, 'replica' | 'virtualEndpoint'> = {};
    const { version: own } = sandbox.settings.server;
    const next = own + 1;
    const begun = Date.now();
    await sandbox.assertRefused(
      new RegExp(`has another major version than ${next}, and Azure upgrades no server with a replica`),
      {
        change: ({ server }) => {
          server.version = next;
        },
      },
      'an upgrade beside a replica is refused',
    );
    const changes = sandbox.changesSince(begun);
    sandbox.check('Azure was asked to change nothing', changes.length === 0, () => changes.join(', '));

    await sandbox.assertDeploys(
      {
        change: ({ server, protection }) => {
          server.version = own;
          protection.deletionLock = 'lifted';
        },
      },
      'a deployment lifts the locks',
    );
    if (sandbox.quick)
      new Operator(sandbox.azure).removeAll(
        'Microsoft.Insights/diagnosticSettings',
        sandbox.serverId('replica'),
      );
    const upgradedAt = Date.now();
    await sandbox.assertRefused(
      onlyVersion,
      {
        change: (input) => {
          Object.assign(kept, { replica: input.replica, virtualEndpoint: input.virtualEndpoint });
          delete input.replica;
          delete input.virtualEndpoint;
          input.server.version = next;
        },
      },
      'one deployment removes the replica and then upgrades the primary; only the version of the local PostgreSQL differs',
    );
    const order = sandbox
      .changesSince(upgradedAt)
      .filter((line) => /flexibleServers\/[^/]+$/.test(line))
      .map((line) => line.split(' ')[0]);
    sandbox.check('the replica went first', order.join() === 'DELETE,PATCH', () => order.join());
    const version = () => textAt(sandbox.serverProperties('primary'), 'version');
    sandbox.check(`the primary has version ${next}`, version() === `${next}`, () => String(version()));
    await sandbox.assertRefused(
      onlyVersion,
      { change: (input) => Object.assign(input, kept) },
      'a deployment creates the replica again',
    );
    sandbox.check(
      `the replica has version ${next}`,
      textAt(sandbox.serverProperties('replica'), 'version') === `${next}`,
    );
  },
};
