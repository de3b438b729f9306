/** What the servers are: size, storage, version, maintenance. Terraform leaves some of it alone after the first day. */
import { azUpdate, leftToAzure, overAzure, overServers, serverObject } from '../azure/judging.ts';
import { checksOf, type Finding } from '../check.ts';

export const checks = checksOf('azure', [
  {
    id: 'AZU-009',
    name: 'server-size',
    severity: 'high',
    title: 'Size and tier are as the settings say',
    inspects: 'sku of both servers',
    why: 'A server that was made smaller by hand is slower than anybody planned for; a larger one is paid for.',
    remedy: 'Deploy the environment, or take the size into its file.',
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
    name: 'server-storage',
    severity: 'high',
    title: 'Storage and its growing are as the settings say',
    inspects: 'properties.storage: size (no less, where it may grow) and autoGrow',
    why: 'A full disk makes the server read-only; a grown one costs more than planned and never shrinks.',
    remedy:
      'Take a grown size into the environment file; switch auto-grow with the command that the finding names.',
    source: `APRL (storage auto-grow); ${leftToAzure}`,
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
    name: 'server-version',
    severity: 'high',
    title: "Both servers run the settings' version",
    inspects: 'properties.version of both servers',
    why: 'A version that differs is planned as a replacement or an upgrade by the next deployment.',
    remedy: 'Set server.version to what the servers are, or upgrade them.',
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
    name: 'maintenance-window',
    severity: 'low',
    title: 'Maintenance happens when the settings say',
    inspects: 'properties.maintenanceWindow',
    why: 'Without a window of its own a server is patched, and restarted, when Azure likes.',
    remedy: 'Deploy the environment.',
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
]);
