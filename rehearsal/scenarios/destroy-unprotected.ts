import { assertDestroys } from '../sandbox/destruction.ts';
import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'destroy-unprotected',
  title:
    'Destroying an unprotected environment leaves nothing but the vault that Azure keeps for its retention period',
  needs: ['unprotected', 'noReplica'],
  isLong: true,
  startsFrom: 'deployed',
  waitSeconds: 120,
  endsWithEmptyPlan: false,
  run: assertDestroys,
};
