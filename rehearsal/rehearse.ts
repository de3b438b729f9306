/** A rehearsal from its first line to its last: scenarios played, timelines written, everything removed. */
import { rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Fault } from '../database/fault.ts';
import { play, type Scenario, scenarioNamed, scenarios } from './scenario.ts';
import { type EnvironmentName, environmentNames, Stage, type StageEvent } from './stage.ts';
import { findCdktf, findProvider, findTerraform } from './terraform/installation.ts';
import type { Line } from './terraform/program.ts';
import { type Figures, type Timeline, timelineOf } from './timeline/model.ts';
import { page } from './timeline/page.ts';
import { figuresText, length, operationsText } from './timeline/text.ts';

export interface RehearsalOptions {
  readonly environment: string;
  /** Scenario to play after the first deployment. @default - the first deployment alone */
  readonly scenario?: string | undefined;
  /** Play every scenario that the environment can play, each on a copy of one deployment. @default false */
  readonly all?: boolean | undefined;
  /** Leave out what the provider watches for minutes: metric alerts and locks. @default false */
  readonly quick?: boolean | undefined;
  /** File of the page. @default - one in the system's temporary folder */
  readonly report?: string | undefined;
  /** Shown everything that cdktf and Terraform write. @default - what matters of it */
  readonly verbose?: boolean | undefined;
  readonly signal: AbortSignal;
  /** Takes a line of the report. */
  readonly say: (line: string) => void;
  /** Takes what is going on now, to be written over by the next. @default - nobody */
  readonly progress?: ((text: string) => void) | undefined;
  /** Called with the stage while all of it is still up, after the report. @default - it is taken down at once */
  readonly hold?: ((stage: Stage) => Promise<void>) | undefined;
}

/** One scenario that was played to its end. */
export interface Rehearsed {
  readonly scenario: string;
  readonly title: string;
  readonly checks: readonly string[];
  readonly figures: Figures;
  /** File of the page. */
  readonly report: string;
}

const firstDeploy = 'first-deploy';

/**
 * @throws Fault when something does not hold; with exit status 2 for a name that there is not, 3 when Terraform or its
 *   provider is missing, 130 when it was interrupted
 */
export async function rehearse(options: RehearsalOptions): Promise<readonly Rehearsed[]> {
  const environment = environmentOf(options.environment);
  const chosen = await choose(environment, options);
  findTerraform();
  await findProvider();
  const deployer = findCdktf() === undefined ? 'terraform' : 'cdktf';
  if (deployer === 'terraform')
    options.say(
      'Note: cdktf-cli, an optional dependency, is not installed here: what it does (synthesis, terraform init, plan, apply) is run step by step instead.',
    );
  const listener = listen(options);
  const { quick, signal } = options;
  const done: Rehearsed[] = [];
  const open: Stage[] = [];
  const raise = async (stage: Promise<Stage>) => {
    open.push(await stage);
    signal.throwIfAborted();
    return stage;
  };
  try {
    const base = await raise(
      Stage.open({ environment, quick: quick ?? false, deployer, signal, ...listener }),
    );
    const first = await scenarioNamed(firstDeploy, environment);
    const needsDeployment = chosen.some(({ begins, name }) => begins === 'deployed' || name === firstDeploy);
    if (needsDeployment) {
      options.say(`${first.name}: ${first.title}`);
      await play(first, base);
      if (chosen.includes(first)) done.push(await report(first, base, options));
    }
    const others = chosen.filter((scenario) => scenario !== first);
    for (const scenario of others) {
      options.say(`${scenario.name}: ${scenario.title}`);
      // Alone it may have the deployment for itself, and the page shows both.
      const alone = others.length === 1 && (scenario.begins === 'deployed' || !needsDeployment);
      const stage = alone
        ? base
        : await raise(scenario.begins === 'deployed' ? base.fork({ signal, ...listener }) : fresh(base));
      await play(scenario, stage);
      done.push(await report(scenario, stage, options));
      if (stage !== base && others.at(-1) !== scenario) await stage.close();
    }
    const last = open.at(-1);
    if (last) await options.hold?.(last);
    return done;
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Fault('Interrupted', 'the rehearsal was ended from outside', 'Nothing was left running.', {
      exitCode: 130,
      cause: error,
    });
  } finally {
    options.progress?.('');
    for (const stage of open) await stage.close();
  }

  function fresh(base: Stage): Promise<Stage> {
    return Stage.open({ environment: base.environment, quick: base.quick, deployer, signal, ...listener });
  }
}

function environmentOf(name: string): EnvironmentName {
  const found = environmentNames.find((one) => one === name);
  if (found) return found;
  throw new Fault(
    `There is no environment ${name}`,
    `environments/ has ${environmentNames.join(', ')}`,
    'Name one of them.',
    { exitCode: 2 },
  );
}

async function choose(
  environment: EnvironmentName,
  { scenario, all }: Pick<RehearsalOptions, 'scenario' | 'all'>,
): Promise<readonly Scenario[]> {
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

async function report(scenario: Scenario, stage: Stage, options: RehearsalOptions): Promise<Rehearsed> {
  const timeline = timelineOf(stage, scenario.title);
  const { text, html } = render(timeline);
  // Before anything is written or printed: a secret in the report itself must not get out.
  const leaks = [...stage.secrets.search('the timeline', text), ...stage.secrets.search('the page', html)];
  if (leaks.length > 0)
    throw new Fault(
      'The report of the rehearsal holds a secret and was not written',
      leaks.map(({ what, where }) => `${what} is in ${where}`).join('; '),
      'This is a defect of rehearsal/timeline/: leave out there what is named.',
    );
  const file = path.resolve(
    options.report ?? path.join(os.tmpdir(), `llama-db-rehearsal-${stage.environment}-${scenario.name}.html`),
  );
  await rm(file, { force: true });
  await writeFile(file, html);
  options.progress?.('');
  if (!options.all) options.say(`\n${operationsText(timeline)}`);
  options.say(figuresText(timeline.figures));
  options.say(`Page with the picture: ${file}\n`);
  return {
    scenario: scenario.name,
    title: scenario.title,
    checks: stage.checks.map(({ words }) => words),
    figures: timeline.figures,
    report: file,
  };
}

function render(timeline: Timeline): { readonly text: string; readonly html: string } {
  return { text: operationsText(timeline) + figuresText(timeline.figures), html: page(timeline) };
}
