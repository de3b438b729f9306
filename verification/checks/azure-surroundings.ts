/** Alerts, logs, locks and the wrapping key, which monitor and protect the servers in Azure. */

import type { ExpectedServer } from '../../database/deployment.ts';
import {
  type AzureCheck,
  type AzureInput,
  azureChecks,
  type Difference,
  factOf,
  forEachSubject,
  required,
  type Subject,
  sameText,
  serversOf,
  surroundingsOf,
} from '../azure/assertions.ts';
import type { Alert, Read, ServerReadings } from '../azure/facts.ts';
import type { Finding } from '../check.ts';
import { counted, judge } from '../outcome.ts';

const day = 24 * 3600 * 1000;

/** A wrapping key must be valid for at least this long, so that a rotation can still be arranged. */
const keyValidityDays = 30;

/** One fact of each server with its archive, and of the vault if the deployment has its own. */
function serversAndVault<Value>(
  azure: AzureInput,
  ofServer: (readings: ServerReadings) => Read<Value>,
  ofVault: Read<Value>,
): readonly (Subject & { readonly value: Value; readonly archive: ExpectedServer['archive'] })[] {
  const servers = serversOf(azure).map(({ object, readings, expected }) => ({
    object,
    value: factOf(ofServer(readings)),
    archive: expected.archive,
  }));
  // The vault is in the primary's region, like the archive of its server.
  const { archive } = azure.expected.primary;
  return azure.deployment.surroundings?.vaultId
    ? [...servers, { object: 'key vault', value: factOf(ofVault), archive }]
    : servers;
}

/** The assertion about every alert of the environment; `detail` gets undefined for an alert that does not exist. */
function eachAlert(
  kinds: readonly ('metricAlerts' | 'activityAlerts' | 'logAlerts')[],
  detail: (alert: Alert | undefined, azure: AzureInput) => string | undefined,
): AzureCheck['assert'] {
  return (azure) => {
    const surroundings = surroundingsOf(azure);
    const alerts = kinds.flatMap((kind) => {
      const found = new Map<string, Alert>(factOf(azure.facts[kind]).map((alert) => [alert.name, alert]));
      return surroundings[kind].map((expected) => {
        const name = typeof expected === 'string' ? expected : expected.name;
        return { name, alert: found.get(name) };
      });
    });
    return judge(
      counted(alerts.length, 'alert'),
      alerts.flatMap(({ name, alert }): readonly Finding[] => {
        const found = detail(alert, azure);
        return found ? [{ object: `alert ${name}`, detail: found }] : [];
      }),
    );
  };
}

function missingOrOff(alert: Alert | undefined, { expected }: AzureInput): string | undefined {
  if (!alert) return 'does not exist';
  return alert.enabled || !expected.alertsEnabled ? undefined : 'is disabled';
}

