/** Servers and standby as Azure has them: ready, healthy, in their zones. */
import { azUpdate, leftToAzure, overAzure, overServers, serverObject } from '../azure/judging.ts';
import { checksOf } from '../check.ts';

export const checks = checksOf('azure', [
  {
    id: 'AZU-001',
    name: 'servers-ready',
    severity: 'critical',
    title: 'Both servers are ready',
    inspects: 'properties.state of the Flexible Servers',
    why: 'A server that is stopped, disabled (its key is gone) or being dropped serves nobody, and one that is updating refuses the next change.',
    remedy:
      'az postgres flexible-server show, then start it, or wait; a disabled server needs its customer-managed key back.',
    source: 'Microsoft Learn, Azure Database for PostgreSQL (server states)',
    run: (input) =>
      overAzure(input, (azure) =>
        overServers(
          azure,
          ({ server }) =>
            server.state === 'Ready' ? [] : [{ object: serverObject(server), detail: `is ${server.state}` }],
          ({ server }) => server.state,
        ),
      ),
  },
  {
    id: 'AZU-002',
    name: 'high-availability-mode',
    severity: 'high',
    title: 'High availability is as the settings say',
    inspects: 'properties.highAvailability.mode, by the role of each server',
    why: 'Without its standby a failing zone takes the database with it for as long as a restore takes.',
    remedy:
      'az postgres flexible-server update with the option that the finding names; a switchover leaves the new writer without a standby.',
    source: `APRL and azqr (zone redundancy); ${leftToAzure}`,
    run: (input) =>
      overAzure(input, (azure) =>
        overServers(
          azure,
          ({ server, expected }) => {
            const { mode } = server.highAvailability;
            if (mode === expected.highAvailability) return [];
            const command = azUpdate(server, `--high-availability ${expected.highAvailability}`);
            return [
              {
                object: serverObject(server),
                detail: `high availability is ${mode}, settings say ${expected.highAvailability}: ${command}`,
              },
            ];
          },
          ({ server }) => server.highAvailability.mode,
        ),
      ),
  },
  {
    id: 'AZU-003',
    name: 'standby-healthy',
    severity: 'high',
    title: 'The standby is healthy',
    inspects: 'properties.highAvailability.state where a standby is asked for and there is one',
    why: 'A standby that is still copying, or that lost its connection, cannot take over: the mode alone says nothing.',
    remedy: 'Wait while it replicates; open Resource health of the server when it stays that way.',
    source: 'Microsoft Learn, High availability (states)',
    run: (input) =>
      overAzure(input, (azure) =>
        overServers(
          azure,
          ({ server: { highAvailability: standby, ...server } }) =>
            standby.mode === 'Disabled' || standby.state === 'Healthy'
              ? []
              : [{ object: `server ${server.name}`, detail: `its standby is ${standby.state}` }],
          ({ server }) => server.highAvailability.state,
        ),
      ),
  },
  {
    id: 'AZU-004',
    name: 'availability-zones',
    severity: 'medium',
    title: 'Server and standby lie in the zones of the settings, whichever has which',
    inspects: 'availabilityZone and standbyAvailabilityZone; a failover exchanges the two',
    why: 'Applications are placed beside the zones of the settings; in a third one every query crosses zones, and in the same one a standby is worth nothing.',
    remedy:
      'Switch high availability off and on again with the zones of the settings, or take the new zones into them.',
    source: leftToAzure,
    run: (input) =>
      overAzure(input, (azure) =>
        overServers(
          azure,
          ({ server, expected }) => {
            const standby = server.highAvailability;
            const object = serverObject(server);
            if (standby.mode === 'ZoneRedundant' && standby.standbyZone === server.zone) {
              return [{ object, detail: `server and standby both lie in zone ${server.zone}` }];
            }
            const zones = [
              server.zone,
              ...(standby.mode === 'ZoneRedundant' ? [standby.standbyZone] : []),
            ].sort();
            // Where there is no standby although one is asked for, that is AZU-002's to say.
            if (!expected.zones || expected.zones.length !== zones.length) return [];
            const wanted = [...expected.zones].sort();
            return zones.join() === wanted.join()
              ? []
              : [{ object, detail: `lies in ${zones.join(' and ')}, settings say ${wanted.join(' and ')}` }];
          },
          ({ server }) => `zone ${server.zone}`,
        ),
      ),
  },
]);
