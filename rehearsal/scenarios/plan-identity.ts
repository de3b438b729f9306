import { textAt } from '../../core/json.ts';
import type { Scenario } from '../scenario.ts';
import type { Stage } from '../stage/stage.ts';

const repository = 'acme/database';
const sharedKeys = /\/workspaces\/[^/]+\/sharedKeys$/i;

/** Refused requests of the control plane since a moment, `POST <path>`. */
function refusedSince(stage: Stage, moment: number): string[] {
  return stage.azure.requests
    .filter(({ at, host, status }) => at >= moment && host === 'management.azure.com' && status === 403)
    .map(({ method, path }) => `${method} ${path}`);
}

export const scenario: Scenario = {
  name: 'plan-identity',
  title:
    'With the roles that bootstrap gives, the deploy identity deploys, and the plan identity plans and changes nothing',
  environments: ['staging', 'production'],
  begins: 'before the first deployment',
  // The plan identity checks it itself.
  endsDeployed: false,
  async run(stage) {
    const { environment, azure } = stage;
    const prepared = await stage.command('bootstrap', environment, '--repository', repository);
    stage.check('bootstrap prepares the subscription', prepared.exitCode === 0, () => prepared.output);
    const clientId = (purpose: string) =>
      new RegExp(`${purpose}ClientId=(\\S+)`).exec(prepared.output)?.[1] ?? `no ${purpose} identity`;

    // The step that bootstrap leaves to a person: the deploy identity joins the group of administrators.
    const deployer = azure.directory.application(clientId('deploy'));
    for (const { objectId, type } of stage.settings.server.authentication.administrators)
      if (type === 'Group' && deployer) azure.directory.addMember(objectId, deployer.objectId);

    await stage.signInAs({
      clientId: clientId('deploy'),
      subject: `repo:${repository}:environment:${environment}`,
    });
    let moment = Date.now();
    await stage.deployed({}, 'the deploy identity deploys everything');
    stage.check(
      'it was refused the shared key of the workspace alone',
      refusedSince(stage, moment).every((line) => sharedKeys.test(line)),
      () => refusedSince(stage, moment).join(', '),
    );
    stage.check(
      'it assigned roles of the stack',
      azure.state
        .ofType('Microsoft.Authorization/roleAssignments')
        .some(({ body }) => textAt(body, 'properties', 'createdBy') === deployer?.objectId),
    );

    await stage.signInAs({
      clientId: clientId('plan'),
      subject: `repo:${repository}:pull_request`,
      // It reads the state without taking its lease.
      variables: { TF_CLI_ARGS_plan: '-lock=false' },
    });
    moment = Date.now();
    await stage.unchanged('the plan of the plan identity is empty');
    stage.check(
      'it read everything but the shared key of the workspace',
      refusedSince(stage, moment).every((line) => sharedKeys.test(line)),
      () => refusedSince(stage, moment).join(', '),
    );
    await stage.refused(
      /AuthorizationPermissionMismatch|AuthorizationFailed/,
      {
        change: (input) => {
          input.tags = { ...input.tags, reviewed: 'yes' };
        },
      },
      'the plan identity deploys nothing',
    );
    const changes = stage.changesSince(moment).filter((line) => !sharedKeys.test(line));
    stage.check('Azure was sent no change of it', changes.length === 0, () => changes.join(', '));
  },
};
