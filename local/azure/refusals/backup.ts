/** Refusals of Microsoft.DataProtection. */
import { defineRefusals, learn } from '../core/refusal.ts';

const overview = `${learn}/backup/backup-azure-database-postgresql-flex-overview`;

export const backup = defineRefusals('Long-term backup', {
  vaultProtectsInstances: {
    status: 400,
    code: 'CannotDeleteVault',
    rule: 'A backup vault is deleted after its backup instances',
    source: `${learn}/backup/create-manage-backup-vault`,
    message: (vault: string, instance: string) => `Vault '${vault}' still protects '${instance}'.`,
  },
  redundancyNotOffered: {
    status: 400,
    code: 'UserErrorRedundancyNotSupported',
    rule: 'Geo-redundant backups need a region with a pair, zone-redundant ones a region with availability zones',
    source: `${learn}/backup/backup-vault-overview#storage-settings-in-the-backup-vault`,
    message: (vault: string, redundancy: string, location: string) =>
      `Backup vault '${vault}' cannot be ${redundancy} in region '${location}'.`,
  },
  policyInUse: {
    status: 400,
    code: 'PolicyObjectInUse',
    rule: 'A policy is deleted after the backup instances that use it',
    source: `${learn}/backup/manage-azure-database-postgresql-flex`,
    message: (policy: string, instance: string) => `Policy '${policy}' is in use by '${instance}'.`,
  },
  dataSourceNotFound: {
    status: 400,
    code: 'UserErrorDatasourceNotFound',
    rule: 'The data source of a backup instance is an existing Flexible Server',
    source: overview,
    message: (source: string) => `The data source '${source}' was not found.`,
  },
  vaultInAnotherRegion: {
    status: 400,
    code: 'UserErrorCrossRegionBackupNotSupported',
    rule: 'A backup vault is in the region of the server that it protects',
    source: `${learn}/backup/backup-azure-database-postgresql-flex-support-matrix`,
    message: (vault: string, source: string) => `Vault '${vault}' is in another region than '${source}'.`,
  },
  policyNotFound: {
    status: 400,
    code: 'UserErrorPolicyNotFound',
    rule: 'The policy of a backup instance exists',
    source: overview,
    message: (policy: string) => `The policy '${policy}' was not found.`,
  },
  missingPermissions: {
    status: 403,
    code: 'UserErrorMissingPermissions',
    rule: "The vault's identity has the backup role on the server and Reader on its group",
    source: overview,
    message: (role: string, scope: string) =>
      `The vault's identity lacks the role '${role}' on '${scope}', which a backup needs.`,
  },
});
