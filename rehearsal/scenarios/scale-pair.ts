import { nameOf } from '../../azure/resource-id.ts';
import type { ServerRole } from '../../azure/vocabulary.ts';
import { textAt } from '../../core/json.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';
import { nextSize } from '../sandbox/variants.ts';

/** Names of the servers that were scaled since operation number `from`, in order. */
function scaledSince(sandbox: Sandbox, from: number): string[] {
  return sandbox.azure.operations
    .slice(from)
    .filter(
      ({ method, type, outcome }) =>
        method === 'PATCH' && /flexibleServers$/i.test(type) && outcome === 'Succeeded',
    )
    .map(({ target }) => nameOf(target));
}

export const scenario: Scenario = {
  name: 'scale-pair',
  title: 'A pair scales up from its replica and down from its primary, in one deployment each',
  needs: ['replica'],
  isLong: true,
  startsFrom: 'deployed',
  waitSeconds: 60,
  async run(sandbox) {
    const { server, replica } = sandbox.settings;
    const names = [server.name, replica?.name ?? ''];
    const size = (sku: string, first: ServerRole) => ({
      change: (input: { server: { sku: string }; changeFirst?: ServerRole | undefined }) => {
        input.server.sku = sku;
        input.changeFirst = first;
      },
    });
    const { name: larger, maxConnectionsDefault } = nextSize(server.sku);

    const begun = Date.now();
    await sandbox.assertRefused(
      /a replica has at least the vCores and memory of its primary\. Set changeFirst to 'replica'/,
      size(larger, 'primary'),
      'a primary that is larger than its replica is refused',
    );
    sandbox.check('Azure was asked to change nothing', sandbox.changesSince(begun).length === 0);

    const before = sandbox.azure.operations.length;
    await sandbox.assertDeploys(size(larger, 'replica'), 'the pair scales up');
    sandbox.check(
      'the replica was scaled first',
      scaledSince(sandbox, before).join() === [...names].reverse().join(),
      () => scaledSince(sandbox, before).join(),
    );
    const connections = (role: ServerRole) => {
      const id = `${sandbox.serverId(role)}/configurations/max_connections`;
      const stored = sandbox.azure.state.get(id)?.body;
      return { set: textAt(stored, 'properties', 'value'), inForce: textAt(stored, 'inForce') };
    };
    const [primary, copy] = [connections('primary'), connections('replica')];
    sandbox.check(
      'both servers have the connections of the new size in force',
      [primary.set, primary.inForce, copy.set, copy.inForce].every(
        (one) => one === String(maxConnectionsDefault),
      ),
      () => JSON.stringify({ primary, copy }),
    );
    await sandbox.assertEmptyPlan('another order of changes is not a change itself', size(larger, 'primary'));

    await sandbox.assertRefused(
      /would be smaller than its size.*Set changeFirst to 'primary'/,
      size(server.sku, 'replica'),
      'a replica that is smaller than its primary is refused',
    );
    const grown = sandbox.azure.operations.length;
    await sandbox.assertDeploys(size(server.sku, 'primary'), 'the pair scales down');
    sandbox.check('the primary was scaled first', scaledSince(sandbox, grown).join() === names.join(), () =>
      scaledSince(sandbox, grown).join(),
    );
  },
};
