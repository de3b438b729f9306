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
  dataSourceNotFound: {
    status: 400,
    code: 'UserErrorDatasourceNotFound',
    rule: 'The data source of a backup instance is an existing Flexible Server',
    source: overview,
    message: (source: string) => `The data source '${source}' was not found.`,
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
