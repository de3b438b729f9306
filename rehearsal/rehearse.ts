/** A whole rehearsal: runs scenarios, writes their pages, and removes everything at the end. */
import { Fault } from '../core/fault.ts';
import { duration, messageOf, wrapped } from '../core/text.ts';
import { environments } from '../environments/index.ts';
import { NotClosed, thenClose } from '../local/closing.ts';
import type { Line } from '../local/processes/program.ts';
import { type Rehearsed, report, requireWritable } from './report.ts';
import { Sandbox, type SandboxEvent, type SandboxOptions } from './sandbox/sandbox.ts';
import {
  environmentsFor,
  runScenario,
  type Scenario,
  scenarioNamed,
  scenarios,
  whyNoEnvironment,
} from './sandbox/scenario.ts';
import { findCdktf, findProvider, findTerraform } from './terraform/installation.ts';

export interface RehearsalOptions {
  readonly environment: string;
  /** Scenario to run after the first deployment. @default - the first deployment alone */
  readonly scenario?: string | undefined;
  /** Run every scenario of the environment, each on a copy of one deployment. @default false */
  readonly all?: boolean | undefined;
  /** Leave out the resources that azurerm polls for minutes: metric alerts and locks. @default false */
  readonly quick?: boolean | undefined;
  /**
   * File of the page. With several scenarios, each has a page of its own with the scenario in its file name.
   * @default - one in the system's temporary folder
   */
  readonly report?: string | undefined;
  /** Log everything that cdktf and Terraform write. @default false */
  readonly verbose?: boolean | undefined;
  readonly signal: AbortSignal;
  /** Called with each line of the report. */
  readonly log: (line: string) => void;
  /** Called with the current activity, which replaces the one before. @default - nothing */
  readonly progress?: ((text: string) => void) | undefined;
  /** Called with the sandbox while it is still up, at the end or after a failure. @default - it is closed at once */
  readonly hold?: ((sandbox: Sandbox) => Promise<void>) | undefined;
}

const firstDeploy = 'first-deploy';

/**
 * @throws Fault if an assertion does not hold. Its exit status is 2 for an unknown name or a page that cannot be
 *   written, 3 if Terraform or its provider is missing, 130 after an interruption
 */
export async function rehearse(options: RehearsalOptions): Promise<readonly Rehearsed[]> {
  const { log, signal } = options;
  const environment = environments.nameOf(options.environment);
  const chosen = await choose(options);
  await requireWritable(options, chosen);
  findTerraform();
  await findProvider();
  const cdktf = findCdktf();
  const deployer = 'program' in cdktf ? 'cdktf' : 'terraform';
  if ('reason' in cdktf)
    log(`Note: ${cdktf.reason}. Its steps (synthesis, terraform init, plan, apply) run one by one.`);
  const rehearsal = new Rehearsal(options, { environment, deployer });
  try {
    return await thenClose(
      () => rehearsal.run(chosen),
      () => rehearsal.open.map((sandbox) => ({ name: 'a sandbox', close: () => sandbox.close() })),
    );
  } catch (error) {
    if (!signal.aborted) throw error;
    const left = error instanceof NotClosed ? error.left : 'Nothing was left running.';
    throw new Fault('rehearsal/interrupted', 'Interrupted', 'the rehearsal received a signal', left, {
      exitCode: 130,
      cause: error,
    });
  } finally {
    options.progress?.('');
  }
}

class Rehearsal {
  /** Sandboxes that are up. */
  readonly open: Sandbox[] = [];
  readonly #options: RehearsalOptions;
  readonly #sandbox: SandboxOptions;

  constructor(options: RehearsalOptions, sandbox: Pick<SandboxOptions, 'environment' | 'deployer'>) {
    const { quick = false, signal } = options;
    this.#options = options;
    this.#sandbox = { ...sandbox, quick, signal, ...listeners(options) };
  }

