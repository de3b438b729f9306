import { serverAccessRoles } from '../../azure/built-in-roles.ts';
import { resourceGroupOf } from '../../azure/resource-id.ts';
import { at, objectsAt, textAt } from '../../core/json.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { runVerify } from '../sandbox/commands.ts';
import type { Scenario } from '../sandbox/scenario.ts';
import { anotherRegion } from '../sandbox/variants.ts';

export const scenario: Scenario = {
  name: 'receivers-archive-access',
  title:
    'Receivers beside e-mail, an archive of the logs and access to the servers are deployed, verified and taken back',
  needs: ['unprotected', 'noReplica'],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    const { state } = sandbox.azure;
    const group = resourceGroupOf(sandbox.serverId('primary'));
    const account = `${group}/providers/Microsoft.Storage/storageAccounts/securitylogs`;
    const place = (location: string) => state.put(account, { location, properties: {} });
    const wanted = (input: EnvironmentInput) => {
      const { actionGroup } = input.monitoring;
      Object.assign(actionGroup, {
        texts: [{ name: 'telephone', countryCode: '49', phoneNumber: '30123456' }],
        calls: [{ name: 'call', countryCode: '1', phoneNumber: '5550100000' }],
        webhooks: [{ name: 'pager', url: 'https://alerts.example.com/azure' }],
        roles: [{ name: 'owners', role: 'Owner' }],
      });
      input.monitoring.archive = {
        storageAccountId: account,
        eventHub: {
          authorizationRuleId: `${group}/providers/Microsoft.EventHub/namespaces/logs/authorizationRules/send`,
        },
      };
      input.server.access = serverAccessRoles.map((role) => ({
        objectId: '5b1f0c7e-4a52-4f07-9d2c-0d6a1e8b7c33',
        type: 'Group',
        role,
      }));
    };
    let own: EnvironmentInput | undefined;
    place(anotherRegion(sandbox.settings));
    await sandbox.assertRefused(
      /not the region of the monitored resource/,
      {
        change: (input) => {
          own = structuredClone(input);
          wanted(input);
        },
      },
      'Azure refuses an archive in another region',
    );
    place(sandbox.settings.location);
    await sandbox.assertDeploys({}, 'with an archive in the region of the server the deployment succeeds');
    await sandbox.assertEmptyPlan();
    const actionGroup = state.ofType('Microsoft.Insights/actionGroups')[0]?.body;
    for (const [kind, property, value] of [
      ['smsReceivers', 'phoneNumber', '30123456'],
      ['voiceReceivers', 'countryCode', '1'],
      ['webhookReceivers', 'serviceUri', 'https://alerts.example.com/azure'],
      ['armRoleReceivers', 'roleId', '8e3af657-a8ff-443c-a75c-2fe8c4bcb635'],
    ] as const)
      sandbox.check(
        `the action group has its ${kind}`,
        objectsAt(actionGroup, 'properties', kind).some((one) => textAt(one, property) === value),
        () => JSON.stringify(actionGroup),
      );
    const settings = state
      .ofType('Microsoft.Insights/diagnosticSettings')
      .map(({ body }) => String(at(body, 'properties', 'storageAccountId')));
    sandbox.check(
      'server and vault send their logs to the account',
      settings.length === 2 && settings.every((id) => id === account),
      () => settings.join(', '),
    );
    const { failed, skipped } = await runVerify(sandbox);
    for (const id of ['AZU-033', 'AZU-034', 'AZU-040'])
      sandbox.check(
        `verification compares them (${id})`,
        !failed.has(id) && !skipped.has(id),
        () => failed.get(id) ?? skipped.get(id) ?? '',
      );
    await sandbox.assertDeploys(
      { change: (input) => Object.assign(input, structuredClone(own)) },
      'a deployment without them takes them back',
    );
    sandbox.check(
      'the roles on the server are gone',
      !state
        .ofType('Microsoft.Authorization/roleAssignments')
        .some(({ id }) => id.toLowerCase().startsWith(sandbox.serverId('primary').toLowerCase())),
    );
  },
};
