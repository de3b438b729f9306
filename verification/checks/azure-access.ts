/** Who reaches the servers in Azure: network, endpoints, logins, administrators. */
import { azureChecks, factOf, forEachServer, properties, required, sameText } from '../azure/assertions.ts';
import { counted, judge } from '../outcome.ts';

export const checks = azureChecks([
  {
    id: 'AZU-020',
    name: 'network-access',
    loses: 'isolation',
    title: 'Servers are reachable only from the networks of the settings',
    inspects: 'network.publicNetworkAccess, and the firewall rules of a public server',
    why: 'One click in the portal opens a server to the internet. The rule for "Azure services" opens it to every Azure customer.',
    remedy: 'Run az postgres flexible-server update --public-access Disabled, or deploy the environment.',
    source: 'CIS Microsoft Azure Foundations, 4.3; PSRule AZR-000149; docs/decisions.md, 6',
    assert: (azure) => {
      const open = azure.expected.network === 'public';
      const allowed = new Set(azure.expected.allowedRanges.map(({ start, end }) => `${start}-${end}`));
      return forEachServer(
        azure,
        ({ server, readings }) => {
          // A server in a virtual network has no firewall rules to read.
          const rules = open ? factOf(readings.firewall) : [];
          if (server.publicAccess !== open) {
            return [{ detail: `public network access is ${server.publicAccess ? 'on' : 'off'}` }];
          }
          return rules
            .filter(({ start, end }) => !allowed.has(`${start}-${end}`))
            .map(({ name, start, end }) => ({
              part: `firewall rule ${name}`,
              detail: `allows ${start}-${end}, which the settings do not list`,
            }));
        },
        ({ server }) => (server.publicAccess ? 'public' : 'private'),
      );
    },
  },
  {
    id: 'AZU-021',
    name: 'private-endpoints-approved',
    loses: 'availability',
    title: 'Every private endpoint is approved',
    inspects: 'privateEndpointConnections of each server',
    why: 'The name of a rejected or disconnected endpoint resolves but does not answer; clients fail with timeouts.',
    remedy: 'Run az network private-endpoint-connection approve, or deploy the environment.',
    source: 'Microsoft Learn, Private Link for Azure Database for PostgreSQL',
    assert: (azure) => {
      const { network } = azure.expected;
      required(network === 'privateEndpoint' ? network : undefined, 'private endpoints');
      return forEachServer(
        azure,
        ({ readings }) => {
          const connections = factOf(readings.connections);
          if (connections.length === 0) return [{ detail: 'has no private endpoint' }];
          return connections
            .filter(({ status }) => status !== 'Approved')
            .map(({ name, status }) => ({ part: `private endpoint ${name}`, detail: `is ${status}` }));
        },
        ({ readings }) => counted(factOf(readings.connections).length, 'private endpoint'),
      );
    },
  },
  {
    id: 'AZU-022',
    name: 'login-methods',
    loses: 'control',
    title: 'Login methods match the settings',
    inspects: 'authConfig of the writer: password and Entra login',
    why: 'A leaked password works until somebody changes it. An Entra token expires within a day and obeys conditional access.',
    remedy:
      'Run az postgres flexible-server update --password-auth Disabled --microsoft-entra-auth Enabled, or deploy the environment.',
    source: 'CIS Microsoft Azure Foundations; PSRule AZR-000390; docs/decisions.md, 5',
    assert: properties(
      {
        property: 'password login',
        actual: ({ server }) => server.passwordLogin,
        expected: ({ writes }, { expected }) => (writes ? expected.passwordLogin : undefined),
      },
      {
        property: 'Entra login',
        actual: ({ server }) => server.entraLogin,
        expected: ({ writes }, { expected }) =>
          writes && expected.administrators.length > 0 ? true : undefined,
      },
    ),
  },
  {
    id: 'AZU-023',
    name: 'entra-administrators',
    loses: 'control',
    title: 'The Entra administrators are those of the settings',
    inspects: 'object ids of the Entra administrators of the writer',
    why: 'An Entra administrator is a member of azure_pg_admin and reads every row of every tenant.',
    remedy:
      'Deploy the environment to add a missing one. Remove others with az postgres flexible-server microsoft-entra-admin delete.',
    source: 'docs/decisions.md, 11a; Microsoft Learn, Manage Entra users',
    assert: ({ facts, expected }) => {
      const found = factOf(facts.administrators);
      const ids = (list: readonly { readonly objectId: string }[]) =>
        new Set(list.map(({ objectId }) => objectId.toLowerCase()));
      const [wanted, present] = [ids(expected.administrators), ids(found)];
      return judge(counted(found.length, 'administrator'), [
        ...expected.administrators
          .filter(({ objectId }) => !present.has(objectId.toLowerCase()))
          .map(({ name }) => ({ object: `administrator ${name}`, detail: 'is missing in Azure' })),
        ...found
          .filter(({ objectId }) => !wanted.has(objectId.toLowerCase()))
          .map(({ name, objectId }) => ({
            object: `administrator ${name}`,
            detail: `(${objectId}) is not in the settings`,
          })),
      ]);
    },
  },
  {
    id: 'AZU-040',
    name: 'server-access',
    loses: 'availability',
    title: 'Everyone who may read the servers in Azure by the settings has the role',
    inspects: 'role assignments on each server, by the names that the deployment gave them',
    why: 'Someone on call who cannot open the server in the portal learns it during an incident.',
    remedy: 'Deploy the environment.',
    source: 'https://learn.microsoft.com/azure/role-based-access-control/troubleshooting',
    assert: (azure) =>
      forEachServer(
        azure,
        ({ expected, readings }) => {
          const found = new Map(factOf(readings.access).map((one) => [one.name, one]));
          return required(expected.access, 'access to the server').flatMap(({ name, objectId, roleId }) => {
            const one = found.get(name);
            const part = `role assignment ${name}`;
            if (!one) return [{ part, detail: `does not exist: role ${roleId} of ${objectId}` }];
            return sameText(one.objectId, objectId) && sameText(one.roleId, roleId)
              ? []
              : [{ part, detail: `gives role ${one.roleId} to ${one.objectId}` }];
          });
        },
        ({ expected }) => counted(expected.access?.length ?? 0, 'role assignment'),
      ),
  },
]);
