import { databaseOwner, everyAdministrator } from '../../database/schema/roles.ts';
import { checksOf } from '../check.ts';
import { judge, skip } from '../outcome.ts';

/** Owners whose databases Azure Backup leaves out. */
const leftOut = ['azuresu', everyAdministrator];

export const checks = checksOf('roles', [
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
