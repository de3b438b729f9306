/** `llama-db bootstrap`: checks the request, and prints, previews or runs the template of an environment. */
import { Fault } from '../core/fault.ts';
import type { Reporter } from '../core/report.ts';
import { messageOf } from '../core/text.ts';
import { environments } from '../environments/index.ts';
import type { ResolvedEnvironment } from '../environments/resolved.ts';
import { type FederationRequest, federationOf } from './federation.ts';
import { pipelineName } from './roles.ts';
import { type BootstrapResult, type PlannedChange, previewBootstrap, runBootstrap } from './run.ts';
import { type BootstrapTemplate, bootstrapTemplate, resourceProviders } from './template.ts';

export interface BootstrapRequest extends FederationRequest {
  readonly environment: string;
  readonly subscription?: string | undefined;
  readonly mode: 'print' | 'preview' | 'run';
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export interface Bootstrapped {
  readonly environment: string;
  readonly subscriptionId: string;
  /** Of a preview: the changes that Azure predicts. */
  readonly changes?: readonly PlannedChange[];
  /** Of a run: client ids for the pipeline. */
  readonly outputs?: BootstrapResult['outputs'];
  /** Of `print`: the ARM template. */
  readonly template?: BootstrapTemplate;
}

export async function bootstrap(request: BootstrapRequest, reporter: Reporter): Promise<Bootstrapped> {
  const settings = environments.named(request.environment);
  const { subscriptionId, template } = templateFor(settings, request);
  const target = {
    subscriptionId,
    pipeline: pipelineName(settings),
    location: settings.location,
    providers: resourceProviders(settings),
  };
  const about = { environment: settings.name, subscriptionId };
  if (request.mode === 'print') return { ...about, template };
  try {
    if (request.mode === 'preview') {
      const changes = await previewBootstrap(target, template);
      for (const { change, resource } of changes) reporter.line(`Would ${verbOf(change)} ${resource}`);
      if (changes.length === 0) reporter.line('Nothing to change');
      return { ...about, changes };
    }
    const { outputs } = await runBootstrap(target, template, reporter);
    for (const line of nextSteps(settings, subscriptionId, outputs)) reporter.line(line);
    return { ...about, outputs };
  } catch (error) {
    throw new Fault(
      'bootstrap/refused-by-azure',
      `Bootstrap of ${settings.name} in subscription ${subscriptionId} failed`,
      messageOf(error),
      'Sign in as an Owner of the subscription (az login) and run the command again: it continues where it stopped.',
      { cause: error },
    );
  }
}

/** The verb of a change of what-if: https://learn.microsoft.com/azure/azure-resource-manager/templates/deploy-what-if */
function verbOf(change: string): string {
  const verbs: Readonly<Record<string, string>> = {
    NoChange: 'keep',
    Ignore: 'leave alone',
    Deploy: 'deploy, with changes that Azure cannot predict,',
  };
  return verbs[change] ?? change.toLowerCase();
}

/**
 * @throws Fault (exit 2) `bootstrap/subscription-malformed`, `bootstrap/state-is-local` for an environment without shared
 * state, and those of `federationOf`
 */
export function templateFor(
  settings: ResolvedEnvironment,
  request: FederationRequest & Pick<BootstrapRequest, 'subscription'>,
): { subscriptionId: string; template: BootstrapTemplate } {
  const subscriptionId = request.subscription ?? process.env['ARM_SUBSCRIPTION_ID'] ?? '';
  if (!uuid.test(subscriptionId)) {
    throw new Fault(
      'bootstrap/subscription-malformed',
      'bootstrap has no subscription',
      `--subscription (or ARM_SUBSCRIPTION_ID) is ${JSON.stringify(subscriptionId)}, not a subscription id`,
      'Give the id that `az account show --query id` prints.',
      { exitCode: 2 },
    );
  }
  const template = bootstrapTemplate(settings, {
    subscriptionId,
    federation: federationOf(request, settings.name),
  });
  if (!template) {
    throw new Fault(
      'bootstrap/state-is-local',
      `${settings.name} needs no bootstrap`,
      'its state is local (state.backend), so that a person deploys it under their own login',
      `Run az login and cdktf deploy ${settings.name}, or set state.backend to azurerm first.`,
      { exitCode: 2 },
    );
  }
  return { subscriptionId, template };
}

function nextSteps(
  settings: ResolvedEnvironment,
  subscriptionId: string,
  outputs: Readonly<Record<string, string>>,
): readonly string[] {
  const group = settings.authentication.administrators[0].name;
  return [
    `Done: ${settings.name} is prepared. Set in the pipeline:`,
    `  ARM_SUBSCRIPTION_ID=${subscriptionId}`,
    ...Object.entries(outputs).map(([name, value]) => `  ${name}=${value}`),
    `Then add the identity ${pipelineName(settings)}-deploy to the Entra group ${group}. Deployments log in`,
    'to the database under the name of that group (docs/bootstrap.md).',
  ];
}
