import { skus } from '../../azure/skus.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import type { Scenario } from '../sandbox/scenario.ts';

/** The first size with a standby. */
const smallestGeneral = skus.find(({ tier }) => tier === 'GeneralPurpose')?.name ?? '';

export const scenario: Scenario = {
  name: 'standby-after-burstable',
  title:
    'A Burstable server gets a larger tier and then a standby; both at once, and another mode, are refused in the plan',
  needs: ['burstable', 'zones', 'noReplica'],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    const larger = ({ server }: EnvironmentInput) => {
      server.sku = smallestGeneral;
    };
    const standby = (mode: 'ZoneRedundant' | 'SameZone' | undefined) => (input: EnvironmentInput) => {
      larger(input);
      if (mode === undefined) delete input.server.highAvailability;
      else
        input.server.highAvailability =
          mode === 'SameZone' ? { mode } : { mode, standbyZone: input.server.zone === '2' ? '1' : '2' };
    };
    const begun = Date.now();
    await sandbox.assertRefused(
      /is Burstable, and Azure does not change its tier and turn on high availability at once/,
      { change: standby('ZoneRedundant') },
      'both at once are refused',
    );
    const changes = sandbox.changesSince(begun);
    sandbox.check('Azure was asked to change nothing', changes.length === 0, () => changes.join(', '));
    await sandbox.assertDeploys({ change: standby(undefined) }, 'the tier alone is deployed');
    await sandbox.assertDeploys({ change: standby('ZoneRedundant') }, 'then the standby is deployed');

    const second = Date.now();
    await sandbox.assertRefused(
      /has a standby of another mode than SameZone/,
      { change: standby('SameZone') },
      'another mode is refused',
    );
    sandbox.check('nothing was changed', sandbox.changesSince(second).length === 0);
    await sandbox.assertDeploys({ change: standby(undefined) }, 'without the standby it is deployed');
    await sandbox.assertDeploys({ change: standby('SameZone') }, 'then the other mode is deployed');
  },
};
