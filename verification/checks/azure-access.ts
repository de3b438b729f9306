/** Who reaches the servers in Azure: network, endpoints, logins, administrators. */
import { overAzure, overPart, overParts, overServers, serverObject } from '../azure/judging.ts';
import { checksOf, type Finding } from '../check.ts';
import { counted, judge, skip } from '../outcome.ts';

export const checks = checksOf('azure', [
  {
    id: 'AZU-020',
    name: 'network-access',
    severity: 'critical',
    title: 'The servers are reachable from where the settings say, and from nowhere else',
    inspects: 'network.publicNetworkAccess, and the firewall rules of public servers',
    why: 'One click in the portal opens a server to the internet, and the rule for "Azure services" opens it to every tenant of Azure.',
    remedy: 'az postgres flexible-server update --public-access Disabled, or deploy the environment.',
    source: 'CIS Microsoft Azure Foundations, 4.3; PSRule AZR-000149; docs/decisions.md, 6',
    run: (input) =>
      overAzure(input, (azure) =>
        overParts(
          azure,
          ({ firewall, server }) =>
            // An injected server has no firewall to ask for.
            azure.expected.network === 'public' || !('value' in server) ? firewall : { value: [] },
          (rules, { server }): readonly Finding[] => {
            const object = serverObject(server);
            const open = azure.expected.network === 'public';
            if (server.publicAccess !== open) {
              return [{ object, detail: `public network access is ${server.publicAccess ? 'on' : 'off'}` }];
            }
            const known = new Set(azure.expected.allowedRanges.map(({ start, end }) => `${start}-${end}`));
            return rules
              .filter(({ start, end }) => !known.has(`${start}-${end}`))
              .map(({ name, start, end }) => ({
                object: `${object}, firewall rule ${name}`,
                detail: `lets in ${start}-${end}, which the settings do not`,
              }));
          },
          (rules, { server }) => (server.publicAccess ? counted(rules.length, 'firewall rule') : 'closed'),
        ),
      ),
  },
  {
    id: 'AZU-021',
    name: 'private-endpoints-approved',
    severity: 'high',
    title: 'The private endpoints are approved',
    inspects: 'privateEndpointConnections of both servers',
    why: 'Rejected or disconnected, it resolves and does not answer: clients find out one timeout at a time.',
    remedy: 'az network private-endpoint-connection approve, or deploy the environment.',
    source: 'Microsoft Learn, Private Link for Azure Database for PostgreSQL',
    run: (input) =>
      overAzure(input, (azure) => {
        if (azure.expected.network !== 'privateEndpoint')
          return skip('the settings have no private endpoints');
        return overParts(
          azure,
          ({ connections }) => connections,
          (connections, { server }): readonly Finding[] => {
            const object = serverObject(server);
            if (connections.length === 0) return [{ object, detail: 'has no private endpoint' }];
            return connections
              .filter(({ status }) => status !== 'Approved')
              .map(({ name, status }) => ({
                object: `${object}, private endpoint ${name}`,
                detail: `is ${status}`,
              }));
          },
          (connections) => counted(connections.length, 'private endpoint'),
        );
      }),
  },
  {
    id: 'AZU-022',
    name: 'login-methods',
    severity: 'critical',
    title: 'Logins are allowed as the settings say',
    inspects: 'authConfig of the server that takes writes: passwords and Entra',
    why: 'Password login is one leaked secret for ever; Entra tokens end within a day and obey conditional access.',
    remedy:
      'az postgres flexible-server update --password-auth Disabled --microsoft-entra-auth Enabled (or deploy).',
    source: 'CIS Microsoft Azure Foundations; PSRule AZR-000390; docs/decisions.md, 5',
    run: (input) =>
      overAzure(input, (azure) =>
        overServers(
          azure,
          ({ server, writes }): readonly Finding[] => {
            if (!writes) return [];
            const object = serverObject(server);
            const findings: Finding[] = [];
            const { passwordLogin, administrators } = azure.expected;
            if (server.passwordLogin !== passwordLogin) {
              findings.push({
                object,
                detail: `password login is ${server.passwordLogin ? 'on' : 'off'}, settings say ${passwordLogin ? 'on' : 'off'}`,
              });
            }
            if (!server.entraLogin && administrators.length > 0) {
              findings.push({ object, detail: 'Entra login is off' });
            }
            return findings;
          },
          ({ server }) => (server.passwordLogin ? 'passwords' : 'Entra only'),
        ),
      ),
  },
  {
    id: 'AZU-023',
    name: 'entra-administrators',
    severity: 'high',
    title: 'Nobody administers the database but whom the settings name',
    inspects: 'Entra administrators of the server that takes writes, by object id',
    why: 'An Entra administrator is a member of azure_pg_admin: one more of them reads all of it.',
    remedy:
      'Deploy the environment; az postgres flexible-server microsoft-entra-admin delete for one too many.',
    source: 'docs/decisions.md, 11a; Microsoft Learn, Manage Entra users',
    run: (input) =>
      overAzure(input, ({ facts, expected }) =>
        overPart(facts.administrators, (found) => {
          const ids = (list: readonly { readonly objectId: string }[]) =>
            new Set(list.map(({ objectId }) => objectId.toLowerCase()));
          const [wanted, there] = [ids(expected.administrators), ids(found)];
          return judge(counted(found.length, 'administrator'), [
            ...expected.administrators
              .filter(({ objectId }) => !there.has(objectId.toLowerCase()))
              .map(({ name }) => ({ object: `administrator ${name}`, detail: 'is not one in Azure' })),
            ...found
              .filter(({ objectId }) => !wanted.has(objectId.toLowerCase()))
              .map(({ name, objectId }) => ({
                object: `administrator ${name}`,
                detail: `(${objectId}) is in no settings`,
              })),
          ]);
        }),
      ),
  },
]);
