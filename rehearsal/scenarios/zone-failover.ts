import { textAt } from '../../core/json.ts';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'zone-failover',
  title:
    'A failover to the standby exchanges the zones, keeps what was committed, and leaves nothing to change',
  environments: ['production'],
  begins: 'deployed',
  async run(stage) {
    const zones = () => {
      const properties = stage.serverProperties('primary');
      return [
        textAt(properties, 'availabilityZone'),
        textAt(properties, 'highAvailability', 'standbyAvailabilityZone'),
      ].join();
    };
    const before = zones();
    const restarts = stage.postgres.restarts;
    await stage.azure.incidents.failOver(stage.serverId('primary'));
    stage.check('PostgreSQL crashed and recovered', stage.postgres.restarts === restarts + 1);
    stage.check('the zones are exchanged', zones() === before.split(',').reverse().join(), zones);
    const run = await stage.deployed({}, 'a deployment in the other zone succeeds');
    stage.check('it changed nothing', run.resources.length === 0);
  },
};
