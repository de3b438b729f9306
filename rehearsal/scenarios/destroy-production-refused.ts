import type { Scenario } from '../scenario.ts';
import { reasonOf } from '../stage/stage.ts';

export const scenario: Scenario = {
  name: 'destroy-production-refused',
  title: 'Destroying an environment with data in it is refused before anything is deleted',
  environments: ['production', 'staging'],
  begins: 'deployed',
  async run(stage) {
    const moment = Date.now();
    const run = await stage.destroy();
    stage.check('the destruction is refused', run.exitCode !== 0, () => 'it succeeded');
    const reason = reasonOf(run);
    stage.check(
      'it says which rule refuses it',
      /cannot be destroyed|prevent_destroy/.test(reason),
      () => reason,
    );
    const changes = stage.changesSince(moment);
    stage.check('Azure was asked to delete nothing', changes.length === 0, () => changes.join(', '));
  },
};
