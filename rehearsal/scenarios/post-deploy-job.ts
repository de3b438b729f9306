import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { builtInRoles } from '../../azure/built-in-roles.ts';
import { stableGuid } from '../../azure/guid.ts';
import { objectAt, textAt } from '../../core/json.ts';
import { administration } from '../../local/postgres/address.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { hasError } from '../sandbox/commands.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';

const jobType = 'Microsoft.App/jobs';
const image = (digit: string) => `rehearsal.azurecr.io/post-deploy@sha256:${digit.repeat(64)}`;
const principalId = stableGuid('principal of the job');
const clientId = stableGuid('client of the job');
const [first, second, third] = [image('1'), image('2'), image('3')];

export const scenario: Scenario = {
  name: 'post-deploy-job',
  title:
    'Without a route to the server, a job inside the network runs the post-deploy step and brings back its result',
  needs: ['privateEndpoint', 'noReplica', 'unprotected', 'passwordlessLogin'],
  // azurerm polls environment and job every ten seconds, and there are four deployments.
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    const identityId = admitIdentity(sandbox);
    await sandbox.checkOut();
    const change = (digest: string, timeoutMinutes = 60) => ({
      change: withJob(sandbox, identityId, digest, timeoutMinutes),
    });
    sandbox.routeIsOpen = false;

    await sandbox.pushImage(first);
    const deployed = await sandbox.assertDeploys(change(first), 'without a route, the deployment succeeds');
    const lines = deployed.steps.map(({ text }) => text);
    const has = (pattern: RegExp) => lines.some((line) => pattern.test(line));
    sandbox.check('the step runs in the job', has(/^No route to the server .*: the step runs in the job/));
    sandbox.check('its output comes back', has(/^Verified: \d+ passed/), () => lines.join('; '));
    sandbox.check('one execution succeeded', executions(sandbox).join() === 'Succeeded', () =>
      executions(sandbox).join(),
    );
    const executor = await lastExecutor(sandbox);
    sandbox.check('the identity of the job was signed in', executor === principalId, () => executor);

    // The migration is in the checkout, and not in the image of before.
    const migration = path.join(sandbox.project.root, 'migrations/0099_rehearsed.sql');
    await writeFile(migration, '-- Up Migration\nSELECT 1 / 0;\n-- Down Migration\n');
    const other = await sandbox.assertRefused(
      /local-exec provisioner error/,
      // Another time, so that the step runs again.
      change(first, 61),
      'the image of another release is refused',
    );
    sandbox.check(
      'by the digest of its files, before anything is migrated',
      hasError(outputOf(other), 'post-deploy/job-image-differs', 'not of this release'),
      () => outputOf(other),
    );

    await sandbox.pushImage(second);
    const failed = await sandbox.assertRefused(
      /local-exec provisioner error/,
      change(second),
      'a failing migration fails the deployment',
    );
    sandbox.check(
      "with the migration's error and an exit status",
      hasError(outputOf(failed), 'post-deploy/job-failed', 'division by zero', 'exit status 1'),
      () => outputOf(failed),
    );

    await writeFile(migration, '-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 1;\n');
    await sandbox.pushImage(third);
    await sandbox.assertDeploys(change(third), 'the corrected migration is applied');
    sandbox.check(
      'each deployment started one execution',
      executions(sandbox).join() === 'Succeeded,Failed,Failed,Succeeded',
      () => executions(sandbox).join(),
    );

    sandbox.routeIsOpen = true;
    const direct = await sandbox.command('post-deploy', sandbox.environment);
    sandbox.check(
      'with a route, the step runs directly',
      direct.exitCode === 0 && executions(sandbox).length === 4,
      () => direct.output,
    );
  },
};

/** Who made the newest release record: the object id in its token. */
async function lastExecutor({ postgres, settings }: Sandbox): Promise<string> {
  return within({ ...administration(postgres), database: settings.database.name }, async (client) => {
    const { rows } = await client.query<{ executor: string }>(
      'SELECT executor FROM llama.releases ORDER BY id DESC LIMIT 1',
    );
    return rows[0]?.executor ?? 'nobody';
  });
}

function outputOf({ steps }: { readonly steps: readonly { readonly text: string }[] }): string {
  return steps.map(({ text }) => text).join('\n');
}

/** Statuses of all executions, oldest first. */
function executions({ azure }: Sandbox): string[] {
  return azure.state
    .ofType(`${jobType}/executions`)
    .map(({ body }) => objectAt(body, 'properties'))
    .sort((one, other) => String(one['startTime']).localeCompare(String(other['startTime'])))
    .map((properties) => textAt(properties, 'status') ?? '');
}

function withJob({ settings }: Sandbox, identityId: string, digest: string, timeoutMinutes: number) {
  const [first = '10.0.0.0/16'] = settings.network.primary.virtualNetwork.addressSpace;
  const range = first.replace(/\.\d+\.\d+\/\d+$/, '.200.0/27');
  return (input: Parameters<NonNullable<Parameters<Sandbox['deploy']>[0]>['change'] & object>[0]) => {
    input.postDeployJob = {
      name: 'post-deploy',
      subnet: { name: 'post-deploy', range },
      image: digest,
      identityId,
      timeoutMinutes,
    };
  };
}

/** The preparation by a person: an identity that may read Azure, and is a member of the administrators. */
function admitIdentity({ azure, settings }: Sandbox): string {
  const { state, directory, subscriptionId, tenantId } = azure;
  const group = `/subscriptions/${subscriptionId}/resourceGroups/${settings.resourceGroup.name}`;
  const id = `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/post-deploy-job`;
  const { location } = settings;
  state.put(id, { location, properties: { tenantId, principalId, clientId } });
  directory.add({
    objectId: principalId,
    kind: 'ServicePrincipal',
    displayName: 'post-deploy-job',
    appId: clientId,
  });
  directory.addMember(settings.server.authentication.administrators[0]?.objectId ?? '', principalId);
  const scope = `/subscriptions/${subscriptionId}`;
  state.put(`${scope}/providers/Microsoft.Authorization/roleAssignments/${stableGuid('job', scope)}`, {
    properties: {
      roleDefinitionId: `${scope}/providers/Microsoft.Authorization/roleDefinitions/${builtInRoles.Reader.id}`,
      principalId,
      principalType: 'ServicePrincipal',
      scope,
      createdOn: new Date(0).toISOString(),
    },
  });
  return id;
}
