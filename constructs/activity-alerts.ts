import { MonitorActivityLogAlert } from '@cdktf/provider-azurerm/lib/monitor-activity-log-alert/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { derivedNames } from '../azure/resource-names.ts';

export interface ActivityAlertsProps {
  /** Prefix of the alerts' names. */
  readonly namePrefix: string;
  /** Holds the alerts. Any group can. */
  readonly resourceGroupName: string;
  /** Azure resource ids of the Flexible Servers, replicas included. */
  readonly serverIds: readonly string[];
  /**
   * Azure resource ids of the Key Vaults.
   * @default - none
   */
  readonly vaultIds?: readonly string[];
  readonly actionGroupId: string;
  /**
   * Whether the alerts are evaluated.
   * @default true
   */
  readonly enabled?: boolean;
  /** @default - no tags */
  readonly tags?: Readonly<Record<string, string>>;
  /** @default - after the watched resources and the action group only */
  readonly after?: readonly ITerraformDependable[];
}

interface Operation {
  /** Suffix of the alert's name. */
  readonly id: string;
  /** As the activity log writes it. */
  readonly operation: string;
  readonly description: string;
}

const serverOperations: readonly Operation[] = [
  {
    id: 'server-deleted',
    operation: 'Microsoft.DBforPostgreSQL/flexibleServers/delete',
    description:
      'Somebody deleted a Flexible Server, or tried to and was stopped by the lock. A deleted server can be restored ' +
      'from its backup for five days: act on the first one.',
  },
  {
    id: 'server-stopped',
    operation: 'Microsoft.DBforPostgreSQL/flexibleServers/stop/action',
    description: 'Somebody stopped a Flexible Server. Start it again unless the change was announced.',
  },
  {
    id: 'firewall-rule-written',
    operation: 'Microsoft.DBforPostgreSQL/flexibleServers/firewallRules/write',
    description:
      'A firewall rule was added or changed. In private modes there should be no rule: compare with the last ' +
      'deployment, and remove the rule if the deployment did not create it.',
  },
  {
    id: 'firewall-rule-deleted',
    operation: 'Microsoft.DBforPostgreSQL/flexibleServers/firewallRules/delete',
    description:
      'A firewall rule was removed, and the clients that it admitted can no longer connect. Compare with the last deployment.',
  },
  {
    id: 'administrator-written',
    operation: 'Microsoft.DBforPostgreSQL/flexibleServers/administrators/write',
    description:
      'Somebody was made an administrator of the database. Compare with server.authentication.administrators.',
  },
  {
    id: 'administrator-deleted',
    operation: 'Microsoft.DBforPostgreSQL/flexibleServers/administrators/delete',
    description:
      'An administrator of the database was removed. Without one, deployments cannot log in: compare with ' +
      'server.authentication.administrators.',
  },
  {
    id: 'server-lock-deleted',
    operation: 'Microsoft.Authorization/locks/delete',
    description:
      'The lock that keeps a Flexible Server from being deleted was removed. A deployment with deletionLock "lifted" ' +
      'does that; make sure the next one puts it back.',
  },
  {
    id: 'server-logging-deleted',
    operation: 'Microsoft.Insights/diagnosticSettings/delete',
    description:
      'The logs of a Flexible Server no longer reach Log Analytics: from now on there is no audit trail. Deploy again ' +
      'to restore the diagnostic setting, and find out who removed it.',
  },
];

const vaultOperations: readonly Operation[] = [
  {
    id: 'vault-deleted',
    operation: 'Microsoft.KeyVault/vaults/delete',
    description:
      'Somebody deleted the Key Vault, or tried to and was stopped by the lock. Recover it with `az keyvault recover`; ' +
      'until then no encrypted field can be read.',
  },
  {
    id: 'vault-written',
    operation: 'Microsoft.KeyVault/vaults/write',
    description:
      'The Key Vault was changed: its network, its access model or its tags. Compare with the last deployment.',
  },
  {
    id: 'vault-role-assigned',
    operation: 'Microsoft.Authorization/roleAssignments/write',
    description:
      'Somebody was given a role on the Key Vault or on one of its keys. Compare with the last deployment.',
  },
  {
    id: 'vault-lock-deleted',
    operation: 'Microsoft.Authorization/locks/delete',
    description:
      'The lock that keeps the Key Vault from being deleted was removed. Make sure the next deployment puts it back.',
  },
  {
    id: 'vault-logging-deleted',
    operation: 'Microsoft.Insights/diagnosticSettings/delete',
    description:
      'The audit log of the Key Vault no longer reaches Log Analytics. Deploy again to restore the diagnostic setting.',
  },
];

/**
 * Alerts on operations on the servers and the vault, and on the servers' health as Azure reports it.
 *
 * They cost nothing and show what no metric shows: deletions, opened firewalls, new administrators, a lifted lock, a
 * standby that is degraded while the primary still answers.
 * CIS Azure Foundations, "activity log alerts" (6.1.2 in 5.0); Azure Monitor Baseline Alerts (vault delete).
 */
export class ActivityAlerts extends Construct {
  readonly resources: readonly ITerraformDependable[];
  /** Names of the alerts in Azure. */
  readonly names: readonly string[];

  constructor(scope: Construct, id: string, props: ActivityAlertsProps) {
    super(scope, id);
    const common = {
      resourceGroupName: props.resourceGroupName,
      // Location of the rule. Only the global activity log has both regions of a pair.
      location: 'global',
      enabled: props.enabled ?? true,
      action: [{ actionGroupId: props.actionGroupId }],
      ...(props.tags ? { tags: props.tags } : {}),
      ...(props.after ? { dependsOn: [...props.after] } : {}),
    };
    const onOperations = (operations: readonly Operation[], scopes: readonly string[]) =>
      scopes.length === 0
        ? []
        : operations.map(
            ({ id: name, operation, description }) =>
              new MonitorActivityLogAlert(this, name, {
                ...common,
                name: derivedNames.alert(props.namePrefix, name),
                description,
                scopes: [...scopes],
                criteria: {
                  category: 'Administrative',
                  operationName: operation,
                  // Only the outcome: an operation also logs its start and its acceptance, and each would be an alert.
                  statuses: ['Succeeded', 'Failed'],
                },
              }),
          );
    this.names = [
      'server-health',
      ...serverOperations.map(({ id }) => id),
      ...((props.vaultIds ?? []).length > 0 ? vaultOperations.map(({ id }) => id) : []),
    ].map((name) => derivedNames.alert(props.namePrefix, name));
    this.resources = [
      new MonitorActivityLogAlert(this, 'server-health', {
        ...common,
        name: `${props.namePrefix}-server-health`,
        description:
          'Azure reports a Flexible Server as degraded or unavailable: a failover, a standby that is not ready, or ' +
          'maintenance. Read Resource health of the server; clients of the virtual endpoint follow automatically.',
        scopes: [...props.serverIds],
        criteria: {
          category: 'ResourceHealth',
          resourceHealth: { current: ['Degraded', 'Unavailable'] },
        },
      }),
      ...onOperations(serverOperations, props.serverIds),
      ...onOperations(vaultOperations, props.vaultIds ?? []),
    ];
  }
}
