import { reasonOf } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'destroy-refused',
  title: 'Terraform refuses to destroy a protected environment before anything is deleted',
  needs: ['protected'],
  prefers: ['replica'],
  startsFrom: 'deployed',
  async run(sandbox) {
    const moment = Date.now();
    const run = await sandbox.destroy();
    sandbox.check('destroying is refused', run.exitCode !== 0, () => 'it succeeded');
    const reason = reasonOf(run);
    sandbox.check(
      'the error names the rule',
      /cannot be destroyed|prevent_destroy/.test(reason),
      () => reason,
    );
    const changes = sandbox.changesSince(moment);
    sandbox.check('Azure was asked to delete nothing', changes.length === 0, () => changes.join(', '));
  },
};
