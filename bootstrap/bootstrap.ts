/**
 * `llama-db bootstrap`: finds the environment, checks what was asked for, and prints, previews or runs the template.
 */
import { Fault } from '../core/fault.ts';
import { environments } from '../environments/index.ts';
import type { ResolvedEnvironment } from '../environments/resolved.ts';
import { previewBootstrap, runBootstrap } from './run.ts';
import { type BootstrapTemplate, bootstrapTemplate } from './template.ts';

export interface BootstrapRequest {
  readonly environment: string;
  readonly repository: string;
  readonly subscription?: string | undefined;
  readonly mode: 'print' | 'preview' | 'run';
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export async function bootstrap(request: BootstrapRequest, say: (line: string) => void): Promise<void> {
  const settings = environments.named(request.environment);
  const { subscriptionId, template } = templateFor(settings, request);
  if (request.mode === 'print') {
    say(JSON.stringify(template, null, 2));
    return;
  }
  const target = { subscriptionId, environment: settings.name, location: settings.location };
  try {
    if (request.mode === 'preview') {
      for (const { change, resource } of await previewBootstrap(target, template))
        say(`${change}  ${resource}`);
      return;
    }
    const { outputs } = await runBootstrap(target, template, say);
    for (const line of nextSteps(settings, subscriptionId, outputs)) say(line);
  } catch (error) {
    throw new Fault(
      'bootstrap/1',
      `Bootstrap of ${settings.name} in subscription ${subscriptionId} failed`,
      error instanceof Error ? error.message : String(error),
      'Sign in as an Owner of the subscription (az login) and run it again: it continues where it stopped',
      { cause: error },
    );
  }
}

/** @throws Fault (exit 2) for an environment without shared state, a bad subscription id or repository */
export function templateFor(
  settings: ResolvedEnvironment,
  request: Pick<BootstrapRequest, 'repository' | 'subscription'>,
): { subscriptionId: string; template: BootstrapTemplate } {
  const subscriptionId = request.subscription ?? process.env['ARM_SUBSCRIPTION_ID'] ?? '';
  if (!uuid.test(subscriptionId)) {
    throw new Fault(
      'bootstrap/2',
      'bootstrap: no subscription',
      `--subscription (or ARM_SUBSCRIPTION_ID) is ${JSON.stringify(subscriptionId)}, not a subscription id`,
      'Give the id that `az account show --query id` prints',
      { exitCode: 2 },
    );
  }
  if (!/^[\w.-]+\/[\w.-]+$/.test(request.repository)) {
    throw new Fault(
      'bootstrap/3',
      'bootstrap: bad repository',
      `--repository is ${JSON.stringify(request.repository)}, not owner/name`,
      'Give the repository whose workflows deploy: its name becomes part of the federated credential',
      { exitCode: 2 },
    );
  }
  const template = bootstrapTemplate(settings, { subscriptionId, repository: request.repository });
  if (!template) {
    throw new Fault(
      'bootstrap/4',
      `bootstrap: ${settings.name} needs none`,
      'its state is local (environments/settings.ts, state.backend), so it is deployed by a person under their own login',
      `Run az login and cdktf deploy ${settings.name}, or give it an azurerm state first`,
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
    `Bootstrap of ${settings.name} is in place. In the pipeline's settings:`,
    `  ARM_SUBSCRIPTION_ID=${subscriptionId}`,
    ...Object.entries(outputs).map(([name, value]) => `  ${name}=${value}`),
    `Then put the identity llama-mapper-${settings.name}-deploy into the Entra group ${group}: deployments log in`,
    'to the database under the name of that group (docs/bootstrap.md).',
  ];
}
