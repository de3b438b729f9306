/** The servers as Azure's control plane has them: what Terraform leaves alone after the first day included. */
import { azUpdate, overAzure, overPart, overServers, sameText, serverObject } from '../azure/judging.ts';
import type { Check, Finding } from '../check.ts';
import { counted, judge, skip } from '../outcome.ts';

const day = 24 * 3600 * 1000;
const ignored =
  'docs/decisions.md, 8 (Terraform ignores it after the first deployment; verification compares it)';

export const azureServerChecks: readonly Check[] = [
  {
    id: 'AZU-001',
    group: 'azure',
    severity: 'critical',
    title: 'Both servers are ready',
    looksAt: 'properties.state of the Flexible Servers',
    why: 'A server that is stopped, disabled (its key is gone) or being dropped serves nobody, and one that is updating refuses the next change.',
    mend: 'az postgres flexible-server show, then start it, or wait; a disabled server needs its customer-managed key back.',
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
    group: 'azure',
    severity: 'high',
    title: 'High availability is as the settings say',
    looksAt: 'properties.highAvailability.mode, by the role of each server',
    why: 'Without its standby a failing zone takes the database with it for as long as a restore takes.',
    mend: 'az postgres flexible-server update with the option that the finding names; a switchover leaves the new writer without a standby.',
    source: `APRL and azqr (zone redundancy); ${ignored}`,
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
    group: 'azure',
    severity: 'high',
    title: 'The standby is healthy',
    looksAt: 'properties.highAvailability.state where a standby is asked for and there is one',
    why: 'A standby that is still copying, or that lost its connection, cannot take over: the mode alone says nothing.',
    mend: 'Wait while it replicates; open Resource health of the server when it stays that way.',
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
    group: 'azure',
    severity: 'medium',
    title: 'Server and standby lie in the zones of the settings, whichever has which',
    looksAt: 'availabilityZone and standbyAvailabilityZone; a failover exchanges the two',
    why: 'Applications are placed beside the zones of the settings; in a third one every query crosses zones, and in the same one a standby is worth nothing.',
    mend: 'Switch high availability off and on again with the zones of the settings, or take the new zones into them.',
    source: ignored,
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
  {
    id: 'AZU-005',
    group: 'azure',
    severity: 'high',
    title: 'Backups are kept as long as the settings say',
    looksAt: 'properties.backup.backupRetentionDays of the server that takes writes',
    why: 'Damage that is noticed after the retention cannot be undone.',
    mend: 'The command that the finding names: Terraform leaves the retention of a pair alone.',
    source: `PSRule AZR-000158; ${ignored}`,
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
    group: 'azure',
    severity: 'high',
    title: 'The database can be restored to every moment of its retention',
    looksAt:
      'properties.backup.earliestRestoreDate of the server that takes writes, against its retention and its age',
    why: 'A retention is a promise; the earliest restore point is what there is.',
    mend: 'Ask Azure support when the restore point does not reach back as far as the retention; a changed retention needs days to fill.',
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
    group: 'azure',
    severity: 'high',
    title: 'A backup was completed within two days',
    looksAt:
      "the server's backups and when they were completed; none is expected in a server's first two days",
    why: 'Snapshots are taken every day: two days without one mean that restores replay more and more log, or that backups have stopped.',
    mend: 'az postgres flexible-server backup list; ask Azure support.',
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
    group: 'azure',
    severity: 'high',
    title: 'Backups are copied to the paired region as the settings say',
    looksAt: 'properties.backup.geoRedundantBackup of the server that takes writes',
    why: 'It can only be chosen when a server is created: whoever finds out after losing the region finds out too late.',
    mend: 'Restore into a new server with geo-redundant backup, or correct the settings.',
    source: `APRL (geo-redundant backup); ${ignored}`,
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
  {
    id: 'AZU-009',
    group: 'azure',
    severity: 'high',
    title: 'Size and tier are as the settings say',
    looksAt: 'sku of both servers',
    why: 'A server that was made smaller by hand is slower than anybody planned for; a larger one is paid for.',
    mend: 'Deploy the environment, or take the size into its file.',
    source: 'docs/decisions.md, 23 (thresholds follow what is in force)',
    run: (input) =>
      overAzure(input, (azure) =>
        overServers(
          azure,
          ({ server, expected }) =>
            server.sku === expected.sku && server.tier === expected.tier
              ? []
              : [
                  {
                    object: serverObject(server),
                    detail: `is ${server.tier} ${server.sku}, settings say ${expected.tier} ${expected.sku}`,
                  },
                ],
          ({ server }) => `${server.tier} ${server.sku}`,
        ),
      ),
  },
  {
    id: 'AZU-010',
    group: 'azure',
    severity: 'high',
    title: 'Storage and its growing are as the settings say',
    looksAt: 'properties.storage: size (no less, where it may grow) and autoGrow',
    why: 'A full disk makes the server read-only; a grown one costs more than planned and never shrinks.',
    mend: 'Take a grown size into the environment file; switch auto-grow with the command that the finding names.',
    source: `APRL (storage auto-grow); ${ignored}`,
    run: (input) =>
      overAzure(input, (azure) =>
        overServers(
          azure,
          ({ server, expected }): readonly Finding[] => {
            const object = serverObject(server);
            const { storageGb: size, autoGrow } = server;
            const findings: Finding[] = [];
            if (expected.autoGrow ? size < expected.storageGb : size !== expected.storageGb) {
              const command = azUpdate(server, `--storage-size ${expected.storageGb}`);
              findings.push({
                object,
                detail: `has ${size} GB, settings say ${expected.storageGb}: ${command}`,
              });
            }
            if (autoGrow !== expected.autoGrow) {
              const wanted = expected.autoGrow ? 'Enabled' : 'Disabled';
              findings.push({
                object,
                detail: `auto-grow is ${autoGrow ? 'on' : 'off'}: ${azUpdate(server, `--storage-auto-grow ${wanted}`)}`,
              });
            }
            return findings;
          },
          ({ server }) => `${server.storageGb} GB${server.autoGrow ? ', growing' : ''}`,
        ),
      ),
  },
  {
    id: 'AZU-011',
    group: 'azure',
    severity: 'high',
    title: "Both servers run the settings' version",
    looksAt: 'properties.version of both servers',
    why: 'A version that differs is planned as a replacement or an upgrade by the next deployment.',
    mend: 'Set server.version to what the servers are, or upgrade them.',
    source: 'docs/decisions.md, 25',
    run: (input) =>
      overAzure(input, (azure) =>
        overServers(
          azure,
          ({ server }) =>
            server.version === String(azure.deployment.version)
              ? []
              : [
                  {
                    object: serverObject(server),
                    detail: `is PostgreSQL ${server.version}, settings say ${azure.deployment.version}`,
                  },
                ],
          ({ server }) => server.version,
        ),
      ),
  },
  {
    id: 'AZU-012',
    group: 'azure',
    severity: 'low',
    title: 'Maintenance happens when the settings say',
    looksAt: 'properties.maintenanceWindow',
    why: 'Without a window of its own a server is patched, and restarted, when Azure likes.',
    mend: 'Deploy the environment.',
    source: 'APRL and azqr (custom maintenance window)',
    run: (input) =>
      overAzure(input, (azure) =>
        overServers(
          azure,
          ({ server }) => {
            const { custom, ...window } = server.maintenanceWindow;
            const told = (one: typeof window) =>
              `day ${one.dayOfWeek} at ${one.startHour}:${String(one.startMinute).padStart(2, '0')} UTC`;
            const wanted = told(azure.expected.maintenanceWindow);
            const found = custom ? told(window) : 'when Azure likes';
            return found === wanted
              ? []
              : [{ object: serverObject(server), detail: `is maintained ${found}, settings say ${wanted}` }];
          },
          ({ server }) => (server.maintenanceWindow.custom ? 'a window of its own' : 'no window'),
        ),
      ),
  },
  {
    id: 'AZU-013',
    group: 'azure',
    severity: 'critical',
    title: 'The server that the settings call the writer is the primary',
    looksAt: 'replicationRole and sourceServerResourceId of both servers',
    why: 'After a switchover the settings still send writes, backups and high availability to the wrong server; after a promotion there are two writers.',
    mend: 'Set writer in the environment file to the server that is Primary, and deploy; a replica that stands alone is made again.',
    source: 'docs/decisions.md, 8; Microsoft Learn, Promote read replicas',
    run: (input) =>
      overAzure(input, (azure) =>
        overServers(
          azure,
          ({ server, writes }): readonly Finding[] => {
            const object = serverObject(server);
            const follows = /AsyncReplica$/.test(server.replicationRole);
            if (writes) {
              return follows
                ? [{ object, detail: `is the writer of the settings and a ${server.replicationRole}` }]
                : [];
            }
            const writer = azure.deployment[azure.deployment.writer]?.id ?? '';
            if (!follows)
              return [
                { object, detail: `is ${server.replicationRole}, no replica: it takes writes of its own` },
              ];
            return sameText(server.sourceId ?? '', writer)
              ? []
              : [{ object, detail: `follows ${server.sourceId ?? 'nothing'}, not the writer` }];
          },
          ({ server }) => server.replicationRole,
        ),
      ),
  },
  {
    id: 'AZU-014',
    group: 'azure',
    severity: 'high',
    title: 'The replica follows, as Azure sees it',
    looksAt: 'properties.replica.replicationState',
    why: 'A replica that is broken or catching up is no recovery, and nothing in the database tells why.',
    mend: 'Catchup and Provisioning pass; Broken needs the replica to be made again.',
    source: 'Microsoft Learn, Read replicas (replication state)',
    run: (input) =>
      overAzure(input, (azure) => {
        if (!azure.expected.replica) return skip('the settings have no replica');
        return overServers(
          azure,
          ({ server, writes }) =>
            writes || server.replicationState === 'Active' || !/AsyncReplica$/.test(server.replicationRole)
              ? []
              : [
                  {
                    object: serverObject(server),
                    detail: `its replication is ${server.replicationState ?? 'unknown'}`,
                  },
                ],
          ({ server, writes }) => (writes ? 'writer' : (server.replicationState ?? 'unknown')),
        );
      }),
  },
  {
    id: 'AZU-015',
    group: 'azure',
    severity: 'high',
    title: 'Both servers of the pair are alike',
    looksAt: 'tier, size, storage and version of the two',
    why: 'Azure refuses to exchange the roles of servers that differ, and a smaller replica falls behind the day it takes over.',
    mend: 'Make the replica like the primary; a disk that grew on one needs the same size on the other.',
    source: 'Microsoft Learn, Promote read replicas (symmetry)',
    run: (input) =>
      overAzure(input, (azure) => {
        if (!azure.expected.replica) return skip('the settings have no replica');
        const both = azure.facts.servers.flatMap(({ server }) => ('value' in server ? [server.value] : []));
        return overServers(
          azure,
          ({ server, writes }): readonly Finding[] => {
            const other = both.find(({ id }) => id !== server.id);
            if (writes || !other) return [];
            const facts = ['tier', 'sku', 'storageGb', 'version'] as const;
            return facts
              .filter((fact) => server[fact] !== other[fact])
              .map((fact) => ({
                object: serverObject(server),
                detail: `${fact === 'storageGb' ? 'storage in GB' : fact} is ${server[fact]}, the writer's is ${other[fact]}`,
              }));
          },
          ({ server }) => `${server.sku}, ${server.storageGb} GB`,
        );
      }),
  },
  {
    id: 'AZU-016',
    group: 'azure',
    severity: 'high',
    title: 'The virtual endpoint leads to both servers',
    looksAt: 'members of the virtual endpoint of the writer',
    why: 'Applications know the endpoint only: it must exist and have the replica as its reader, or a switchover is refused.',
    mend: 'Deploy the environment; az postgres flexible-server virtual-endpoint list shows where it leads.',
    source: 'Microsoft Learn, Virtual endpoints',
    run: (input) =>
      overAzure(input, ({ facts, expected, deployment }) => {
        const { virtualEndpoint } = expected;
        if (!virtualEndpoint) return skip('the settings have no virtual endpoint');
        return overPart(facts.virtualEndpoints, (endpoints) => {
          const object = `virtual endpoint ${virtualEndpoint}`;
          const found = endpoints.find(({ name }) => name === virtualEndpoint);
          if (!found) {
            return judge(counted(endpoints.length, 'virtual endpoint'), [
              { object, detail: `does not exist on the writer (${deployment.writer})` },
            ]);
          }
          const names = facts.servers.flatMap(({ server }) => ('value' in server ? [server.value.name] : []));
          const missing = names.filter((name) => !found.members.includes(name));
          return judge(
            found.members.join(', '),
            missing.map((name) => ({ object, detail: `does not lead to ${name}` })),
          );
        });
      }),
  },
];
