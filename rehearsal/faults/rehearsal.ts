/** An environment's stack and a local Azure of its own, for deployments that go wrong. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withheldActions } from '../../azure/resource-types.ts';
import type { EnvironmentSettings } from '../../environments/settings.ts';
import { type LocalAzure, startLocalAzure } from '../../local/azure/index.ts';
import { synthesize } from '../../stacks/synthesis.ts';
import { complaints, TerraformStack } from '../terraform/stack.ts';
import { Injection } from './injection.ts';

export interface InterruptedRehearsal {
  readonly azure: LocalAzure;
  readonly stack: TerraformStack;
  readonly injection: Injection;
  stop(): Promise<void>;
}

/**
 * The database work of the post-deploy step is left out: it happens in PostgreSQL, after all that is rehearsed here.
 */
const postDeployProgram = `process.stdout.write('The database is not part of this rehearsal.\\n');`;

export async function startInterrupted(
  settings: EnvironmentSettings,
  options: {
    readonly injection?: Injection;
    /** Changes the synthesized stack. @default - it stays as it is */
    readonly reduce?: (document: string) => string;
    /** Secret of the deploying identity, to be searched for afterwards. */
    readonly clientSecret?: string;
  } = {},
): Promise<InterruptedRehearsal> {
  const { injection = new Injection(), reduce = (document: string) => document } = options;
  const { state, name } = settings;
  const azure = await startLocalAzure({
    ...(options.clientSecret === undefined ? {} : { clientSecret: options.clientSecret }),
    withheldActions,
    containers: state.backend === 'azurerm' ? [`${state.storageAccount}/${state.container}`] : [],
    intercept: injection.before,
    interceptAnswer: injection.after,
  });
  const stack = await TerraformStack.open({
    name,
    document: reduce(documentOf(settings)),
    environment: azure.environment,
    postDeployProgram,
  });
  const stop = async () => {
    await stack.close();
    await azure.stop();
  };
  const initialised = await stack.init();
  if (initialised.exitCode === 0) return { azure, stack, injection, stop };
  await stop();
  throw new Error(`terraform init: ${complaints(initialised).map(({ summary }) => summary)}`);
}

function documentOf(settings: EnvironmentSettings): string {
  const folder = mkdtempSync(join(tmpdir(), 'llama-synthesis-'));
  try {
    return readFileSync(join(synthesize([settings], folder), 'stacks', settings.name, 'cdk.tf.json'), 'utf8');
  } finally {
    rmSync(folder, { recursive: true });
  }
}
