/** The pair that primary and replica are, after switchovers too. */
import { overAzure, overPart, overServers, sameText, serverObject } from '../azure/judging.ts';
import { checksOf, type Finding } from '../check.ts';
import { counted, judge, skip } from '../outcome.ts';

export const checks = checksOf('azure', [
  {
    id: 'AZU-013',
    name: 'writer-is-primary',
    severity: 'critical',
    title: 'The server that the settings call the writer is the primary',
    inspects: 'replicationRole and sourceServerResourceId of both servers',
    why: 'After a switchover the settings still send writes, backups and high availability to the wrong server; after a promotion there are two writers.',
    remedy:
      'Set writer in the environment file to the server that is Primary, and deploy; a replica that stands alone is made again.',
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
    name: 'replication-active',
    severity: 'high',
    title: 'The replica follows, as Azure sees it',
    inspects: 'properties.replica.replicationState',
    why: 'A replica that is broken or catching up is no recovery, and nothing in the database tells why.',
    remedy: 'Catchup and Provisioning pass; Broken needs the replica to be made again.',
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
    name: 'pair-alike',
    severity: 'high',
    title: 'Both servers of the pair are alike',
    inspects: 'tier, size, storage and version of the two',
    why: 'Azure refuses to exchange the roles of servers that differ, and a smaller replica falls behind the day it takes over.',
    remedy: 'Make the replica like the primary; a disk that grew on one needs the same size on the other.',
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
    name: 'virtual-endpoint',
    severity: 'high',
    title: 'The virtual endpoint leads to both servers',
    inspects: 'members of the virtual endpoint of the writer',
    why: 'Applications know the endpoint only: it must exist and have the replica as its reader, or a switchover is refused.',
    remedy: 'Deploy the environment; az postgres flexible-server virtual-endpoint list shows where it leads.',
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
]);
