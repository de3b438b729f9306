/** Resource types whose destruction loses data, each with what would be lost. */
export const lossOnDestruction: Readonly<Record<string, string>> = {
  azurerm_postgresql_flexible_server: 'every database of the server, and its backups with it',
  azurerm_postgresql_flexible_server_database: 'every row of the database',
  azurerm_key_vault: 'the keys without which no encrypted field can be read',
  azurerm_log_analytics_workspace: 'the audit logs',
  azurerm_data_protection_backup_vault: 'every weekly backup',
  azurerm_data_protection_backup_policy_postgresql_flexible_server:
    'the retention of the weekly backups that were taken under it',
  azurerm_data_protection_backup_instance_postgresql_flexible_server: 'the weekly backups of its server',
  azurerm_resource_group: 'everything in the group, also what this stack does not know',
  azurerm_management_lock: 'what keeps people and other programs from deleting any of this',
};
