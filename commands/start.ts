import type { Command } from 'commander';
import { Listr, type ListrTask } from 'listr2';
import { Fault } from '../core/fault.ts';
import { interruptible, untilAborted } from '../core/interrupts.ts';
import { counted } from '../core/text.ts';
import type { Deployment } from '../database/deployment.ts';
import type { LocalPostgres } from '../local/postgres/server.ts';
import {
  type ApplicationLogin,
  type ApplicationView,
  applicationLogin,
  lookAsApplication,
  type PostDeployed,
  runPostDeploy,
  serverFor,
} from '../rehearsal/start.ts';
import { redraws } from '../rehearsal/terminal.ts';
import { type SynthesizedStack, synthesizeCheckout } from '../rehearsal/terraform/synthesis.ts';
import { environmentArgument, jsonOption, lastEnvironment } from './common/options.ts';
import { printJson } from './common/target.ts';

/** The results of a run so far. */
interface Made {
  stacks?: SynthesizedStack[];
  deployment?: Deployment;
  application?: ApplicationLogin;
  server?: LocalPostgres;
  deployed?: PostDeployed;
  view?: ApplicationView;
  /** The error that ended the run. The list of tasks must not print it a second time. */
  failure?: unknown;
}

interface StartOptions {
  readonly keep?: true;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command('start')
    .description('try a deployment on this machine: synthesize, start a PostgreSQL, run the post-deploy step')
    .argument('[environment]', environmentArgument, lastEnvironment)
    .option('--keep', 'leave the server up until Ctrl-C and print how to connect')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample: llama-db start --keep')
    .action((environment: string, options: StartOptions) =>
      interruptible((signal) => start(environment, options, signal)),
    );
}

async function start(environment: string, { keep, json }: StartOptions, signal: AbortSignal): Promise<void> {
  const made: Made = {};
  try {
    const { names, deployment } = await describe(environment);
    made.deployment = deployment;
    made.application = applicationLogin(deployment);
    await tasks(names, deployment, signal, json)
      .run(made)
      .catch((error: unknown) => {
        throw made.failure ?? error;
      });
    if (json) printJson(resultOf(made));
    else process.stdout.write(summary(made));
    if (!keep) return;
    (json ? process.stderr : process.stdout).write(connections(made));
    await untilAborted(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Fault(
      'start/interrupted',
      'Interrupted',
      'the run received a signal',
      'Nothing was left running.',
      { exitCode: 130, cause: error },
    );
  } finally {
    await made.server?.stop();
  }
}

function tasks(
  names: readonly string[],
  deployment: Deployment,
  signal: AbortSignal,
  json = false,
): Listr<Made> {
  const { environment, version, primary } = deployment;
  const lasting = { bottomBar: Number.POSITIVE_INFINITY, persistentOutput: true };
  return new Listr<Made>(
    [
      {
        title: `Synthesize ${names.join(', ')}`,
        task: step(async (made) => {
          made.stacks = await synthesizeCheckout(names, { interrupt: signal });
        }),
      },
      {
        title: 'Start PostgreSQL over TLS',
        task: step(async (made, task) => {
          made.server = await serverFor(deployment);
          signal.throwIfAborted();
          task.title = `PostgreSQL ${version} runs on 127.0.0.1:${made.server.port}, over TLS as ${primary.host}`;
        }),
      },
      {
        title: `Run the post-deploy step of ${environment}`,
        task: step(async (made, task) => {
          const { server, deployment, application } = complete(made);
          const onOutput = (line: string) => {
            if (json) process.stderr.write(`${line}\n`);
            task.output = line;
          };
          made.deployed = await runPostDeploy({ server, deployment, application, onOutput, signal });
        }),
        rendererOptions: lasting,
      },
      {
        title: 'Log in as the application',
        task: step(async (made, task) => {
          const { server, deployment, application } = complete(made);
          made.view = await lookAsApplication(server, deployment, application);
          task.title = `${application.user} logs in over ${made.view.tlsVersion}, reads ${counted(made.view.tables, 'table')}, and no row without a tenant`;
        }),
      },
    ],
    {
      registerSignalListeners: false,
      silentRendererCondition: json,
      fallbackRendererCondition: !redraws(process.stdout),
      rendererOptions: { collapseErrors: false, showErrorMessage: false },
    },
  );
}

/** A task whose error is printed once, after the list. */
function step(work: (made: Made, task: Task) => Promise<void>) {
  return async (made: Made, task: Task): Promise<void> => {
    try {
      await work(made, task);
    } catch (error) {
      made.failure = error;
      throw new Error('see below');
    }
  };
}

type Task = Parameters<ListrTask<Made>['task']>[1];

/** Loaded late: settings and stacks take longer to load than the first line to print. */
async function describe(
  environment: string,
): Promise<{ readonly names: readonly string[]; readonly deployment: Deployment }> {
  const [{ environments }, { deploymentDocument, localAttributes }] = await Promise.all([
    import('../environments/index.ts'),
    import('../stacks/deployment.ts'),
  ]);
  const resolved = environments.named(environment);
  return {
    names: environments.names,
    deployment: deploymentDocument(resolved, localAttributes(resolved)),
  };
}

function complete({ server, deployment, application }: Made) {
  if (server && deployment && application) return { server, deployment, application };
  throw new Error('the tasks run in their order');
}

function resultOf({ stacks = [], deployed, server, view }: Made) {
  return { stacks, ...deployed, application: view, leftOut: server?.leftOut ?? [] };
}

function summary({ stacks = [], deployed, server }: Made): string {
  const lines = ['', ...stacks.map(({ name, path }) => `${name.padEnd(12)} ${path}`)];
  if (deployed) {
    const { passed, failed, skipped } = deployed.checks;
    lines.push(
      `${'database'.padEnd(12)} ${counted(deployed.applied.length, 'migration')} applied, ${deployed.outcome}: ${counted(passed, 'check')} passed, ${failed} failed, ${skipped} skipped`,
    );
  }
  if (server && server.leftOut.length > 0) {
    lines.push(
      `${'not here'.padEnd(12)} parameters that only Azure's server has: ${server.leftOut.join(', ')}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function connections(made: Made): string {
  const { server, deployment, application } = complete(made);
  return [
    '',
    'Connect with:',
    `superuser    ${server.url('superuser')}`,
    `migrations   ${server.url('migrator')}`,
    `application  ${server.url(application)}`,
    '',
    `The server takes the place of ${deployment.primary.host} and is removed at the end. Ctrl-C ends it.`,
    '',
  ].join('\n');
}
