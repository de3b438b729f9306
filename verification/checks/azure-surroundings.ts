/** What watches and guards the servers in Azure: alerts, logs, locks, the key. */
import type { Diagnostics } from '../azure/facts.ts';
import {
  type AzureInput,
  overAzure,
  overPart,
  overParts,
  overSurroundings,
  sameText,
  serverObject,
} from '../azure/judging.ts';
import { checksOf, type Finding } from '../check.ts';
import { counted, judge, skip } from '../outcome.ts';

const day = 24 * 3600 * 1000;
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

export const checks = checksOf('azure', [
  {
    id: 'AZU-030',
    name: 'metric-alerts',
    severity: 'high',
    title: 'Every alert on a metric is there and switched on',
    inspects: 'metric alerts of the environment, by name',
    why: 'An alert that was switched off for a quiet weekend stays off.',
    remedy: 'Deploy the environment.',
    source: 'Azure Monitor Baseline Alerts; docs/decisions.md, 23',
    run: (input) => overAzure(input, (azure) => alertFindings(azure, 'metricAlerts', 'there')),
  },
  {
    id: 'AZU-031',
    name: 'activity-alerts',
    severity: 'high',
    title: 'Every alert on what is done to the servers is there and switched on',
    inspects: 'activity log alerts of the environment, by name',
    why: 'Deletions, opened firewalls, new administrators and lifted locks are seen by nothing else.',
    remedy: 'Deploy the environment.',
    source: 'CIS Microsoft Azure Foundations (activity log alerts)',
    run: (input) => overAzure(input, (azure) => alertFindings(azure, 'activityAlerts', 'there')),
  },
  {
    id: 'AZU-032',
    name: 'alerts-notify-action-group',
    severity: 'high',
    title: 'Every alert tells the people of the environment',
    inspects: "actions of the environment's metric alerts and activity alerts",
    why: 'An alert without an action group fires and is seen by whoever happens to look at the portal.',
    remedy: 'Deploy the environment.',
    source: 'Azure Monitor Baseline Alerts',
    run: (input) =>
      overAzure(input, (azure) => {
        const metric = alertFindings(azure, 'metricAlerts', 'told');
        const activity = alertFindings(azure, 'activityAlerts', 'told');
        if (metric.status === 'skipped') return metric;
        if (activity.status === 'skipped') return activity;
        const findings = [metric, activity].flatMap((one) => (one.status === 'failed' ? one.findings : []));
        return judge(`${metric.inspected}, ${activity.inspected}`, findings);
      }),
  },
  {
    id: 'AZU-033',
    name: 'action-group-has-receivers',
    severity: 'high',
    title: 'The action group is switched on and has somebody to tell',
    inspects: 'the action group of the environment: enabled, and its receivers',
    why: 'Every alert leads there: without a receiver all of them are silent at once.',
    remedy: 'Deploy the environment; monitoring.actionGroup.emails names the receivers.',
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
    name: 'diagnostic-settings',
    severity: 'high',
    title: 'Logs of servers and vault reach the workspace',
    inspects: 'diagnostic setting log-analytics of both servers and the vault: workspace and log categories',
    why: "pgaudit, connections and the vault's accesses are only kept there: without the setting there is no trail from that hour on.",
    remedy: 'Deploy the environment, and find out who removed it.',
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
          return judge(`${outcome.inspected}; key vault: ${vault.value?.logs.join(', ') ?? 'nothing'}`, [
            ...(outcome.status === 'failed' ? outcome.findings : []),
            ...findings,
          ]);
        }),
      ),
  },
  {
    id: 'AZU-035',
    name: 'deletion-locks',
    severity: 'high',
    title: 'Servers and vault are locked against deletion as the settings say',
    inspects: 'management locks on both servers and the vault',
    why: 'A deleted server takes its backups with it after five days; a lock that was lifted for one change is easily forgotten.',
    remedy: "protection.deletionLock: 'inPlace' in the environment file; deploy.",
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
        return judge(`${outcome.inspected}; key vault: ${counted(vaultLocks.value.length, 'lock')}`, [
          ...(outcome.status === 'failed' ? outcome.findings : []),
          ...missing('key vault', vaultLocks.value),
        ]);
      }),
  },
  {
    id: 'AZU-036',
    name: 'wrapping-key-rotates',
    severity: 'high',
    title: 'The key that wraps the data keys is enabled, far from its end, and rotates',
    inspects: 'attributes and rotation policy of the field-encryption key, through Resource Manager',
    why: 'Disabled or expired, no encrypted field can be read or written from the next start of an application on.',
    remedy:
      'az keyvault key set-attributes --enabled true, az keyvault key rotate; az keyvault key rotation-policy update.',
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
]);
