/** A rehearsal from its first line to its last: scenarios played, timelines written, everything removed. */
import { Fault } from '../core/fault.ts';
import { type EnvironmentName, environments } from '../environments/index.ts';
import { ending, NotEnded } from '../local/closing.ts';
import { type Rehearsed, report, requireWritable } from './report.ts';
import { play, type Scenario, scenarioNamed, scenarios } from './scenario.ts';
import { Stage, type StageEvent, type StageOptions } from './stage/stage.ts';
import { findCdktf, findProvider, findTerraform } from './terraform/installation.ts';
import type { Line } from './terraform/program.ts';
import { length } from './timeline/text.ts';

export interface RehearsalOptions {
  readonly environment: string;
  /** Scenario to play after the first deployment. @default - the first deployment alone */
  readonly scenario?: string | undefined;
  /** Play every scenario that the environment can play, each on a copy of one deployment. @default false */
  readonly all?: boolean | undefined;
  /** Leave out what the provider watches for minutes: metric alerts and locks. @default false */
  readonly quick?: boolean | undefined;
  /**
   * File of the page; of several scenarios each has a page of its own, with the scenario's name in the file's.
   * @default - one in the system's temporary folder
   */
  readonly report?: string | undefined;
  /** Shown everything that cdktf and Terraform write. @default - what matters of it */
  readonly verbose?: boolean | undefined;
  readonly signal: AbortSignal;
  /** Takes a line of the report. */
  readonly say: (line: string) => void;
  /** Takes what is going on now, to be written over by the next. @default - nobody */
  readonly progress?: ((text: string) => void) | undefined;
  /** Called with the stage while all of it is still up, at the end or where it failed. @default - it is taken down */
  readonly hold?: ((stage: Stage) => Promise<void>) | undefined;
}

const firstDeploy = 'first-deploy';

/**
 * @throws Fault when something does not hold; with exit status 2 for a name that there is not or a page that cannot be
 *   written, 3 when Terraform or its provider is missing, 130 when it was interrupted
 */
export async function rehearse(options: RehearsalOptions): Promise<readonly Rehearsed[]> {
  const { say, signal } = options;
  const environment = environments.nameOf(options.environment);
  const chosen = await choose(environment, options);
  await requireWritable(options, chosen);
  findTerraform();
  await findProvider();
  const deployer = findCdktf() === undefined ? 'terraform' : 'cdktf';
  if (deployer === 'terraform')
    say(
      'Note: cdktf-cli, an optional dependency, is not installed here: what it does (synthesis, terraform init, plan, apply) is run step by step instead.',
    );
  const rehearsal = new Rehearsal(options, { environment, deployer });
  try {
    return await ending(
      () => rehearsal.run(chosen),
      () => rehearsal.open.map((stage) => ({ name: 'a stage', close: () => stage.close() })),
    );
  } catch (error) {
    if (!signal.aborted) throw error;
    const left = error instanceof NotEnded ? error.left : 'Nothing was left running.';
    throw new Fault('rehearse/1', 'Interrupted', 'the rehearsal was ended from outside', left, {
      exitCode: 130,
      cause: error,
    });
  } finally {
    options.progress?.('');
  }
}

class Rehearsal {
  /** Stages that are up. */
  readonly open: Stage[] = [];
  readonly #options: RehearsalOptions;
  /** How each stage is set up. */
  readonly #stage: StageOptions;

  constructor(options: RehearsalOptions, stage: Pick<StageOptions, 'environment' | 'deployer'>) {
    const { quick = false, signal } = options;
    this.#options = options;
    this.#stage = { ...stage, quick, signal, ...listen(options) };
  }