  async run(chosen: readonly Scenario[]): Promise<readonly Rehearsed[]> {
    const done: Rehearsed[] = [];
    const base = await this.#fresh();
    const first = await scenarioNamed(firstDeploy, this.#sandbox.environment);
    const needsDeployment = chosen.some(
      ({ startsFrom, name }) => startsFrom === 'deployed' || name === firstDeploy,
    );
    if (needsDeployment) {
      await this.#run(first, base);
      if (chosen.includes(first)) done.push(await this.#report(first, base));
    }
    const others = chosen.filter((scenario) => scenario !== first);
    for (const scenario of others) {
      // A single scenario may use the deployment itself, and its page shows both.
      const isAlone = others.length === 1 && (scenario.startsFrom === 'deployed' || !needsDeployment);
      const sandbox = isAlone
        ? base
        : await (scenario.startsFrom === 'deployed' ? this.#register(base.fork()) : this.#fresh());
      await this.#run(scenario, sandbox);
      done.push(await this.#report(scenario, sandbox));
      if (sandbox !== base && others.at(-1) !== scenario) await this.#close(sandbox);
    }
    const last = this.open.at(-1);
    if (last) await this.#options.hold?.(last);
    return done;
  }

  #fresh(): Promise<Sandbox> {
    return this.#register(Sandbox.open(this.#sandbox));
  }

  async #register(opening: Promise<Sandbox>): Promise<Sandbox> {
    const sandbox = await opening;
    this.open.push(sandbox);
    this.#options.signal.throwIfAborted();
    return sandbox;
  }

  async #close(sandbox: Sandbox): Promise<void> {
    this.open.splice(this.open.indexOf(sandbox), 1);
    await sandbox.close();
  }

  /** Runs a scenario. If it fails, its page is written and --keep holds its sandbox, as after a success. */
  async #run(scenario: Scenario, sandbox: Sandbox): Promise<void> {
    const { log, signal, hold } = this.#options;
    log(`${scenario.name}: ${scenario.title}`);
    try {
      await runScenario(scenario, sandbox);
    } catch (error) {
      if (signal.aborted) throw error;
      // A page that cannot be written must not hide why the scenario failed.
      if (sandbox.runs.length > 0) await this.#report(scenario, sandbox).catch(() => undefined);
      if (hold) {
        log(messageOf(error));
        await hold(sandbox);
      }
      throw error;
    }
  }

  async #report(scenario: Scenario, sandbox: Sandbox): Promise<Rehearsed> {
    this.#options.progress?.('');
    return report(scenario, sandbox, this.#options);
  }
}

async function choose({ environment, scenario, all }: RehearsalOptions): Promise<readonly Scenario[]> {
  const name = environments.nameOf(environment);
  if (all && scenario !== undefined)
    throw new Fault(
      'rehearsal/all-and-scenario',
      'Bad usage: --all and --scenario',
      '--all runs every scenario, --scenario runs one',
      'Leave out one of the two.',
      { exitCode: 2 },
    );
  if (!all) return [await scenarioNamed(scenario ?? firstDeploy, name)];
  return (await scenarios()).filter((one) => environmentsFor(one).includes(name));
}

/** Each scenario: its name, its environments, its title. */
export async function describeScenarios(): Promise<string> {
  const known = await scenarios();
  return known
    .map((scenario) => {
      const { name, title } = scenario;
      const where = environmentsFor(scenario).join(', ') || whyNoEnvironment(scenario);
      return `${wrapped(`${name} (${where})`, 78, 2)}\n  ${wrapped(title, 78, 2)}\n`;
    })
    .join('');
}

function listeners({ log, progress, verbose }: RehearsalOptions) {
  const startedAt = Date.now();
  return {
    onOutput: ({ text }: Line) => {
      if (verbose) log(text);
      else progress?.(`${duration(Date.now() - startedAt)}  ${summaryOf(text)}`);
    },
    onEvent: (event: SandboxEvent) => {
      if (event.kind === 'check') log(`  ✓ ${event.claim}`);
      if (event.kind === 'ended') {
        const { name, run } = event.run;
        log(`  ${name}: ${duration(run.milliseconds)}, exit status ${run.exitCode}`);
      }
    },
  };
}

/** The message of a line of Terraform, whether the line is JSON or text. */
function summaryOf(text: string): string {
  const message = /"@message":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text;
  return message.trim().slice(0, 100);
}
