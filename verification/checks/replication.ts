import { checksOf, type Finding } from '../check.ts';
import { blind, counted, judge, skip } from '../outcome.ts';

const gigabyte = 2 ** 30;
const lagBytesLimit = gigabyte;
const lagSecondsLimit = 300;
const retainedBytesLimit = gigabyte;

const inGigabytes = (bytes: number) => `${(bytes / gigabyte).toFixed(1)} GB`;

const local = "the server is not Azure's, which creates the replica";

export const checks = checksOf('replication', [
  {
    id: 'REP-001',
    name: 'server-is-writer',
    loses: 'service',
    title: 'The server is the writer',
    inspects: 'pg_is_in_recovery()',
    why: 'After a switchover the settings still name the old writer, and every write fails.',
    remedy: 'Set writer in the environment file to the server that accepts writes.',
    source: 'docs/decisions.md, 8',
    run: ({ snapshot, deployment }) =>
      judge(
        deployment
          ? `${deployment[deployment.writer]?.host}, the writer of ${deployment.environment}`
          : 'this server',
        snapshot.server.inRecovery
          ? [{ object: 'server', detail: 'is in recovery, so it is a replica' }]
          : [],
      ),
  },
  {
    id: 'REP-002',
    name: 'replica-streams',
    loses: 'recovery',
    title: 'The replica streams from the writer',
    inspects: 'pg_stat_replication: a streaming standby, if the deployment has a replica',
    why: 'Recovery in the other region needs an up-to-date replica, and nothing else reports that it stopped.',
    remedy: 'Check the state of the replica in Azure; recreate a replica whose slot is lost.',
    source: 'Microsoft Learn, Read replicas',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      if (!deployment.replica) return skip(`environment ${deployment.environment} has no replica`);
      if (!snapshot.server.isAzure) return skip(local);
      if (!snapshot.activity.complete) return blind('the login may not see replication');
      const streaming = snapshot.replication.standbys.filter(({ state }) => state === 'streaming');
      return judge(
        counted(snapshot.replication.standbys.length, 'standby'),
        streaming.length > 0
          ? []
          : [{ object: deployment.replica.host, detail: 'does not stream from this server' }],
      );
    },
  },
  {
    id: 'REP-003',
    name: 'replica-lag-low',
    loses: 'recovery',
    title: 'Replicas are close behind the writer',
    inspects: `pg_stat_replication: at most ${inGigabytes(lagBytesLimit)} of WAL not replayed, and ${lagSecondsLimit} seconds`,
    why: 'Readers see old rows, and a failover loses the changes that have not arrived.',
    remedy: 'Look for a long query on the replica, or for more writes than its size can replay.',
    source: 'Microsoft Learn, Read replicas (lag)',
    run: ({ snapshot: { replication, activity } }) => {
      if (!activity.complete) return blind('the login may not see replication');
      if (replication.standbys.length === 0) return skip('no standby replicates from this server');
      return judge(
        counted(replication.standbys.length, 'standby'),
        replication.standbys.flatMap(({ application, lagBytes, lagSeconds }): Finding[] => {
          if ((lagBytes ?? 0) <= lagBytesLimit && (lagSeconds ?? 0) <= lagSecondsLimit) return [];
          const detail = `is ${inGigabytes(lagBytes ?? 0)} and ${Math.round(lagSeconds ?? 0)} s behind`;
          return [{ object: `standby ${application}`, detail }];
        }),
      );
    },
  },
  {
    id: 'REP-004',
    name: 'no-inactive-slot-retains-wal',
    loses: 'availability',
    title: 'No inactive replication slot retains WAL',
    inspects: `pg_replication_slots: inactive slots that retain more than ${inGigabytes(retainedBytesLimit)}, and slots that lose WAL`,
    why: 'The server keeps WAL until the slot advances: the disk fills up and the server stops accepting writes.',
    remedy: 'Restart the consumer of the slot, or SELECT pg_drop_replication_slot(…).',
    source: 'Microsoft Learn, Read replicas; pgdoctor replication-slots',
    run: ({ snapshot: { replication } }) =>
      judge(
        counted(replication.slots.length, 'slot'),
        replication.slots.flatMap(({ name, active, walStatus, retained }): Finding[] => {
          if (walStatus === 'lost' || walStatus === 'unreserved') {
            return [{ object: `slot ${name}`, detail: `has WAL status ${walStatus}` }];
          }
          return !active && (retained ?? 0) > retainedBytesLimit
            ? [{ object: `slot ${name}`, detail: `is inactive and retains ${inGigabytes(retained ?? 0)}` }]
            : [];
        }),
      ),
  },
]);
