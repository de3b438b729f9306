/** The servers in Azure: most checks compare one property with the settings. */
import {
  type AzureCheck,
  azureChecks,
  factOf,
  properties,
  required,
  type ServerSubject,
  sameText,
  serversOf,
  unmanaged,
} from '../azure/assertions.ts';
import type { ServerFacts } from '../azure/facts.ts';
import { counted, judge } from '../outcome.ts';

const day = 24 * 3600 * 1000;

/** Azure takes a snapshot every day; one may be late. */
const newestBackupDays = 2;
/** Days by which the earliest restore point may fall short of the retention. */
const restorePointToleranceDays = 2;

const isReplica = ({ replicationRole }: ServerFacts) => /AsyncReplica$/.test(replicationRole);

const zonesOf = ({ zone, highAvailability: { mode, standbyZone } }: ServerFacts) =>
  mode === 'ZoneRedundant' ? [zone, standbyZone] : [zone];

const list = (zones: readonly string[]) => [...zones].sort().join(' and ');

/** The latest instant at which the earliest restore point may lie: a young server has only its own lifetime. */
function restorePointLimit({ server }: ServerSubject, now: Date): Date {
  const { createdAt, backup } = server;
  const lifetime = createdAt ? (now.getTime() - createdAt.getTime()) / day : 0;
  const reach = Math.max(Math.min(backup.retentionDays, lifetime) - restorePointToleranceDays, 0);
  return new Date(now.getTime() - reach * day);
}

const windowText = (window: { dayOfWeek: number; startHour: number; startMinute: number }) =>
  `day ${window.dayOfWeek} at ${window.startHour}:${String(window.startMinute).padStart(2, '0')} UTC`;

/** Skips an assertion about the pair if the settings have no replica. */
const withReplica =
  (assert: AzureCheck['assert']): AzureCheck['assert'] =>
  (azure) => {
    required(azure.expected.replica, 'replica');
    return assert(azure);
  };

const alike = {
  tier: 'tier',
  sku: 'size',
  storageGb: 'storage in GB',
  version: 'PostgreSQL version',
} as const satisfies Partial<Record<keyof ServerFacts, string>>;

