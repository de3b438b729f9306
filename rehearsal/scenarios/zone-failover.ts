import { textAt } from '../../core/json.ts';
import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'zone-failover',
  title: 'A failover to the standby exchanges the zones, keeps committed rows, and leaves an empty plan',
  needs: ['zoneRedundant'],
  prefers: ['replica'],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    const zones = () => {
      const properties = sandbox.serverProperties('primary');
      return [
        textAt(properties, 'availabilityZone'),
        textAt(properties, 'highAvailability', 'standbyAvailabilityZone'),
      ].join();
    };
    const before = zones();
    const restarts = sandbox.postgres.restarts;
    await sandbox.azure.incidents.failOver(sandbox.serverId('primary'));
    sandbox.check('PostgreSQL has crashed and recovered', sandbox.postgres.restarts === restarts + 1);
    sandbox.check('the zones are exchanged', zones() === before.split(',').reverse().join(), zones);
    const run = await sandbox.assertDeploys({}, 'a deployment in the other zone succeeds');
    sandbox.check('it changed nothing', run.resources.length === 0);
  },
};
