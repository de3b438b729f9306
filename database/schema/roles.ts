/** The database roles that the migrations make, and the names around them. Declared here and nowhere else. */

/** Schema that holds everything of the product. */
export const schema = 'llama';

/** Column that names the tenant of a row. */
export const tenantColumn = 'tenant_id';

/** Owns schema `llama` and its tables. Deployments log in under another name and `SET ROLE` to it. */
export const ownerRole = 'llama_owner';

/**
 * Owns the database if Azure Backup keeps a weekly backup of it, which leaves out databases of `azuresu` and
 * `azure_pg_admin`. Every administrator has its rights. Nobody logs in as it, and it owns nothing else.
 * https://learn.microsoft.com/azure/backup/backup-azure-database-postgresql-flex-support-matrix
 */
export const databaseOwner = 'llama_database';

/** Works for one tenant at a time: the floor policies apply to it. */
export const applicationRole = 'application_role';

/** Reads and changes the rows of all tenants. */
export const adminRole = 'admin_role';

/** Reads the rows of all tenants. */
export const analyticsRole = 'analytics_role';

/** Calls the functions that refresh views, erase expired rows and report partitions past retention. */
export const maintenanceRole = 'maintenance_role';

/** Owns those functions, the performance views and `set_backup_status`. No login is a member of it. */
export const maintenanceOwner = 'maintenance_owner';

/** Owns the functions that write the audit trail, and alone may insert into it. */
export const auditRole = 'audit_writer';

/** Owns the functions that seal the audit trail. */
export const sealRole = 'audit_sealer';

/** Adds the rows of an import, whose audit rows name the batch. The owner switches to it; no login is a member of it. */
export const importRole = 'import_writer';

/** Group roles that a login can be a member of. */
export const loginRoles = [applicationRole, adminRole, analyticsRole, maintenanceRole] as const;

export type LoginRole = (typeof loginRoles)[number];

/** Group roles that policies and grants name. None of them logs in; no role inherits them. */
export const groupRoles: readonly string[] = [
  ...loginRoles,
  maintenanceOwner,
  auditRole,
  sealRole,
  importRole,
];

/** Roles that own objects, or write for the owner. No login but an administrator is a member of one. */
export const ownerRoles: readonly string[] = [ownerRole, maintenanceOwner, auditRole, sealRole, importRole];

/** Every role that the migrations make. */
export const schemaRoles: readonly string[] = [ownerRole, ...groupRoles];

/** Records every change of tenant rows. */
export const auditTable = `${schema}.audit_trail`;

/** Whether the body of a trigger function writes the audit trail. */
export function writesAuditTrail(source: string): boolean {
  return /\bINSERT\s+INTO\s+llama\.audit_trail\b/i.test(source);
}

/** Azure's group of all administrators of a server, whether they log in by Entra or by password. */
export const everyAdministrator = 'azure_pg_admin';