export const checks = azureChecks([
  {
    id: 'AZU-001',
    name: 'servers-ready',
    loses: 'service',
    title: 'Every server is ready',
    inspects: 'properties.state of the servers',
    why: 'A server that is stopped, disabled because its key is gone, or being dropped serves no connections. A server that is updating refuses the next change.',
    remedy:
      'Run az postgres flexible-server show. Start a stopped server, wait for an update, or restore the customer-managed key of a disabled server.',
    source: 'Microsoft Learn, Azure Database for PostgreSQL (server states)',
    assert: properties({ property: 'state', actual: ({ server }) => server.state, expected: () => 'Ready' }),
  },
  {
    id: 'AZU-002',
    name: 'high-availability-mode',
    loses: 'recovery',
    title: 'High availability mode matches the settings',
    inspects: 'properties.highAvailability.mode of each server, by its role',
    why: 'Without a standby, the failure of a zone takes the database down until a restore has finished.',
    remedy:
      'Run the command in the finding. After a switchover the new writer has no standby until high availability is enabled on it.',
    source: `APRL and azqr (zone redundancy); ${unmanaged}`,
    assert: properties({
      property: 'high availability mode',
      actual: ({ server }) => server.highAvailability.mode,
      expected: ({ expected }) => expected.highAvailability,
      option: (mode) => `--high-availability ${mode}`,
    }),
  },
  {
    id: 'AZU-003',
    name: 'standby-healthy',
    loses: 'recovery',
    title: 'Every standby is healthy',
    inspects: 'properties.highAvailability.state of each server that has a standby',
    why: 'A standby that is still copying data or has lost its connection cannot take over. The mode alone does not show this.',
    remedy:
      'Wait while the state is ReplicatingData. If another state persists, open Resource health of the server.',
    source: 'Microsoft Learn, High availability (states)',
    assert: properties({
      property: 'standby state',
      actual: ({ server }) => server.highAvailability.state,
      expected: ({ server }) => (server.highAvailability.mode === 'Disabled' ? undefined : 'Healthy'),
    }),
  },
  {
    id: 'AZU-004',
    name: 'availability-zones',
    loses: 'recovery',
    title: 'Availability zones match the settings',
    inspects: 'availabilityZone and standbyAvailabilityZone, in either order: a failover exchanges them',
    why: 'Applications run in the zones of the settings. From a third zone every query crosses zones, and a standby in the zone of its server does not survive that zone.',
    remedy:
      'Disable high availability and enable it again with the zones of the settings, or change the settings.',
    source: unmanaged,
    assert: properties(
      {
        property: 'zone',
        actual: ({ server }) => list(zonesOf(server)),
        // AZU-002 reports a standby that is missing.
        expected: ({ server, expected: { zones } }) =>
          zones?.length === zonesOf(server).length ? list(zones) : undefined,
      },
      {
        property: 'zone of the standby',
        actual: ({ server }) => server.highAvailability.standbyZone || 'none',
        expected: ({ server }) =>
          server.highAvailability.mode === 'ZoneRedundant' ? `other than ${server.zone}` : undefined,
        holds: ({ server }) => server.highAvailability.standbyZone !== server.zone,
      },
    ),
  },
  {
    id: 'AZU-005',
    name: 'backup-retention',
    loses: 'recovery',
    title: 'Backup retention matches the settings',
    inspects: 'properties.backup.backupRetentionDays of the writer',
    why: 'Damage that is found after the retention period cannot be undone.',
    remedy: 'Deploy the environment, or run the command in the finding.',
    source: 'PSRule AZR-000158',
    assert: properties({
      property: 'backup retention in days',
      actual: ({ server }) => server.backup.retentionDays,
      expected: ({ expected: { backup } }) => backup?.retentionDays,
      option: (days) => `--backup-retention ${days}`,
    }),
  },
  {
    id: 'AZU-006',
    name: 'restore-point-reaches-back',
    loses: 'recovery',
    title: 'The earliest restore point covers the backup retention',
    inspects: 'properties.backup.earliestRestoreDate of the writer, its retention and its age',
    why: 'The retention is a setting; the earliest restore point shows which backups exist.',
    remedy:
      'After a change of the retention, wait until the backups have accumulated. Otherwise ask Azure support.',
    source: 'Microsoft Learn, Backup and restore',
    assert: (azure) =>
      properties({
        property: 'earliest restore point',
        actual: ({ server }) => server.backup.earliestRestore?.toISOString() ?? 'none',
        expected: (one) =>
          one.writes ? `${restorePointLimit(one, azure.facts.now).toISOString()} or earlier` : undefined,
        holds: (one) => {
          const { earliestRestore } = one.server.backup;
          // The client passes on null if there is none.
          return earliestRestore ? earliestRestore <= restorePointLimit(one, azure.facts.now) : false;
        },
      })(azure),
  },
  {
    id: 'AZU-007',
    name: 'recent-backup',
    loses: 'recovery',
    title: `A backup completed within the last ${newestBackupDays} days`,
    inspects: `completion times of the writer's backups; a server younger than ${newestBackupDays} days needs none`,
    why: 'Azure takes a snapshot every day. Without one, a restore replays more and more log, or backups have stopped.',
    remedy: 'Run az postgres flexible-server backup list, and ask Azure support.',
    source: 'Microsoft Learn, Backup and restore (frequency)',
    assert: ({ facts, deployment }) => {
      const backups = factOf(facts.backups);
      const writer = facts.servers.find(({ role }) => role === deployment.writer)?.server;
      const server = writer && 'value' in writer ? writer.value : undefined;
      const isRecent = (date: Date | undefined) =>
        date !== undefined && facts.now.getTime() - date.getTime() < newestBackupDays * day;
      const completed = backups.flatMap((backup) => backup.completed ?? []);
      const newest = completed.sort((a, b) => b.getTime() - a.getTime())[0];
      const last = newest ? `the newest completed at ${newest.toISOString()}` : 'no backup has completed';
      return judge(
        `${counted(backups.length, 'backup')}, ${last}`,
        isRecent(newest ?? server?.createdAt)
          ? []
          : [{ object: `server ${server?.name ?? deployment.primary.host}`, detail: last }],
      );
    },
  },
  {
    id: 'AZU-008',
    name: 'geo-redundant-backup',
    loses: 'recovery',
    title: 'Geo-redundant backup matches the settings',
    inspects: 'properties.backup.geoRedundantBackup of the writer',
    why: 'It can only be chosen when a server is created. After the loss of a region it is too late.',
    remedy:
      'Create a server from a backup with az postgres flexible-server restore --geo-redundant-backup Enabled (or Disabled), or correct the settings.',
    source: `APRL (geo-redundant backup); ${unmanaged}`,
    assert: properties({
      property: 'geo-redundant backup',
      actual: ({ server }) => server.backup.geoRedundant,
      expected: ({ expected: { backup } }) => backup?.geoRedundant,
    }),
  },
  {
    id: 'AZU-009',
    name: 'server-size',
    loses: 'availability',
    title: 'Compute tier and size match the settings',
    inspects: 'sku of each server',
    why: 'A server that was scaled down by hand is slower than planned; a larger one costs more than planned.',
    remedy: 'Deploy the environment, or put the size into its file.',
    source: 'docs/decisions.md, 23 (thresholds follow the size in force)',
    assert: properties({
      property: 'size',
      actual: ({ server }) => `${server.tier} ${server.sku}`,
      expected: ({ expected }) => `${expected.tier} ${expected.sku}`,
    }),
  },
  {
    id: 'AZU-010',
    name: 'server-storage',
    loses: 'availability',
    title: 'Storage size and auto-grow match the settings',
    inspects: 'properties.storage: autoGrow, and the size, which may be larger where auto-grow is on',
    why: 'A full disk makes the server read-only. A disk that has grown costs more than planned and never shrinks.',
    remedy: 'Put the grown size into the environment file; set auto-grow with the command in the finding.',
    source: `APRL (storage auto-grow); ${unmanaged}`,
    assert: properties(
      {
        property: 'storage in GB',
        actual: ({ server }) => server.storageGb,
        expected: ({ expected }) => expected.storageGb,
        holds: ({ server, expected: { autoGrow, storageGb } }) =>
          autoGrow ? server.storageGb >= storageGb : server.storageGb === storageGb,
        option: (size) => `--storage-size ${size}`,
      },
      {
        property: 'auto-grow',
        actual: ({ server }) => server.autoGrow,
        expected: ({ expected }) => expected.autoGrow,
        option: (grows) => `--storage-auto-grow ${grows ? 'Enabled' : 'Disabled'}`,
      },
    ),
  },
  {
    id: 'AZU-011',
    name: 'server-version',
    loses: 'availability',
    title: 'The PostgreSQL version of every server matches the settings',
    inspects: 'properties.version of each server',
    why: 'The next deployment plans a replacement or an upgrade of a server whose version differs.',
    remedy: 'Set server.version to the version in Azure, or upgrade the servers.',
    source: 'docs/decisions.md, 25',
    assert: properties({
      property: 'PostgreSQL version',
      actual: ({ server }) => server.version,
      expected: (_, { deployment }) => String(deployment.version),
    }),
  },
  {
    id: 'AZU-012',
    name: 'maintenance-window',
    loses: 'upkeep',
    title: 'The maintenance window matches the settings',
    inspects: 'properties.maintenanceWindow of each server',
    why: 'Without a custom window Azure patches and restarts the server at a time of its own choice.',
    remedy: 'Deploy the environment.',
    source: 'APRL and azqr (custom maintenance window)',
    assert: properties({
      property: 'maintenance window',
      actual: ({ server: { maintenanceWindow: window } }) =>
        window.custom ? windowText(window) : "of Azure's choice",
      expected: (_, { expected }) => windowText(expected.maintenanceWindow),
    }),
  },
  {
    id: 'AZU-013',
    name: 'writer-is-primary',
    loses: 'service',
    title: 'The configured writer is the primary server',
    inspects: 'replicationRole and sourceServerResourceId of each server',
    why: 'After a switchover the settings still direct writes, backups and high availability to the wrong server. After a standalone promotion there are two writers.',
    remedy:
      'Set writer in the environment file to the primary server and deploy. Recreate a replica that was promoted to a standalone server.',
    source: 'docs/decisions.md, 8; Microsoft Learn, Promote read replicas',
    assert: properties(
      {
        property: 'replication role',
        actual: ({ server }) => server.replicationRole,
        expected: ({ writes }) => (writes ? 'Primary or None' : 'AsyncReplica or GeoAsyncReplica'),
        holds: ({ server, writes }) => isReplica(server) !== writes,
      },
      {
        property: 'source server',
        actual: ({ server }) => server.sourceId ?? 'none',
        expected: ({ server, writes }, { deployment }) =>
          !writes && isReplica(server) ? (deployment[deployment.writer]?.id ?? '') : undefined,
        holds: ({ server }, { deployment }) =>
          sameText(server.sourceId ?? '', deployment[deployment.writer]?.id ?? ''),
      },
    ),
  },
  {
    id: 'AZU-014',
    name: 'replication-active',
    loses: 'recovery',
    title: 'Replication to the replica is active',
    inspects: 'properties.replica.replicationState of the replica',
    why: 'A replica that is broken or catching up cannot take over, and the database does not show the cause.',
    remedy: 'Wait while the state is Catchup or Provisioning. Recreate a replica whose state is Broken.',
    source: 'Microsoft Learn, Read replicas (replication state)',
    assert: withReplica(
      properties({
        property: 'replication state',
        actual: ({ server, writes }) => (writes ? 'writer' : (server.replicationState ?? 'unknown')),
        expected: ({ server, writes }) => (!writes && isReplica(server) ? 'Active' : undefined),
      }),
    ),
  },
  {
    id: 'AZU-015',
    name: 'pair-alike',
    loses: 'recovery',
    title: 'The replica has the size, storage and version of the writer',
    inspects: 'tier, size, storage and version of both servers',
    why: 'Azure refuses a switchover between servers that differ, and a smaller replica falls behind as soon as it takes over.',
    remedy:
      'Give the replica the values of the writer. If the disk of one server has grown, grow the other too.',
    source: 'Microsoft Learn, Promote read replicas (symmetry)',
    assert: withReplica((azure) => {
      const writer = serversOf(azure).find(({ writes }) => writes)?.server;
      const facts = Object.entries(alike) as [keyof typeof alike, string][];
      return properties(
        ...facts.map(([fact, property]) => ({
          property,
          actual: ({ server }: ServerSubject) => server[fact],
          expected: () => writer?.[fact],
        })),
      )(azure);
    }),
  },
  {
    id: 'AZU-016',
    name: 'virtual-endpoint',
    loses: 'availability',
    title: 'The virtual endpoint routes to every server',
    inspects: 'members of the virtual endpoint of the writer',
    why: 'Applications know only the endpoint. Without it, or without the replica as its reader, Azure refuses a switchover.',
    remedy:
      'Deploy the environment; az postgres flexible-server virtual-endpoint list shows the members of the endpoint.',
    source: 'Microsoft Learn, Virtual endpoints',
    assert: ({ facts, expected, deployment }) => {
      const endpoint = required(expected.virtualEndpoint, 'virtual endpoint');
      const object = `virtual endpoint ${endpoint}`;
      const endpoints = factOf(facts.virtualEndpoints);
      const found = endpoints.find(({ name }) => name === endpoint);
      if (!found) {
        return judge(counted(endpoints.length, 'virtual endpoint'), [
          { object, detail: `does not exist on the writer (${deployment.writer})` },
        ]);
      }
      const names = facts.servers.flatMap(({ server }) => ('value' in server ? [server.value.name] : []));
      return judge(
        found.members.join(', '),
        names
          .filter((name) => !found.members.includes(name))
          .map((name) => ({ object, detail: `does not route to ${name}` })),
      );
    },
  },
]);
