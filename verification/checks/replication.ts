import { checksOf, type Finding } from '../check.ts';
import { counted, judge, skip } from '../outcome.ts';

const gigabyte = 2 ** 30;
const inGigabytes = (bytes: number) => `${(bytes / gigabyte).toFixed(1)} GB`;

const simulated = "the server is not Azure's, which makes the replica";

export const checks = checksOf('replication', [
  {
    id: 'REP-001',
    name: 'server-is-writer',
    severity: 'critical',
    title: 'This server is the writer',
    inspects: 'pg_is_in_recovery()',
    why: 'After a switchover the settings still name the old writer, and every write fails.',
    remedy: 'Set writer in the environment file to the server that takes writes.',
    source: 'docs/decisions.md, 8',
    run: ({ snapshot, deployment }) =>
      judge(
        deployment
          ? `${deployment[deployment.writer]?.host}, the writer of ${deployment.environment}`
          : 'this server',
        snapshot.server.inRecovery ? [{ object: 'server', detail: 'is in recovery: a replica' }] : [],
      ),
  },
  {
    id: 'REP-002',
    name: 'replica-streams',
    severity: 'high',
    title: 'The replica follows',
    inspects: 'pg_stat_replication: one standby that streams for the replica of the deployment',
    why: 'Recovery in the other region needs a replica that is up to date, and nothing else tells that it stopped.',
    remedy: 'Look at the state of the replica in Azure; a replica whose slot was lost is made again.',
    source: 'Microsoft Learn, Read replicas',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      if (!deployment.replica) return skip(`environment ${deployment.environment} has no replica`);
      if (!snapshot.server.isAzure) return skip(simulated);
      if (!snapshot.activity.complete) return skip('the login may not see replication');
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
    severity: 'medium',
    title: 'Replicas are close behind',
    inspects: 'pg_stat_replication: 1 GB of WAL not replayed, or five minutes',
    why: 'Readers see old rows, and a failover loses what has not arrived.',
    remedy: 'Look for a long query on the replica, or for writes beyond its size.',
    source: 'Microsoft Learn, Read replicas (lag)',
    run: ({ snapshot: { replication, activity } }) => {
      if (!activity.complete) return skip('the login may not see replication');
      if (replication.standbys.length === 0) return skip('nothing replicates from this server');
      return judge(
        counted(replication.standbys.length, 'standby'),
        replication.standbys.flatMap(({ application, lagBytes, lagSeconds }): Finding[] => {
          if ((lagBytes ?? 0) <= gigabyte && (lagSeconds ?? 0) <= 300) return [];
          const detail = `${inGigabytes(lagBytes ?? 0)} and ${Math.round(lagSeconds ?? 0)} s behind`;
          return [{ object: `standby ${application}`, detail }];
        }),
      );
    },
  },
  {
    id: 'REP-004',
    name: 'no-inactive-slot-retains-wal',
    severity: 'high',
    title: 'No replication slot holds WAL for nobody',
    inspects: 'pg_replication_slots: inactive ones that keep more than 1 GB, and any whose WAL is being lost',
    why: 'WAL is kept until the slot has moved on: the disk fills up and the server stops taking writes.',
    remedy: 'Bring its reader back, or SELECT pg_drop_replication_slot(…).',
    source: 'Microsoft Learn, Read replicas; pgdoctor replication-slots',
    run: ({ snapshot: { replication } }) =>
      judge(
        counted(replication.slots.length, 'slot'),
        replication.slots.flatMap(({ name, active, walStatus, retained }): Finding[] => {
          if (walStatus === 'lost' || walStatus === 'unreserved') {
            return [{ object: `slot ${name}`, detail: `its WAL is ${walStatus}` }];
          }
          return !active && (retained ?? 0) > gigabyte
            ? [{ object: `slot ${name}`, detail: `inactive, keeps ${inGigabytes(retained ?? 0)}` }]
            : [];
        }),
      ),
  },
]);
