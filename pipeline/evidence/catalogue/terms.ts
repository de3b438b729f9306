/** Resource types that several families inspect, and the ways they select them. */
import { at, type JsonObject } from '../../../core/json.ts';

export const types = {
  server: 'azurerm_postgresql_flexible_server',
  administrator: 'azurerm_postgresql_flexible_server_active_directory_administrator',
  firewallRule: 'azurerm_postgresql_flexible_server_firewall_rule',
  endpoint: 'azurerm_private_endpoint',
  securityGroup: 'azurerm_network_security_group',
  vault: 'azurerm_key_vault',
  keyDeployment: 'azurerm_resource_group_template_deployment',
  roleAssignment: 'azurerm_role_assignment',
  workspace: 'azurerm_log_analytics_workspace',
  diagnostics: 'azurerm_monitor_diagnostic_setting',
  activityAlert: 'azurerm_monitor_activity_log_alert',
  metricAlert: 'azurerm_monitor_metric_alert',
  actionGroup: 'azurerm_monitor_action_group',
  lock: 'azurerm_management_lock',
  backupVault: 'azurerm_data_protection_backup_vault',
  backupPolicy: 'azurerm_data_protection_backup_policy_postgresql_flexible_server',
} as const;

/** A server with settings of its own: a replica takes its logins and backups from its source. */
export const isPrimary = (block: JsonObject): boolean => block['create_mode'] !== 'Replica';

/** A server that is reached through a private endpoint, not through a subnet of its own. */
export const isNotInjected = (block: JsonObject): boolean => block['delegated_subnet_id'] === undefined;

export const targets = ['private_service_connection', 'private_connection_resource_id'] as const;

/** Whether an activity log alert watches an operation. */
export const watches =
  (operation: string) =>
  (block: JsonObject): boolean =>
    at(block, 'criteria', 'operation_name') === operation;
