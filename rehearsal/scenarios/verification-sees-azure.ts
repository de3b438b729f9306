import { Operator } from '../operator.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage/stage.ts';
import { verified } from '../verification.ts';

/** Alerts and locks, which a quick rehearsal leaves out: verification must miss them. */
const leftOutWhenQuick = ['AZU-030', 'AZU-035'];

const stranger = '3c2f5b7e-0d4c-4a51-9a53-4a9f2f0d8a11';

export const scenario: Scenario = {
  name: 'verification-sees-azure',
  title:
    'llama-db verify finds what somebody changed in Azure, and what the next deployment does not put back',
  environments: ['production'],
  begins: 'deployed',
  async run(stage) {
    const begins = await found(stage);
    stage.check('what was deployed is what Azure shows', begins === '', () => begins);

    const operator = new Operator(stage.azure);
    const server = stage.serverId('primary');
    const { retentionDays } = stage.settings.server.backup;
    const administrator = `${server}/administrators/${stranger}`;
    await operator.send('PUT', administrator, {
      properties: {
        principalName: 'somebody',
        principalType: 'User',
        tenantId: stage.azure.azure.directory.options.tenantId,
      },
    });
    await operator.setParameter(server, 'vacuum_cost_delay', '20');
    await operator.send('PATCH', server, {
      properties: { backup: { backupRetentionDays: retentionDays - 1 } },
    });
    await operator.send('PATCH', server, { properties: { maintenanceWindow: { customWindow: 'Disabled' } } });
    await operator.send('DELETE', `${server}/providers/Microsoft.Insights/diagnosticSettings/log-analytics`);
    await seen(stage, 'verification finds each of five changes by its own check, and nothing else', [
      'AZU-005',
      'AZU-012',
      'AZU-023',
      'AZU-026',
      'AZU-034',
    ]);

    await stage.deployed({}, 'the next deployment succeeds');
    await seen(stage, 'it put back what Terraform knows; verification still finds the rest', [
      'AZU-023',
      'AZU-026',
    ]);

    // As each finding says.
    await operator.send('DELETE', administrator);
    await operator.setParameter(server, 'vacuum_cost_delay', '0');
    await seen(stage, 'after what the findings say was done, verification finds nothing', []);
  },
};

/** The checks of group azure that found something, with what; empty when none did. */
async function found(stage: Stage, expected: readonly string[] = []): Promise<string> {
  const { failed, skipped } = await verified(stage, '--group', 'azure');
  const known = new Set([...expected, ...(stage.quick ? leftOutWhenQuick : [])]);
  return [
    ...[...failed].filter(([id]) => !known.has(id)).map(([id, what]) => `${id} found ${what}`),
    ...[...skipped].map(([id, why]) => `${id} did not look: ${why}`),
    ...[...known].filter((id) => !failed.has(id)).map((id) => `${id} found nothing`),
  ].join('; ');
}

async function seen(stage: Stage, words: string, checks: readonly string[]): Promise<void> {
  const other = await found(stage, checks);
  stage.check(words, other === '', () => other);
}
