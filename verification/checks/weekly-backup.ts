import { databaseOwner, everyAdministrator } from '../../database/schema/roles.ts';
import { azureChecks, factOf, required } from '../azure/assertions.ts';
import { checksOf } from '../check.ts';
import { judge, skip } from '../outcome.ts';

/** Owners whose databases Azure Backup leaves out. */
const leftOut = ['azuresu', everyAdministrator];

const database = checksOf('roles', [
  {
    id: 'ROL-016',
    name: 'weekly-backup-contains-the-database',
    loses: 'recovery',
    title: 'The weekly backup contains the database',
    inspects: `pg_database.datdba against ${leftOut.join(' and ')}, if the environment has longTermBackup`,
    why: 'Azure Backup leaves out databases of these owners. The restore of a weekly backup then lacks every row.',
    remedy: `Run llama-db post-deploy, which gives the database to ${databaseOwner}, a role whose rights every administrator has.`,
    source: 'https://learn.microsoft.com/azure/backup/backup-azure-database-postgresql-flex-support-matrix',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      if (!deployment.longTermBackup) return judge('the environment has no longTermBackup', []);
      const { database, databaseOwner: owner } = snapshot.server;
      return judge(
        `belongs to ${owner}`,
        leftOut.includes(owner) ? [{ object: `database ${database}`, detail: `belongs to ${owner}` }] : [],
      );
    },
  },
]);

/** State of a backup instance that takes its weekly backups. */
const protectedState = 'ProtectionConfigured';

const instance = azureChecks([
  {
    id: 'AZU-041',
    name: 'weekly-backup-runs',
    loses: 'recovery',
    title: 'Azure Backup protects the server',
    inspects: "currentProtectionState of the weekly backup's instance, if the environment has longTermBackup",
    why: 'A stopped or suspended instance keeps its old backups and takes no new one. Nothing fails until a restore.',
    remedy:
      'Run az dataprotection backup-instance resume-protection. For ProtectionError, read properties.protectionErrorDetails of the instance.',
    source:
      'https://learn.microsoft.com/rest/api/dataprotection/backup-instances/get (currentProtectionState)',
    assert: ({ facts, deployment }) => {
      required(deployment.longTermBackup || undefined, 'longTermBackup');
      const state = factOf(facts.weeklyBackup);
      return judge(
        state,
        state === protectedState ? [] : [{ object: 'weekly backup', detail: `its instance is ${state}` }],
      );
    },
  },
]);

export const checks = [...database, ...instance];
