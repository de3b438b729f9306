import type { Command } from 'commander';
import { Listr, type ListrTask } from 'listr2';
import { Fault } from '../core/fault.ts';
import type { Deployment } from '../database/deployment.ts';
import type { LocalPostgres } from '../local/postgres/server.ts';
import {
  type ApplicationLogin,
  type ApplicationView,
  applicationLogin,
  lookAsApplication,
  type PostDeployed,
  runPostDeploy,
  type SynthesizedStack,
  serverFor,
  synthesize,
} from '../rehearsal/start.ts';

/** What one run has made so far. */
interface Made {
  stacks?: SynthesizedStack[];
  deployment?: Deployment;
  application?: ApplicationLogin;
  server?: LocalPostgres;
  deployed?: PostDeployed;
  view?: ApplicationView;
  /** What ended the run early; kept aside because the list of tasks would print it a second time. */
  failure?: unknown;
}

export function register(program: Command): void {
  program
    .command('start')
    .description(
      'rehearse a deployment on this machine: synthesize, start a PostgreSQL, run the post-deploy step',
    )
    .argument('[environment]', 'whose database to build', 'production')
    .option('--keep', 'leave the server up until Ctrl-C and print how to connect')
    .addHelpText('after', '\nExample: llama-db start --keep')
    .action((environment: string, options: { readonly keep?: boolean }) => start(environment, options));
}

async function start(environment: string, { keep = false }: { readonly keep?: boolean }): Promise<void> {
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, interrupt);
  const made: Made = {};
  try {
    const { names, deployment } = await describe(environment);
    made.deployment = deployment;
    made.application = applicationLogin(deployment);
    await tasks(names, deployment, interrupted.signal)
      .run(made)
      .catch((error: unknown) => {
        throw made.failure ?? error;
      });
    process.stdout.write(summary(made));
    if (keep) await held(made, interrupted.signal);
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    throw new Fault('start/1', 'Interrupted', 'the run was ended from outside', 'Nothing was left running.', {
      exitCode: 130,
      cause: error,
    });
  } finally {
    await made.server?.stop();
    for (const signal of signals) process.off(signal, interrupt);
  }
}

function tasks(names: readonly string[], deployment: Deployment, signal: AbortSignal): Listr<Made> {
  const { environment, version, primary } = deployment;
  const lasting = { bottomBar: Number.POSITIVE_INFINITY, persistentOutput: true };
  return new Listr<Made>(
    [
      {
        title: `Synthesize ${names.join(', ')}`,
        task: step(async (made) => {
          made.stacks = await synthesize(names, signal);
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
          const hear = (line: string) => {
            task.output = line;
          };
          made.deployed = await runPostDeploy({ server, deployment, application, hear, signal });
        }),
        rendererOptions: lasting,
      },
      {
        title: 'Log in as the application',
        task: step(async (made, task) => {
          const { server, deployment, application } = complete(made);
          made.view = await lookAsApplication(server, deployment, application);
          task.title = `${application.user} logs in over ${made.view.tlsVersion}, reads ${made.view.tables} tables, and no row without a tenant`;
        }),
      },
    ],
    { registerSignalListeners: false, rendererOptions: { collapseErrors: false, showErrorMessage: false } },
  );
}

/** A task whose failure is told once, after the list, in its own words. */
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
  throw new Error('tasks run in their order');
}

function summary({ stacks = [], deployed, server }: Made): string {
  const lines = ['', ...stacks.map(({ name, path }) => `${name.padEnd(12)} ${path}`)];
  if (deployed) {
    const { passed, failed, skipped } = deployed.checks;
    lines.push(
      `${'database'.padEnd(12)} ${deployed.applied.length} migrations applied, ${deployed.outcome}: ${passed} checks passed, ${failed} failed, ${skipped} skipped`,
    );
  }
  if (server && server.leftOut.length > 0) {
    lines.push(
      `${'not here'.padEnd(12)} parameters that only Azure's server has: ${server.leftOut.join(', ')}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** Prints how to connect and waits to be interrupted. */
async function held(made: Made, signal: AbortSignal): Promise<void> {
  const { server, deployment, application } = complete(made);
  process.stdout.write(
    [
      '',
      'Connect with:',
      `superuser    ${server.url('superuser')}`,
      `migrations   ${server.url('migrator')}`,
      `application  ${server.url(application)}`,
      '',
      `The server stands for ${deployment.primary.host} and is removed at the end. Ctrl-C ends it.`,
      '',
    ].join('\n'),
  );
  if (signal.aborted) return;
  const alive = setInterval(() => {}, 60_000);
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  clearInterval(alive);
}
