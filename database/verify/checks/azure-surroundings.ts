/** What stands around the servers in Azure: network, logins, parameters, alerts, logs, locks, the key. */

import type { Diagnostics, ParameterFacts } from '../azure/facts.ts';
import type { AzureInput } from '../azure/judging.ts';
import {
  overAzure,
  overPart,
  overParts,
  overServers,
  overSurroundings,
  sameText,
  serverObject,
  valuesOf,
} from '../azure/judging.ts';
import type { Check, Finding } from '../check.ts';
import { counted, judge, skip } from '../outcome.ts';
import { sameValue } from '../parameters.ts';

const day = 24 * 3600 * 1000;

/** A replica does not start with less of these than its primary has. */
const inherited = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
];

/** Parameters that Azure sets for itself, by name or by what it calls their source. */
const azures = /^(azure\.(?!extensions)|azure_|pg_qs\.|pgms_|intelligent_tuning|index_tuning)/;

const entries = (text: string) =>
  text
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

function parameterFindings(
  parameters: readonly ParameterFacts[],
  object: string,
  find: (one: ParameterFacts) => string | undefined,
): readonly Finding[] {
  return parameters.flatMap((one) => {
    const detail = find(one);
    return detail ? [{ object: `${object}, parameter ${one.name}`, detail }] : [];
  });
}

function diagnosticsFindings(
  object: string,
  found: Diagnostics | undefined,
  workspaceId: string,
): readonly Finding[] {
  if (!found)
    return [{ object, detail: 'sends its logs nowhere: diagnostic setting log-analytics is missing' }];
  const findings: Finding[] = [];
  if (!sameText(found.workspaceId, workspaceId)) {
    findings.push({ object, detail: `sends its logs to ${found.workspaceId || 'nothing'}` });
  }
  if (!found.logs.includes('allLogs')) {
    findings.push({ object, detail: `sends ${found.logs.join(', ') || 'no logs'} instead of all logs` });
  }
  return findings;
}

function alertFindings(input: AzureInput, kind: 'metricAlerts' | 'activityAlerts', what: 'there' | 'told') {
  return overSurroundings(input, (surroundings) =>
    overPart(input.facts[kind], (alerts) => {
      const there = new Map(alerts.map((alert) => [alert.name, alert]));
      const noun = kind === 'metricAlerts' ? 'metric alert' : 'activity alert';
      const findings = surroundings[kind].flatMap((name): readonly Finding[] => {
        const alert = there.get(name);
        const object = `alert ${name}`;
        if (what === 'told') {
          return !alert || alert.actionGroups.some((id) => sameText(id, surroundings.actionGroupId))
            ? []
            : [{ object, detail: "tells nobody of the environment's action group" }];
        }
        if (!alert) return [{ object, detail: 'does not exist' }];
        return alert.enabled || !input.expected.alertsEnabled ? [] : [{ object, detail: 'is switched off' }];
      });
      return judge(counted(surroundings[kind].length, noun), findings);
    }),
  );
}

