/** Backups of the servers, as far as Azure says that they are there. */
import { azUpdate, leftToAzure, overAzure, overPart, overServers, serverObject } from '../azure/judging.ts';
import { checksOf } from '../check.ts';
import { counted, judge } from '../outcome.ts';

const day = 24 * 3600 * 1000;

export const checks = checksOf('azure', [
  {
    id: 'AZU-005',
    name: 'backup-retention',
    severity: 'high',
    title: 'Backups are kept as long as the settings say',
    inspects: 'properties.backup.backupRetentionDays of the server that takes writes',
    why: 'Damage that is noticed after the retention cannot be undone.',
    remedy: 'Deploy the environment, or the command that the finding names.',
    source: 'PSRule AZR-000158',
    run: (input) =>
      overAzure(input, (azure) =>
        overServers(
          azure,
          ({ server, expected: { backup } }) =>
            !backup || server.backup.retentionDays === backup.retentionDays
              ? []
              : [
                  {
                    object: serverObject(server),
                    detail: `backups are kept ${server.backup.retentionDays} days, settings say ${backup.retentionDays}: ${azUpdate(server, `--backup-retention ${backup.retentionDays}`)}`,
                  },
                ],
          ({ server }) => `${server.backup.retentionDays} days`,
        ),
      ),
  },
  {
    id: 'AZU-006',
    name: 'restore-point-reaches-back',
    severity: 'high',
    title: 'The database can be restored to every moment of its retention',
    inspects:
      'properties.backup.earliestRestoreDate of the server that takes writes, against its retention and its age',
    why: 'A retention is a promise; the earliest restore point is what there is.',
    remedy:
      'Ask Azure support when the restore point does not reach back as far as the retention; a changed retention needs days to fill.',
    source: 'Microsoft Learn, Backup and restore',
    run: (input) =>
      overAzure(input, (azure) =>
        overServers(
          azure,
          ({ server, writes }) => {
            if (!writes) return [];
            const { earliestRestore, retentionDays } = server.backup;
            const object = serverObject(server);
            const now = azure.facts.now.getTime();
            if (!earliestRestore) return [{ object, detail: 'has no restore point yet' }];
            if (earliestRestore.getTime() > now) {
              return [
                {
                  object,
                  detail: `its earliest restore point is ${earliestRestore.toISOString()}, in the future`,
                },
              ];
            }
            // A server younger than its retention has no more than its own life.
            const life = server.createdAt ? (now - server.createdAt.getTime()) / day : undefined;
            const reach = (now - earliestRestore.getTime()) / day;
            const wanted = life === undefined ? 0 : Math.min(retentionDays, life) - 2;
            return reach >= wanted
              ? []
              : [
                  {
                    object,
                    detail: `can be restored ${Math.floor(reach)} days back (to ${earliestRestore.toISOString()}), its retention is ${retentionDays}`,
                  },
                ];
          },
          ({ server, writes }) =>
            writes
              ? `from ${server.backup.earliestRestore?.toISOString() ?? 'nowhere'}`
              : 'has none of its own',
        ),
      ),
  },
  {
    id: 'AZU-007',
    name: 'recent-backup',
    severity: 'high',
    title: 'A backup was completed within two days',
    inspects:
      "the server's backups and when they were completed; none is expected in a server's first two days",
    why: 'Snapshots are taken every day: two days without one mean that restores replay more and more log, or that backups have stopped.',
    remedy: 'az postgres flexible-server backup list; ask Azure support.',
    source: 'Microsoft Learn, Backup and restore (frequency)',
    run: (input) =>
      overAzure(input, ({ facts, deployment }) =>
        overPart(facts.backups, (backups) => {
          const writer = facts.servers.find(({ role }) => role === deployment.writer)?.server;
          const server = writer && 'value' in writer ? writer.value : undefined;
          const now = facts.now.getTime();
          const newest = Math.max(...backups.map(({ completed }) => completed?.getTime() ?? 0), 0);
          const young = server?.createdAt !== undefined && now - server.createdAt.getTime() < 2 * day;
          const fine = now - newest < 2 * day || (newest === 0 && young);
          const last =
            newest === 0
              ? 'none was ever completed'
              : `the last was completed at ${new Date(newest).toISOString()}`;
          return judge(
            `${counted(backups.length, 'backup')}, ${last}`,
            fine ? [] : [{ object: `server ${server?.name ?? deployment.primary.host}`, detail: last }],
          );
        }),
      ),
  },
  {
    id: 'AZU-008',
    name: 'geo-redundant-backup',
    severity: 'high',
    title: 'Backups are copied to the paired region as the settings say',
    inspects: 'properties.backup.geoRedundantBackup of the server that takes writes',
    why: 'It can only be chosen when a server is created: whoever finds out after losing the region finds out too late.',
    remedy: 'Restore into a new server with geo-redundant backup, or correct the settings.',
    source: `APRL (geo-redundant backup); ${leftToAzure}`,
    run: (input) =>
      overAzure(input, (azure) =>
        overServers(
          azure,
          ({ server, expected: { backup } }) =>
            !backup || server.backup.geoRedundant === backup.geoRedundant
              ? []
              : [
                  {
                    object: serverObject(server),
                    detail: `geo-redundant backup is ${server.backup.geoRedundant ? 'on' : 'off'}, settings say ${backup.geoRedundant ? 'on' : 'off'}: az postgres flexible-server restore --geo-redundant-backup ${backup.geoRedundant ? 'Enabled' : 'Disabled'} makes another server from this one`,
                  },
                ],
          ({ server }) => (server.backup.geoRedundant ? 'geo-redundant' : 'local'),
        ),
      ),
  },
]);