export const checks = azureChecks([
  {
    id: 'AZU-030',
    name: 'metric-alerts',
    loses: 'traces',
    title: 'Every metric alert of the environment exists and is enabled',
    inspects: 'metric alerts of the environment, by name',
    why: 'An alert that was disabled for a quiet weekend stays disabled.',
    remedy: 'Deploy the environment.',
    source: 'Azure Monitor Baseline Alerts; docs/decisions.md, 23',
    assert: eachAlert(['metricAlerts'], missingOrOff),
  },
  {
    id: 'AZU-031',
    name: 'activity-alerts',
    loses: 'traces',
    title: 'Every activity log alert of the environment exists and is enabled',
    inspects: 'activity log alerts of the environment, by name',
    why: 'Nothing else reports deletions, opened firewalls, new administrators and removed locks.',
    remedy: 'Deploy the environment.',
    source: 'CIS Microsoft Azure Foundations (activity log alerts)',
    assert: eachAlert(['activityAlerts'], missingOrOff),
  },
  {
    id: 'AZU-039',
    name: 'log-alerts',
    loses: 'traces',
    title: 'Every log alert of the environment exists, is enabled and has its query',
    inspects: 'log alerts (scheduled query rules) of the environment, by name, with their queries',
    why: 'Nothing else reports at once that a login changed its own settings or password, which no privilege prevents.',
    remedy: 'Deploy the environment.',
    source: 'docs/isolation.md, "Changes of a login by itself"',
    assert: (azure) => {
      const { logAlerts } = surroundingsOf(azure);
      const expected = required(logAlerts.length > 0 ? logAlerts : undefined, 'log alert');
      const found = new Map(factOf(azure.facts.logAlerts).map((alert) => [alert.name, alert]));
      return judge(
        counted(expected.length, 'alert'),
        expected.flatMap(({ name, query }): readonly Finding[] => {
          const alert = found.get(name);
          const detail =
            missingOrOff(alert, azure) ??
            (alert?.query === query ? undefined : 'has another query than deployed');
          return detail ? [{ object: `alert ${name}`, detail }] : [];
        }),
      );
    },
  },
  {
    id: 'AZU-032',
    name: 'alerts-notify-action-group',
    loses: 'traces',
    title: "Every alert notifies the environment's action group",
    inspects: 'actions of the metric alerts, activity log alerts and log alerts of the environment',
    why: 'An alert without an action group is only seen in the portal.',
    remedy: 'Deploy the environment.',
    source: 'Azure Monitor Baseline Alerts',
    assert: eachAlert(['metricAlerts', 'activityAlerts', 'logAlerts'], (alert, azure) => {
      const { actionGroupId } = surroundingsOf(azure);
      return !alert || alert.actionGroups.some((id) => sameText(id, actionGroupId))
        ? undefined
        : "does not notify the environment's action group";
    }),
  },
  {
    id: 'AZU-033',
    name: 'action-group-has-receivers',
    loses: 'traces',
    title: 'The action group is enabled and has the receivers of the settings',
    inspects: 'the action group of the environment: its state, and its receivers by kind and name',
    why: 'Every alert goes through it. A receiver that was removed or has unsubscribed learns of none of them.',
    remedy:
      'Deploy the environment; monitoring.actionGroup lists the receivers. A person who has unsubscribed subscribes again in the portal.',
    source: 'Azure Monitor Baseline Alerts',
    assert: ({ facts, expected }) => {
      const { enabled, receivers } = factOf(facts.actionGroup);
      const found = new Map(receivers.map((one) => [one.name, one.enabled]));
      return judge(counted(receivers.length, 'receiver'), [
        ...(enabled ? [] : [{ object: 'action group', detail: 'is disabled' }]),
        ...(receivers.length > 0 ? [] : [{ object: 'action group', detail: 'has no receiver' }]),
        ...(expected.receivers ?? []).flatMap((name): readonly Finding[] => {
          if (found.get(name)) return [];
          const detail = found.has(name) ? 'has unsubscribed' : 'is missing';
          return [{ object: `action group, receiver ${name}`, detail }];
        }),
      ]);
    },
  },
  {
    id: 'AZU-034',
    name: 'diagnostic-settings',
    loses: 'traces',
    title: 'Servers and key vault send all logs to the workspace, and to the archive of the settings',
    inspects:
      'diagnostic setting log-analytics of each server and of the vault: workspace, archive and log categories',
    why: 'The records of pgaudit, connections and vault access are kept only there. Without the setting they are lost from that moment.',
    remedy: 'Deploy the environment, and find out who removed the setting.',
    source: 'PSRule AZR-000119; MCSB LT-3 (not compared)',
    assert: (azure) => {
      const { workspaceId } = surroundingsOf(azure);
      return forEachSubject(
        serversAndVault(azure, ({ diagnostics }) => diagnostics, azure.facts.vaultDiagnostics),
        ({ value, archive = {} }) => {
          if (!value) return [{ detail: 'sends no logs: diagnostic setting log-analytics is missing' }];
          const differences: Difference[] = [];
          if (!sameText(value.workspaceId, workspaceId)) {
            differences.push({ detail: `sends its logs to ${value.workspaceId || 'no workspace'}` });
          }
          if (!value.logs.includes('allLogs')) {
            differences.push({ detail: `sends ${value.logs.join(', ') || 'no logs'}, expected allLogs` });
          }
          const { storageAccountId = '', eventHub } = archive;
          const { authorizationRuleId = '', name = '' } = eventHub ?? {};
          const places = [
            ['storage account', value.storageAccountId, storageAccountId],
            ["event hub's rule", value.eventHub.authorizationRuleId, authorizationRuleId],
            ['event hub', value.eventHub.name, name],
          ] as const;
          for (const [place, actual, wanted] of places)
            if (!sameText(actual, wanted))
              differences.push({ detail: `${place} is ${actual || 'none'}, expected ${wanted || 'none'}` });
          return differences;
        },
        ({ value }) => value?.logs.join(', ') || 'no logs',
      );
    },
  },
  {
    id: 'AZU-035',
    name: 'deletion-locks',
    loses: 'recovery',
    title: 'Servers and key vault have the deletion locks of the settings',
    inspects: 'management locks on each server and on the vault',
    why: 'The backups of a deleted server are gone after five days. A lock that was lifted for one change is easily forgotten.',
    remedy: "Set protection.deletionLock: 'inPlace' in the environment file and deploy.",
    source: 'docs/decisions.md, 8a; CIS Microsoft Azure Foundations (resource locks)',
    assert: (azure) => {
      const { deletionLock } = azure.expected;
      const wanted = required(deletionLock === 'none' ? undefined : deletionLock, 'deletion lock');
      return forEachSubject(
        serversAndVault(azure, ({ locks }) => locks, azure.facts.vaultLocks),
        ({ value: locks }) => {
          if (wanted === 'lifted') return [{ detail: 'its lock is lifted' }];
          return locks.some((level) => level === 'CanNotDelete' || level === 'ReadOnly')
            ? []
            : [{ detail: 'has no lock against deletion' }];
        },
        ({ value }) => counted(value.length, 'lock'),
      );
    },
  },
  {
    id: 'AZU-036',
    name: 'wrapping-key-rotates',
    loses: 'availability',
    title: `The wrapping key is enabled, valid for ${keyValidityDays} days and rotates`,
    inspects: 'attributes and rotation policy of the field-encryption key, through Resource Manager',
    why: 'If the key is disabled or has expired, an application that starts can read and write no encrypted field.',
    remedy:
      'Run az keyvault key set-attributes --enabled true, az keyvault key rotate, or az keyvault key rotation-policy update.',
    source: 'docs/decisions.md, 20; CIS Microsoft Azure Foundations (key expiration)',
    assert: ({ facts }) => {
      const { enabled, expires, rotates } = factOf(facts.key);
      const left = expires ? Math.floor((expires.getTime() - facts.now.getTime()) / day) : undefined;
      const details: string[] = [];
      if (!enabled) details.push('is disabled');
      if (left !== undefined && left < keyValidityDays) {
        details.push(left < 0 ? 'has expired' : `expires in ${counted(left, 'day')}`);
      }
      if (!rotates) details.push('has no rotation policy');
      return judge(
        expires ? `expires ${expires.toISOString().slice(0, 10)}` : 'does not expire',
        details.map((detail) => ({ object: 'field-encryption key', detail })),
      );
    },
  },
  {
    id: 'AZU-037',
    name: 'workspace-refuses-shared-keys',
    loses: 'traces',
    title: 'The workspace accepts no shared key',
    inspects: 'features.disableLocalAuth of the Log Analytics workspace',
    why: "Terraform's state contains the shared keys of the workspace. If the workspace accepts them, every reader of the state can write records that look like the server's logs.",
    remedy:
      'Deploy the environment. For an adopted workspace, run az resource update --ids <workspace id> --set properties.features.disableLocalAuth=true, and regenerate its keys.',
    source:
      'docs/decisions.md, 22; https://learn.microsoft.com/azure/azure-monitor/logs/azure-ad-authentication-logs',
    assert: ({ facts }) => {
      const { sharedKeys } = factOf(facts.workspace);
      return judge(sharedKeys ? 'accepts shared keys' : 'Entra identities only', [
        ...(sharedKeys ? [{ object: 'workspace', detail: 'accepts shared keys' }] : []),
      ]);
    },
  },
]);