export const azureSurroundingChecks: readonly Check[] = [
  {
    id: 'AZU-020',
    group: 'azure',
    severity: 'critical',
    title: 'The servers are reachable from where the settings say, and from nowhere else',
    looksAt: 'network.publicNetworkAccess, and the firewall rules of public servers',
    why: 'One click in the portal opens a server to the internet, and the rule for "Azure services" opens it to every tenant of Azure.',
    mend: 'az postgres flexible-server update --public-access Disabled, or deploy the environment.',
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
    group: 'azure',
    severity: 'high',
    title: 'The private endpoints are approved',
    looksAt: 'privateEndpointConnections of both servers',
    why: 'Rejected or disconnected, it resolves and does not answer: clients find out one timeout at a time.',
    mend: 'az network private-endpoint-connection approve, or deploy the environment.',
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
    group: 'azure',
    severity: 'critical',
    title: 'Logins are allowed as the settings say',
    looksAt: 'authConfig of the server that takes writes: passwords and Entra',
    why: 'Password login is one leaked secret for ever; Entra tokens end within a day and obey conditional access.',
    mend: 'az postgres flexible-server update --password-auth Disabled --microsoft-entra-auth Enabled (or deploy).',
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
    group: 'azure',
    severity: 'high',
    title: 'Nobody administers the database but whom the settings name',
    looksAt: 'Entra administrators of the server that takes writes, by object id',
    why: 'An Entra administrator is a member of azure_pg_admin: one more of them reads all of it.',
    mend: 'Deploy the environment; az postgres flexible-server microsoft-entra-admin delete for one too many.',
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
  {
    id: 'AZU-024',
    group: 'azure',
    severity: 'high',
    title: "Every parameter has the environment's value, on both servers",
    looksAt:
      "values of the servers' parameters against the settings, those that Azure keeps outside PostgreSQL (pgbouncer.*, metrics.*) included",
    why: "A value that was changed in the portal is in force and in no review; a promoted replica has its own, PgBouncer's among them.",
    mend: 'Deploy the environment, or take the value into its file.',
    source: 'docs/decisions.md, 8; Microsoft Learn, Promote read replicas (what is not carried over)',
    run: (input) =>
      overAzure(input, (azure) =>
        overParts(
          azure,
          ({ parameters }) => parameters,
          (parameters, { server, expected }) => {
            const values = valuesOf(parameters);
            return Object.entries(expected.parameters).flatMap(([name, wanted]): readonly Finding[] => {
              // What is too wide or too narrow of it, AZU-027 says.
              if (name === 'azure.extensions') return [];
              const found = values.get(name);
              if (found && sameValue(found.value, wanted)) return [];
              return [
                {
                  object: `${serverObject(server)}, parameter ${name}`,
                  detail: `is ${found?.value || 'not set'}, settings say ${wanted}: az postgres flexible-server parameter set --server-name ${server.name} --name ${name} --value '${wanted}'`,
                },
              ];
            });
          },
          (_, { expected }) => counted(Object.keys(expected.parameters).length, 'parameter'),
        ),
      ),
  },
  {
    id: 'AZU-025',
    group: 'azure',
    severity: 'high',
    title: 'No parameter waits for a restart, on either server',
    looksAt: 'isConfigPendingRestart of every parameter',
    why: 'The next failover or maintenance puts it in force, in the middle of somebody else’s change.',
    mend: 'llama-db post-deploy restarts once when something is pending.',
    source: 'docs/decisions.md, 9',
    run: (input) =>
      overAzure(input, (azure) =>
        overParts(
          azure,
          ({ parameters }) => parameters,
          (parameters, { server }) =>
            parameterFindings(parameters, serverObject(server), ({ pendingRestart }) =>
              pendingRestart ? 'waits for a restart' : undefined,
            ),
          (parameters) => counted(parameters.length, 'parameter'),
        ),
      ),
  },
  {
    id: 'AZU-026',
    group: 'azure',
    severity: 'medium',
    title: 'Nobody set a parameter that the settings do not name',
    looksAt: "parameters whose source is user-override and that are in no settings; Azure's own are Azure's",
    why: 'What was tried by hand stays: nobody knows why it is there, and a restored server does not have it.',
    mend: 'Take it into server.parameters, or set it back: az postgres flexible-server parameter set with its default.',
    source: 'docs/decisions.md, 8',
    run: (input) =>
      overAzure(input, (azure) =>
        overParts(
          azure,
          ({ parameters }) => parameters,
          (parameters, { server, expected }) =>
            parameterFindings(parameters, serverObject(server), (one) =>
              one.source === 'user-override' &&
              !one.readOnly &&
              !azures.test(one.name) &&
              !(one.name in expected.parameters) &&
              !sameValue(one.value, one.standard)
                ? `is ${one.value} instead of ${one.standard}, and in no settings`
                : undefined,
            ),
          (parameters) => counted(parameters.length, 'parameter'),
        ),
      ),
  },
  {
    id: 'AZU-027',
    group: 'azure',
    severity: 'medium',
    title: 'Extensions are allowed as the settings say, and no others',
    looksAt: 'parameter azure.extensions of both servers',
    why: 'One that is missing fails the next deployment; one too many can be created by any administrator without a review.',
    mend: 'Deploy the environment, or change server.extensions.',
    source: 'Microsoft Learn, Allow extensions',
    run: (input) =>
      overAzure(input, (azure) =>
        overParts(
          azure,
          ({ parameters }) => parameters,
          (parameters, { server, expected }): readonly Finding[] => {
            const found = entries(valuesOf(parameters).get('azure.extensions')?.value ?? '');
            const wanted = entries(expected.parameters['azure.extensions'] ?? '');
            const object = `${serverObject(server)}, azure.extensions`;
            return [
              ...wanted
                .filter((name) => !found.includes(name))
                .map((name) => ({ object, detail: `does not allow ${name}` })),
              ...found
                .filter((name) => !wanted.includes(name))
                .map((name) => ({ object, detail: `allows ${name}, which the settings do not` })),
            ];
          },
          (parameters) =>
            counted(entries(valuesOf(parameters).get('azure.extensions')?.value ?? '').length, 'extension'),
        ),
      ),
  },
  {
    id: 'AZU-028',
    group: 'azure',
    severity: 'high',
    title: 'The replica has at least the limits of its primary',
    looksAt: inherited.join(', '),
    why: 'With less of one of them a replica does not start again after its next restart.',
    mend: 'Raise it on the replica first, then on the primary; lower it on the primary first.',
    source: 'PostgreSQL manual, Hot Standby (administration); docs/decisions.md, 9',
    run: (input) =>
      overAzure(input, (azure) => {
        if (!azure.expected.replica) return skip('the settings have no replica');
        const writer = azure.facts.servers.find(({ role }) => role === azure.deployment.writer)?.parameters;
        if (!writer || 'unreadable' in writer) return skip(writer?.unreadable ?? 'there is no writer');
        const limits = valuesOf(writer.value);
        return overParts(
          azure,
          ({ parameters }) => parameters,
          (parameters, { server, writes }) => {
            if (writes) return [];
            const values = valuesOf(parameters);
            return inherited.flatMap((name): readonly Finding[] => {
              const [own, primary] = [Number(values.get(name)?.value), Number(limits.get(name)?.value)];
              return own < primary
                ? [
                    {
                      object: `${serverObject(server)}, parameter ${name}`,
                      detail: `is ${own}, the writer's is ${primary}`,
                    },
                  ]
                : [];
            });
          },
          () => counted(inherited.length, 'limit'),
        );
      }),
  },
  {
    id: 'AZU-030',
    group: 'azure',
    severity: 'high',
    title: 'Every alert on a metric is there and switched on',
    looksAt: 'metric alerts of the environment, by name',
    why: 'An alert that was switched off for a quiet weekend stays off.',
    mend: 'Deploy the environment.',
    source: 'Azure Monitor Baseline Alerts; docs/decisions.md, 23',
    run: (input) => overAzure(input, (azure) => alertFindings(azure, 'metricAlerts', 'there')),
  },
  {
    id: 'AZU-031',
    group: 'azure',
    severity: 'high',
    title: 'Every alert on what is done to the servers is there and switched on',
    looksAt: 'activity log alerts of the environment, by name',
    why: 'Deletions, opened firewalls, new administrators and lifted locks are seen by nothing else.',
    mend: 'Deploy the environment.',
    source: 'CIS Microsoft Azure Foundations (activity log alerts)',
    run: (input) => overAzure(input, (azure) => alertFindings(azure, 'activityAlerts', 'there')),
  },
  {
    id: 'AZU-032',
    group: 'azure',
    severity: 'high',
    title: 'Every alert tells the people of the environment',
    looksAt: "actions of the environment's metric alerts and activity alerts",
    why: 'An alert without an action group fires and is seen by whoever happens to look at the portal.',
    mend: 'Deploy the environment.',
    source: 'Azure Monitor Baseline Alerts',
    run: (input) =>
      overAzure(input, (azure) => {
        const metric = alertFindings(azure, 'metricAlerts', 'told');
        const activity = alertFindings(azure, 'activityAlerts', 'told');
        if (metric.status === 'skipped') return metric;
        if (activity.status === 'skipped') return activity;
        const findings = [metric, activity].flatMap((one) => (one.status === 'failed' ? one.findings : []));
        return judge(`${metric.looked}, ${activity.looked}`, findings);
      }),
  },
  {
    id: 'AZU-033',
    group: 'azure',
    severity: 'high',
    title: 'The action group is switched on and has somebody to tell',
    looksAt: 'the action group of the environment: enabled, and its receivers',
    why: 'Every alert leads there: without a receiver all of them are silent at once.',
    mend: 'Deploy the environment; monitoring.actionGroup.emails names the receivers.',
    source: 'Azure Monitor Baseline Alerts',
    run: (input) =>
      overAzure(input, ({ facts }) =>
        overPart(facts.actionGroup, ({ enabled, receivers }) =>
          judge(counted(receivers, 'receiver'), [
            ...(enabled ? [] : [{ object: 'action group', detail: 'is switched off' }]),
            ...(receivers > 0 ? [] : [{ object: 'action group', detail: 'has no receiver' }]),
          ]),
        ),
      ),
  },
  {
    id: 'AZU-034',
    group: 'azure',
    severity: 'high',
    title: 'Logs of servers and vault reach the workspace',
    looksAt: 'diagnostic setting log-analytics of both servers and the vault: workspace and log categories',
    why: "pgaudit, connections and the vault's accesses are only kept there: without the setting there is no trail from that hour on.",
    mend: 'Deploy the environment, and find out who removed it.',
    source: 'PSRule AZR-000119; MCSB LT-4',
    run: (input) =>
      overAzure(input, (azure) =>
        overSurroundings(azure, ({ workspaceId, vaultId }) => {
          const outcome = overParts(
            azure,
            ({ diagnostics }) => diagnostics,
            (found, { server }) => diagnosticsFindings(serverObject(server), found, workspaceId),
            (found) => found?.logs.join(', ') ?? 'nothing',
          );
          const { vaultDiagnostics: vault } = azure.facts;
          if (!vaultId || outcome.status === 'skipped') return outcome;
          if ('unreadable' in vault) return skip(vault.unreadable);
          const findings = diagnosticsFindings('key vault', vault.value, workspaceId);
          return judge(`${outcome.looked}; key vault: ${vault.value?.logs.join(', ') ?? 'nothing'}`, [
            ...(outcome.status === 'failed' ? outcome.findings : []),
            ...findings,
          ]);
        }),
      ),
  },
  {
    id: 'AZU-035',
    group: 'azure',
    severity: 'high',
    title: 'Servers and vault are locked against deletion as the settings say',
    looksAt: 'management locks on both servers and the vault',
    why: 'A deleted server takes its backups with it after five days; a lock that was lifted for one change is easily forgotten.',
    mend: "protection.deletionLock: 'inPlace' in the environment file; deploy.",
    source: 'docs/decisions.md, 8a; CIS Microsoft Azure Foundations (resource locks)',
    run: (input) =>
      overAzure(input, (azure) => {
        const wanted = azure.expected.deletionLock;
        if (wanted === 'none') return skip('the settings ask for no lock');
        const missing = (object: string, locks: readonly string[]): readonly Finding[] => {
          if (wanted === 'lifted')
            return [{ object, detail: 'its lock is lifted: put it back (deletionLock: inPlace)' }];
          return locks.some((level) => level === 'CanNotDelete' || level === 'ReadOnly')
            ? []
            : [{ object, detail: 'is not locked against deletion' }];
        };
        const outcome = overParts(
          azure,
          ({ locks }) => locks,
          (locks, { server }) => missing(serverObject(server), locks),
          (locks) => counted(locks.length, 'lock'),
        );
        const { vaultLocks } = azure.facts;
        if (!azure.deployment.surroundings?.vaultId || outcome.status === 'skipped') return outcome;
        if ('unreadable' in vaultLocks) return skip(vaultLocks.unreadable);
        return judge(`${outcome.looked}; key vault: ${counted(vaultLocks.value.length, 'lock')}`, [
          ...(outcome.status === 'failed' ? outcome.findings : []),
          ...missing('key vault', vaultLocks.value),
        ]);
      }),
  },
  {
    id: 'AZU-036',
    group: 'azure',
    severity: 'high',
    title: 'The key that wraps the data keys is enabled, far from its end, and rotates',
    looksAt: 'attributes and rotation policy of the field-encryption key, through Resource Manager',
    why: 'Disabled or expired, no encrypted field can be read or written from the next start of an application on.',
    mend: 'az keyvault key set-attributes --enabled true, az keyvault key rotate; az keyvault key rotation-policy update.',
    source: 'docs/decisions.md, 20; CIS Microsoft Azure Foundations (key expiration)',
    run: (input) =>
      overAzure(input, ({ facts }) =>
        overPart(facts.key, ({ enabled, expires, rotates }) => {
          const object = 'field-encryption key';
          const left = expires ? Math.floor((expires.getTime() - facts.now.getTime()) / day) : undefined;
          const findings: Finding[] = [];
          if (!enabled) findings.push({ object, detail: 'is disabled' });
          if (left !== undefined && left < 30) {
            findings.push({ object, detail: left < 0 ? 'has expired' : `expires in ${left} days` });
          }
          if (!rotates) findings.push({ object, detail: 'has no rotation policy' });
          return judge(
            expires ? `expires ${expires.toISOString().slice(0, 10)}` : 'does not expire',
            findings,
          );
        }),
      ),
  },
];
