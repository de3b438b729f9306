import { textAt } from '../../core/json.ts';
import { Operator } from '../sandbox/operator.ts';
import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'backup-retention-changed',
  title:
    'Another retention of the weekly backups gets a policy of its own, to which the backup of the server moves',
  needs: ['longTermBackup', 'lock'],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    const policies = () =>
      sandbox.azure.state.ofType('Microsoft.DataProtection/backupVaults/backupPolicies').map(({ id }) => id);
    const before = policies();
    const longer = 'P10Y';
    await sandbox.assertRefused(
      /long_term_backup_policy has lifecycle\.prevent_destroy/,
      {
        change: ({ longTermBackup }) => {
          if (longTermBackup) longTermBackup.retention = longer;
        },
      },
      'with the lock in place it is refused',
    );
    sandbox.check('the policy is the one that there was', policies().join() === before.join());
    await new Operator(sandbox.azure)
      .send('DELETE', before[0] ?? '')
      .then(() => 'it was deleted')
      .catch((error: Error) => error.message)
      .then((answer) =>
        sandbox.check('Azure deletes no policy in use', answer.startsWith('PolicyObjectInUse'), () => answer),
      );
    await sandbox.assertDeploys(
      {
        change: ({ protection, longTermBackup }) => {
          Object.assign(protection, { deletionLock: 'lifted', preventDestroy: false });
          if (longTermBackup) longTermBackup.retention = longer;
        },
      },
      'without protection it is deployed',
    );
    const [instance] = sandbox.azure.state.ofType('Microsoft.DataProtection/backupVaults/backupInstances');
    const [after] = policies();
    sandbox.check('there is one policy, another one', policies().length === 1 && after !== before[0]);
    sandbox.check(
      'the backup of the server follows it',
      textAt(instance?.body, 'properties', 'policyInfo', 'policyId')?.toLowerCase() === after?.toLowerCase(),
    );
    await sandbox.assertDeploys(
      {
        change: ({ protection }) => {
          Object.assign(protection, { deletionLock: 'inPlace', preventDestroy: true });
        },
      },
      'the protection is back',
    );
  },
};
