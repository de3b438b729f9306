/** Runs the bootstrap template in Azure as the signed-in identity, which must be an Owner of the subscription. */
import { limited } from '../azure/resource-names.ts';
import { type Reporter, step } from '../core/report.ts';
import type { BootstrapTemplate } from './template.ts';

export interface BootstrapTarget {
  readonly subscriptionId: string;
  /** The pipeline that it prepares: `llama-mapper-production`. */
  readonly pipeline: string;
  /** Region of the deployment's record. */
  readonly location: string;
  /** Resource providers to register. */
  readonly providers: readonly string[];
}

export interface PlannedChange {
  readonly change: string;
  readonly resource: string;
}

export interface BootstrapResult {
  /** Client ids for the pipeline: `planClientId`, `deployClientId`. */
  readonly outputs: Readonly<Record<string, string>>;
}

async function clientFor(subscriptionId: string) {
  // Loaded here because no other command needs them at its start.
  const [{ ResourceManagementClient }, { DefaultAzureCredential }] = await Promise.all([
    import('@azure/arm-resources'),
    import('@azure/identity'),
  ]);
  return new ResourceManagementClient(new DefaultAzureCredential(), subscriptionId);
}

const deploymentName = (target: BootstrapTarget) => limited(64, `${target.pipeline}-bootstrap`);

/** The changes that a run would make, from Azure's what-if. */
export async function previewBootstrap(
  target: BootstrapTarget,
  template: BootstrapTemplate,
): Promise<readonly PlannedChange[]> {
  const client = await clientFor(target.subscriptionId);
  const result = await client.deployments.beginWhatIfAtSubscriptionScopeAndWait(deploymentName(target), {
    location: target.location,
    properties: { mode: 'Incremental', template },
  });
  return (result.changes ?? []).map((change) => ({
    change: change.changeType,
    resource: change.resourceId ?? 'a resource that Azure did not name',
  }));
}

/**
 * Registers the resource providers, then deploys the template. Repeating it changes nothing.
 *
 * @throws RestError with Azure's refusal, such as AuthorizationFailed if the caller is not an Owner
 */
export async function runBootstrap(
  target: BootstrapTarget,
  template: BootstrapTemplate,
  reporter: Reporter,
): Promise<BootstrapResult> {
  const client = await clientFor(target.subscriptionId);
  for (const namespace of target.providers) {
    const { registrationState } = await client.providers.get(namespace);
    if (registrationState === 'Registered') continue;
    await client.providers.register(namespace);
    reporter.line(`Registered ${namespace}`);
  }
  const deployed = await step(
    reporter,
    () =>
      client.deployments.beginCreateOrUpdateAtSubscriptionScopeAndWait(deploymentName(target), {
        location: target.location,
        properties: { mode: 'Incremental', template },
      }),
    () => `Deployed ${deploymentName(target)}`,
  );
  const outputs: unknown = deployed.properties?.outputs ?? {};
  return { outputs: stringOutputs(outputs) };
}

function stringOutputs(outputs: unknown): Record<string, string> {
  if (typeof outputs !== 'object' || outputs === null) return {};
  return Object.fromEntries(
    Object.entries(outputs).flatMap(([name, output]: [string, unknown]) => {
      const value: unknown =
        typeof output === 'object' && output !== null ? Reflect.get(output, 'value') : undefined;
      return typeof value === 'string' ? [[name, value] as const] : [];
    }),
  );
}
