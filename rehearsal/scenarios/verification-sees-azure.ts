import { runVerify } from '../sandbox/commands.ts';
import { Operator } from '../sandbox/operator.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';

/** Checks of alerts and locks, which a quick rehearsal leaves out: verification must report their absence. */
const leftOutWhenQuick = ['AZU-030', 'AZU-035'];

const strangerId = '3c2f5b7e-0d4c-4a51-9a53-4a9f2f0d8a11';

export const scenario: Scenario = {
  name: 'verification-sees-azure',
  title:
    'llama-db verify finds changes made in Azure by hand, and those that the next deployment does not revert',
  needs: ['replica', 'lock'],
  startsFrom: 'deployed',
  async run(sandbox) {
    const initial = await found(sandbox);
    sandbox.check('verification finds no difference after the deployment', initial === '', () => initial);

    const operator = new Operator(sandbox.azure);
    const server = sandbox.serverId('primary');
    const { retentionDays } = sandbox.settings.server.backup;
    const administrator = `${server}/administrators/${strangerId}`;
    await operator.send('PUT', administrator, {
      properties: {
        principalName: 'somebody',
        principalType: 'User',
        tenantId: sandbox.azure.azure.directory.options.tenantId,
      },
    });
    await operator.setParameter(server, 'vacuum_cost_delay', '20');
    await operator.send('PATCH', server, {
      properties: { backup: { backupRetentionDays: retentionDays === 7 ? 8 : retentionDays - 1 } },
    });
    await operator.send('PATCH', server, { properties: { maintenanceWindow: { customWindow: 'Disabled' } } });
    await operator.send('DELETE', `${server}/providers/Microsoft.Insights/diagnosticSettings/log-analytics`);
    await assertFindings(
      sandbox,
      'verification reports each of five changes by its own check, and nothing else',
      ['AZU-005', 'AZU-012', 'AZU-023', 'AZU-026', 'AZU-034'],
    );

    await sandbox.assertDeploys({}, 'the next deployment succeeds');
    await assertFindings(
      sandbox,
      'it has reverted the changes that Terraform manages, and verification still reports the others',
      ['AZU-023', 'AZU-026'],
    );

    // The remedy of each finding.
    await operator.send('DELETE', administrator);
    await operator.setParameter(server, 'vacuum_cost_delay', '0');
    await assertFindings(sandbox, 'after the remedies, verification reports nothing', []);
  },
};

/** Unexpected results of the checks of group azure, as text; empty if all were as expected. */
async function found(sandbox: Sandbox, expected: readonly string[] = []): Promise<string> {
  const { failed, skipped } = await runVerify(sandbox, '--group', 'azure');
  const known = new Set([...expected, ...(sandbox.quick ? leftOutWhenQuick : [])]);
  return [
    ...[...failed].filter(([id]) => !known.has(id)).map(([id, what]) => `${id} found ${what}`),
    // A feature that the settings leave out has nothing to compare.
    ...[...skipped]
      .filter(([, why]) => !why.startsWith('the settings have no '))
      .map(([id, why]) => `${id} was skipped: ${why}`),
    ...[...known].filter((id) => !failed.has(id)).map((id) => `${id} found nothing`),
  ].join('; ');
}

async function assertFindings(sandbox: Sandbox, claim: string, checks: readonly string[]): Promise<void> {
  const other = await found(sandbox, checks);
  sandbox.check(claim, other === '', () => other);
}
