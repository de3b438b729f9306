import { afterAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../database/deployment.ts';
import { environments } from '../../environments/index.ts';
import { type LocalAzure, postgresBehind, startLocalAzure } from '../../rehearsal/azure/index.ts';
import { serverFor } from '../../rehearsal/postgres/deployment.ts';
import { randomPassword } from '../../rehearsal/postgres/server.ts';
import { whyNoTerraform } from '../../rehearsal/terraform/installation.ts';
import { TerraformStack } from '../../rehearsal/terraform/stack.ts';
import { deploymentDocument, localAttributes } from '../../stacks/deployment.ts';
import { stackOf } from '../stacks/stack.ts';
import { expectClean, withoutWatched } from './deploying.ts';

const missing = await whyNoTerraform();
const complete = process.env['LLAMA_REHEARSAL'] === 'complete';

interface Rehearsal {
  readonly azure: LocalAzure;
  readonly stack: TerraformStack;
  /** Values that must be in nothing Terraform leaves behind, by what they are. */
  readonly secrets: ReadonlyMap<string, string>;
}

const open: { stop(): Promise<void> }[] = [];
afterAll(async () => {
  for (const one of open.reverse()) await one.stop();
});

async function prepare(environment: 'development' | 'staging' | 'production'): Promise<Rehearsal> {
  const settings = environments().find(({ name }) => name === environment);
  if (!settings) throw new Error(`no environment ${environment}`);
  const deployment: Deployment = deploymentDocument(settings, localAttributes(settings));
  const server = await serverFor(deployment);
  open.push(server);
  const clientSecret = randomPassword();
  const { state } = settings;
  const azure = await startLocalAzure({
    clientSecret,
    // As docs/bootstrap.md grants it: without sharedKeys/action the workspace's key cannot enter the state.
    mayReadSharedKeys: false,
    serverEvents: postgresBehind(settings.server.name, server),
    containers: state.backend === 'azurerm' ? [`${state.storageAccount}/${state.container}`] : [],
  });
  open.push(azure);
  const document = stackOf(environment).text;
  const stack = await TerraformStack.open({
    name: environment,
    document: complete ? document : withoutWatched(document),
    environment: {
      ...azure.environment,
      PGHOSTADDR: '127.0.0.1',
      PGPORT: String(server.port),
      PGPASSWORD: server.passwords.migrator,
      PGSSLROOTCERT: server.caFile,
    },
  });
  open.push({ stop: () => stack.close() });
  return {
    azure,
    stack,
    secrets: new Map([
      ['the client secret', clientSecret],
      ['the password of the deploying login', server.passwords.migrator],
      ['the password of the superuser', server.passwords.superuser],
    ]),
  };
}

describe('a deployment to the local Azure, with the real Terraform and azurerm', () => {
  it.concurrent.for(['development', 'staging', 'production'] as const)(
    '%s: plan, apply with the post-deploy step, and an empty second plan',
    { timeout: complete ? 900_000 : 300_000 },
    async (environment, context) => {
      context.skip(missing !== undefined, missing);
      const { azure, stack, secrets } = await prepare(environment);
      expectClean(await stack.init());
      expectClean(await stack.validate());
      const first = await stack.plan();
      expectClean(first);
      expect(first.isEmpty).toBe(false);
      const applied = await stack.apply();
      expectClean(applied);
      expect(applied.resources.map(({ address }) => address)).toEqual(
        expect.arrayContaining([...first.changes].map((change) => change.replace(/^create /, ''))),
      );
      expect(applied.output).toMatch(/verified|passed/i);

      const second = await stack.plan();
      expectClean(second);
      expect(second.changes).toEqual([]);
      expect(second.isEmpty).toBe(true);

      expect(azure.unknown).toEqual([]);
      expect(azure.operations.filter(({ outcome }) => outcome !== 'Succeeded')).toEqual([]);
      const files = await stack.artefacts();
      const blobs = azure.blobs.list().map(([name, { content }]): [string, Buffer] => [name, content]);
      const looked = [...files, ...blobs, ['the output of apply', Buffer.from(applied.output)] as const];
      expect(looked.some(([name]) => /tfstate$/.test(name))).toBe(true);
      const leaks = looked.flatMap(([name, content]) =>
        [...secrets]
          .filter(([, secret]) => content.includes(secret))
          .map(([what]) => `${what} is in ${name}`),
      );
      expect(leaks).toEqual([]);
    },
  );
});
