import { builtInRoles } from '../../azure/built-in-roles.ts';
import { type JsonObject, textAt } from '../../core/json.ts';
import { Operator } from '../sandbox/operator.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';

const prefix = 'repo:acme@1234/database@5678';
const sharedKeys = /\/workspaces\/[^/]+\/sharedKeys$/i;

/** Refused requests of the control plane since a moment, `POST <path>`. */
function refusedSince(sandbox: Sandbox, moment: number): string[] {
  return sandbox.azure.requests
    .filter(({ at, host, status }) => at >= moment && host === 'management.azure.com' && status === 403)
    .map(({ method, path }) => `${method} ${path}`);
}

const identityType = 'Microsoft.ManagedIdentity/userAssignedIdentities';
const anyId = '11111111-2222-4333-8444-555555555555';

/** Neither identity may give itself or another one rights that bootstrap did not. */
async function refusedBoth(sandbox: Sandbox, purpose: 'plan' | 'deploy', clientId: string): Promise<void> {
  const { azure } = sandbox;
  const subscription = `/subscriptions/${sandbox.variables['ARM_SUBSCRIPTION_ID']}`;
  const authorization = `${subscription}/providers/Microsoft.Authorization`;
  const identity = azure.state.ofType(identityType).find(({ name }) => name.endsWith(`-${purpose}`));
  const principalId = azure.directory.application(clientId)?.objectId ?? '';
  const attempts: readonly (readonly [attempt: string, id: string, properties: JsonObject])[] = [
    [
      'make itself an owner of the subscription',
      `${authorization}/roleAssignments/${anyId}`,
      {
        roleDefinitionId: `${authorization}/roleDefinitions/${builtInRoles.Owner.id}`,
        ...{ principalId, principalType: 'ServicePrincipal' },
      },
    ],
    [
      'define a role',
      `${authorization}/roleDefinitions/${anyId}`,
      {
        ...{ roleName: 'all', type: 'CustomRole', description: 'all', assignableScopes: [subscription] },
        permissions: [{ actions: ['*'], notActions: [] }],
      },
    ],
    [
      'let another workflow sign in as it',
      `${identity?.id}/federatedIdentityCredentials/other`,
      { issuer: 'https://example.com', subject: 'other', audiences: ['api://AzureADTokenExchange'] },
    ],
  ];
  for (const [attempt, id, properties] of attempts) {
    const answer = await new Operator(azure, clientId)
      .send('PUT', id, { properties })
      .then(() => 'it could', String);
    sandbox.check(
      `the ${purpose} identity may not ${attempt}`,
      /AuthorizationFailed|Unauthorized/.test(answer),
      () => answer,
    );
  }
}

export const scenario: Scenario = {
  name: 'plan-identity',
  title:
    'With the roles that bootstrap gives, the deploy identity deploys, and the plan identity plans and changes nothing',
  needs: ['remoteState'],
  startsFrom: 'empty',
  startsProvider: true,
  // The plan of the plan identity is that check.
  endsWithEmptyPlan: false,
  async run(sandbox) {
    const { environment, azure } = sandbox;
    const prepared = await sandbox.command('bootstrap', environment, '--subject-prefix', prefix);
    sandbox.check('bootstrap prepares the subscription', prepared.exitCode === 0, () => prepared.output);
    const before = JSON.stringify(azure.state.list());
    const again = await sandbox.command('bootstrap', environment, '--subject-prefix', prefix);
    sandbox.check(
      'a second run changes nothing',
      again.exitCode === 0 && JSON.stringify(azure.state.list()) === before,
      () => again.output,
    );
    const clientId = (purpose: string) =>
      new RegExp(`${purpose}ClientId=(\\S+)`).exec(prepared.output)?.[1] ?? `no ${purpose} identity`;

    // The step that bootstrap leaves to a person: the deploy identity joins the group of administrators.
    const deployer = azure.directory.application(clientId('deploy'));
    for (const { objectId, type } of sandbox.settings.server.authentication.administrators)
      if (type === 'Group' && deployer) azure.directory.addMember(objectId, deployer.objectId);

    await sandbox.signInAs({
      clientId: clientId('deploy'),
      subject: `${prefix}:environment:${environment}`,
    });
    let moment = Date.now();
    await sandbox.assertDeploys({}, 'the deploy identity deploys everything');
    sandbox.check('it was refused nothing', refusedSince(sandbox, moment).length === 0, () =>
      refusedSince(sandbox, moment).join(', '),
    );
    sandbox.check(
      'it assigned roles of the stack',
      azure.state
        .ofType('Microsoft.Authorization/roleAssignments')
        .some(({ body }) => textAt(body, 'properties', 'createdBy') === deployer?.objectId),
    );

    for (const purpose of ['plan', 'deploy'] as const) await refusedBoth(sandbox, purpose, clientId(purpose));
    const server = sandbox.serverId('primary');
    const answer = await new Operator(azure, clientId('plan'))
      .setParameter(server, 'log_min_duration_statement', '5')
      .then(() => 'it could', String);
    sandbox.check(
      'the plan identity may not set a parameter',
      answer.includes('AuthorizationFailed'),
      () => answer,
    );

    await sandbox.signInAs({
      clientId: clientId('plan'),
      subject: `${prefix}:pull_request`,
      // It reads the state without taking its lease.
      variables: { TF_CLI_ARGS_plan: '-lock=false' },
    });
    moment = Date.now();
    await sandbox.assertEmptyPlan('the plan of the plan identity is empty');
    // Resources that a quick rehearsal leaves out are changes of the whole stack, which the command synthesizes.
    const judged = await sandbox.command('plan', environment, '--json');
    sandbox.check(
      'llama-db plan judges the plan as the plan identity, and refuses nothing',
      judged.exitCode === (sandbox.quick ? 2 : 0),
      () => judged.output,
    );
    sandbox.check(
      'it read everything but the shared key of the workspace',
      refusedSince(sandbox, moment).every((line) => sharedKeys.test(line)),
      () => refusedSince(sandbox, moment).join(', '),
    );
    await sandbox.assertRefused(
      /AuthorizationPermissionMismatch|AuthorizationFailed/,
      {
        change: (input) => {
          input.tags = { ...input.tags, reviewed: 'yes' };
        },
      },
      'the plan identity deploys nothing',
    );
    const changes = sandbox.changesSince(moment).filter((line) => !sharedKeys.test(line));
    sandbox.check('Azure was sent no change of it', changes.length === 0, () => changes.join(', '));
  },
};