  async run(chosen: readonly Scenario[]): Promise<readonly Rehearsed[]> {
    const done: Rehearsed[] = [];
    const base = await this.#fresh();
    const first = await scenarioNamed(firstDeploy, this.#stage.environment);
    const needsDeployment = chosen.some(({ begins, name }) => begins === 'deployed' || name === firstDeploy);
    if (needsDeployment) {
      await this.#play(first, base);
      if (chosen.includes(first)) done.push(await this.#report(first, base));
    }
    const others = chosen.filter((scenario) => scenario !== first);
    for (const scenario of others) {
      // Alone it may have the deployment for itself, and the page shows both.
      const alone = others.length === 1 && (scenario.begins === 'deployed' || !needsDeployment);
      const stage = alone
        ? base
        : await (scenario.begins === 'deployed' ? this.#raise(base.fork()) : this.#fresh());
      await this.#play(scenario, stage);
      done.push(await this.#report(scenario, stage));
      if (stage !== base && others.at(-1) !== scenario) await this.#close(stage);
    }
    const last = this.open.at(-1);
    if (last) await this.#options.hold?.(last);
    return done;
  }

  #fresh(): Promise<Stage> {
    return this.#raise(Stage.open(this.#stage));
  }

  async #raise(rising: Promise<Stage>): Promise<Stage> {
    const stage = await rising;
    this.open.push(stage);
    this.#options.signal.throwIfAborted();
    return stage;
  }

  async #close(stage: Stage): Promise<void> {
    this.open.splice(this.open.indexOf(stage), 1);
    await stage.close();
  }

  /** Plays it; where it fails, its page is written and it may be looked at like one that ended well. */
  async #play(scenario: Scenario, stage: Stage): Promise<void> {
    const { say, signal, hold } = this.#options;
    say(`${scenario.name}: ${scenario.title}`);
    try {
      await play(scenario, stage);
    } catch (error) {
      if (signal.aborted) throw error;
      // A page that cannot be had takes nothing from why the scenario failed.
      if (stage.acts.length > 0) await this.#report(scenario, stage).catch(() => undefined);
      if (hold) {
        say(error instanceof Error ? error.message : String(error));
        await hold(stage);
      }
      throw error;
    }
  }

  async #report(scenario: Scenario, stage: Stage): Promise<Rehearsed> {
    this.#options.progress?.('');
    return report(scenario, stage, this.#options);
  }
}

async function choose(
  environment: EnvironmentName,
  { scenario, all }: Pick<RehearsalOptions, 'scenario' | 'all'>,
): Promise<readonly Scenario[]> {
  if (all && scenario !== undefined)
    throw new Fault(
      'rehearse/3',
      'Bad usage: --all and --scenario',
      '--all plays every scenario, --scenario one',
      'Leave out one of the two.',
      { exitCode: 2 },
    );
  if (!all) return [await scenarioNamed(scenario ?? firstDeploy, environment)];
  return (await scenarios()).filter(({ environments }) => environments.includes(environment));
}

/** What every scenario shows, and where it can be played, a line each. */
export async function describeScenarios(): Promise<string> {
  const known = await scenarios();
  const wide = Math.max(...known.map(({ name }) => name.length)) + 2;
  return known
    .map(({ name, title, environments }) => `${name.padEnd(wide)}${title} (${environments.join(', ')})\n`)
    .join('');
}

function listen({ say, progress, verbose }: RehearsalOptions) {
  const startedAt = Date.now();
  return {
    hear: ({ text }: Line) => {
      if (verbose) say(text);
      else progress?.(`${length(Date.now() - startedAt)}  ${summaryOf(text)}`);
    },
    tell: (event: StageEvent) => {
      if (event.kind === 'check') say(`  ✓ ${event.words}`);
      if (event.kind === 'done') {
        const { name, run } = event.act;
        say(`  ${name}: ${length(run.milliseconds)}, exit status ${run.exitCode}`);
      }
    },
  };
}

/** What a line of Terraform says, whether it is for people or for machines. */
function summaryOf(text: string): string {
  const message = /"@message":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text;
  return message.trim().slice(0, 100);
}
