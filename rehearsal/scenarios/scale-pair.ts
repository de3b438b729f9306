import { nameOf } from '../../azure/resource-id.ts';
import type { ServerRole } from '../../azure/vocabulary.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage/stage.ts';

/** Servers whose size was changed since then, in order. */
function scaledSince(stage: Stage, from: number): string[] {
  return stage.azure.operations
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
  environments: ['production'],
  begins: 'deployed',
  async run(stage) {
    const { server, replica } = stage.settings;
    const names = [server.name, replica?.name ?? ''];
    const size = (sku: string, first: ServerRole) => ({
      change: (input: { server: { sku: string }; changeFirst?: ServerRole | undefined }) => {
        input.server.sku = sku;
        input.changeFirst = first;
      },
    });
    const larger = 'GP_Standard_D8s_v3';

    const wrong = await stage.deploy(size(larger, 'primary'));
    stage.check('Azure refuses a primary that is larger than its replica', wrong.exitCode !== 0);
    stage.check('and says why', wrong.output.includes('ReplicaSmallerThanPrimary'), () => wrong.output);

    const before = stage.azure.operations.length;
    await stage.deployed(size(larger, 'replica'), 'the pair scales up');
    stage.check(
      'the replica was scaled first',
      scaledSince(stage, before).join() === [...names].reverse().join(),
      () => scaledSince(stage, before).join(),
    );
    await stage.unchanged('the order of changes is no change itself', size(larger, 'primary'));

    const grown = stage.azure.operations.length;
    await stage.deployed(size(server.sku, 'primary'), 'the pair scales down');
    stage.check('the primary was scaled first', scaledSince(stage, grown).join() === names.join(), () =>
      scaledSince(stage, grown).join(),
    );
  },
};
