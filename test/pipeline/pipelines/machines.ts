/** The environments of a project on one machine, prepared as docs/promoting.md and docs/bootstrap.md say. */
import { generateKeyPairSync } from 'node:crypto';
import { environments } from '../../../environments/index.ts';
import { namesOf } from '../../../environments/project.ts';
import { Operator } from '../../../rehearsal/sandbox/operator.ts';
import { Sandbox } from '../../../rehearsal/sandbox/sandbox.ts';
import type { Machine, Platform } from './player.ts';

const prefix = 'repo:acme@1234/database@5678';
const issuer = 'https://login.microsoftonline.com/c4b1d6a0-0000-4000-8000-000000000001/v2.0';
const connection = (name: string) => `/eid1/c/pub/t/acme/a/database/sc/${name}`;

/** A job signs in by its environment, or as a pull request. */
export const github: Platform = {
  subject: (_, __, environment) =>
    environment === undefined ? `${prefix}:pull_request` : `${prefix}:environment:${environment}`,
};

/** A step signs in by its service connection. */
export const azureDevOps: Platform = {
  issuer,
  subject: (_, { with: inputs }) => connection(String(inputs['azureSubscription'])),
};

export interface Prepared {
  readonly machine: Machine;
  /** Variables and secrets as somebody sets them in the platform, by reference. */
  readonly values: ReadonlyMap<string, string>;
}

/** Opens the sandbox of an environment with a shared state, and bootstraps it for both platforms. The caller closes it. */
export async function prepare(environment: string, quick: boolean): Promise<Prepared> {
  const state = namesOf(environment).state;
  const sandbox = await Sandbox.open({
    environment: environments.nameOf(environment),
    quick,
    // On a busy machine a standby takes longer to start than the post-deploy step waits for it.
    startsReplicas: true,
    change: (input) => {
      if (input.state.backend === 'local') input.state = { backend: 'azurerm', ...state };
    },
  });
  const checkout = await sandbox.checkOut();
  const file = `environments/${environment}.ts`;
  const settings = await checkout.read(file);
  await checkout.write(
    file,
    settings.replace("{ backend: 'local' }", "{ backend: 'azurerm', ...names.state }"),
  );
  await checkout.commit('Share the state');
  await checkout.git('update-ref', 'refs/remotes/origin/main', 'HEAD');
  const { exitCode, output } = await sandbox.command('bootstrap', environment, '--subject-prefix', prefix);
  if (exitCode !== 0) throw new Error(output);
  for (const purpose of ['plan', 'deploy'] as const)
    await trust(sandbox, purpose, issuer, connection(`llama-mapper-${environment}-${purpose}`));
  const clientId = (purpose: string) => new RegExp(`${purpose}ClientId=(\\S+)`).exec(output)?.[1] ?? '';
  const { directory } = sandbox.azure;
  const deployer = directory.application(clientId('deploy'));
  for (const { objectId, type } of sandbox.settings.server.authentication.administrators)
    if (type === 'Group' && deployer) directory.addMember(objectId, deployer.objectId);
  const keys = generateKeyPairSync('rsa', {
    modulusLength: 3072,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const { ARM_TENANT_ID = '', ARM_SUBSCRIPTION_ID = '' } = sandbox.variables;
  const upper = environment.toUpperCase();
  const values = {
    'vars.ARM_TENANT_ID': ARM_TENANT_ID,
    [`${environment}/vars.ARM_SUBSCRIPTION_ID`]: ARM_SUBSCRIPTION_ID,
    [`${environment}/vars.ARM_CLIENT_ID`]: clientId('deploy'),
    [`${environment}/vars.LLAMA_DB_RELEASE_PUBLIC_KEY`]: keys.publicKey,
    [`${environment}/secrets.LLAMA_DB_RELEASE_KEY`]: keys.privateKey,
    [`vars.${upper}_SUBSCRIPTION_ID`]: ARM_SUBSCRIPTION_ID,
    [`vars.${upper}_PLAN_CLIENT_ID`]: clientId('plan'),
    ARM_TENANT_ID,
    [`${upper}_SUBSCRIPTION_ID`]: ARM_SUBSCRIPTION_ID,
    [`${upper}_PLAN_CLIENT_ID`]: clientId('plan'),
    [`${upper}_PLAN_CONNECTION_ID`]: `${environment}-plan`,
    [`${upper}_DEPLOY_CLIENT_ID`]: clientId('deploy'),
    [`${upper}_DEPLOY_CONNECTION_ID`]: `${environment}-deploy`,
    [`${upper}_RELEASE_PUBLIC_KEY`]: keys.publicKey,
    [`${upper}_RELEASE_KEY`]: keys.privateKey,
  };
  return { machine: { sandbox, checkout }, values: new Map(Object.entries(values)) };
}

/** Lets the nightly job sign in as the deploy identity, as docs/promoting.md says. */
export function trustNights({ sandbox }: Machine): Promise<void> {
  const subject = `${prefix}:environment:${sandbox.environment}-nightly`;
  return trust(sandbox, 'deploy', 'https://token.actions.githubusercontent.com', subject);
}

/** `az identity federated-credential create` */
async function trust(
  { azure }: Sandbox,
  purpose: 'plan' | 'deploy',
  from: string,
  subject: string,
): Promise<void> {
  const type = 'Microsoft.ManagedIdentity/userAssignedIdentities';
  const identity = azure.state.ofType(type).find(({ name }) => name.endsWith(`-${purpose}`));
  const name = from === issuer ? 'pipeline' : 'nightly';
  await new Operator(azure).send('PUT', `${identity?.id}/federatedIdentityCredentials/${name}`, {
    properties: { issuer: from, subject, audiences: ['api://AzureADTokenExchange'] },
  });
}
