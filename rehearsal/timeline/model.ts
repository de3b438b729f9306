/** What happened in a rehearsal, as bars in lanes: runs and their phases, operations of Azure, the provider's waiting. */
import type { OperationRecord } from '../../local/azure/index.ts';
import type { Act, Check, Stage } from '../stage/stage.ts';
import type { ResourceRun } from '../terraform/stack.ts';
import { placeOf } from './lanes.ts';
import { hardCodedWait, type Interval, providerOnly, waitOf } from './waits.ts';

export type BarKind = 'run' | 'phase' | 'operation' | 'wait' | 'step';
export type BarOutcome = 'succeeded' | 'failed' | 'refused' | 'abandoned';

export interface Bar extends Interval {
  readonly group: string;
  readonly lane: string;
  readonly kind: BarKind;
  readonly label: string;
  readonly outcome: BarOutcome;
  /** More words about it: an error, the text of a step. @default - none */
  readonly detail?: string;
}

/** Time that the provider spends on looking again at what is there already, because its code says so. */
export interface WaitSum {
  /** Terraform's type. */
  readonly type: string;
  /** What the provider does, and how often. */
  readonly rule: string;
  readonly count: number;
  /** Longest one, in milliseconds. */
  readonly longest: number;
}

export interface Figures {
  /** Milliseconds of the first deployment, from the command to its end. */
  readonly firstDeployment: number | undefined;
  /** Of these, those in which nothing but hard-coded waits went on. */
  readonly providerOnly: number;
  readonly waits: readonly WaitSum[];
  readonly operations: number;
  readonly refused: number;
  readonly requests: number;
  /** Largest resident size of the process that plays Azure, in bytes. */
  readonly memory: number;
}

export interface Timeline extends Interval {
  readonly environment: string;
  readonly title: string;
  readonly bars: readonly Bar[];
  readonly operations: readonly OperationRecord[];
  /** When nothing but the provider's hard-coded waits went on. */
  readonly idle: readonly Interval[];
  readonly checks: readonly Check[];
  readonly figures: Figures;
}

export function timelineOf(stage: Stage, title: string): Timeline {
  const { acts, azure, environment, checks } = stage;
  const operations = [...azure.operations];
  const waits = acts.flatMap(({ run }) => waitsOf(run.resources, operations));
  const idle = acts.flatMap(({ run }) => providerOnly(run.resources, operations));
  const bars = [
    ...acts.flatMap(barsOfAct),
    ...operations.map(barOfOperation),
    ...waits.map(({ bar }) => bar),
  ].sort((a, b) => a.startedAt - b.startedAt);
  const first = acts.find(({ name }) => name === 'deploy')?.run;
  const within = (one: Interval) =>
    first !== undefined && one.startedAt >= first.startedAt && one.endedAt <= first.endedAt;
  return {
    environment,
    title,
    startedAt: Math.min(...bars.map(({ startedAt }) => startedAt)),
    endedAt: Math.max(...bars.map(({ endedAt }) => endedAt)),
    bars,
    operations,
    idle,
    checks,
    figures: {
      firstDeployment: first?.milliseconds,
      providerOnly: sum(idle.filter(within)),
      waits: sumsOf(waits.filter(({ bar }) => within(bar))),
      operations: operations.length,
      refused: operations.filter(({ outcome }) => outcome === 'Refused').length,
      requests: azure.requests.length,
      memory: process.resourceUsage().maxRSS * 1024,
    },
  };
}

function sum(intervals: readonly Interval[]): number {
  return intervals.reduce((total, { startedAt, endedAt }) => total + endedAt - startedAt, 0);
}

function barsOfAct({ name, run }: Act): Bar[] {
  const outcome = run.exitCode === 0 ? 'succeeded' : 'failed';
  const common = { group: 'Runs', outcome } as const;
  const failure = run.diagnostics.find(({ severity }) => severity === 'error')?.summary;
  const step = run.resources.find(({ address }) => address === 'terraform_data.post_deploy');
  const told = step ? [{ at: step.startedAt, text: '' }, ...run.steps] : [];
  return [
    {
      ...common,
      ...{ lane: 'commands', kind: 'run', label: run.command || name },
      ...{ startedAt: run.startedAt, endedAt: run.endedAt },
      ...(failure === undefined ? {} : { detail: failure }),
    },
    ...run.phases.map(
      (phase): Bar => ({
        ...common,
        ...{ lane: 'phases', kind: 'phase', label: phase.name },
        ...{ startedAt: phase.startedAt, endedAt: phase.endedAt, outcome: 'succeeded' },
      }),
    ),
    ...told.slice(1).map(
      ({ at, text }, index): Bar => ({
        ...common,
        ...{ lane: 'post-deploy step', kind: 'step', label: text },
        ...{ startedAt: told[index]?.at ?? at, endedAt: at },
        outcome: step?.outcome === 'errored' && index === told.length - 2 ? 'failed' : 'succeeded',
      }),
    ),
  ];
}

const outcomes: Readonly<Record<OperationRecord['outcome'], BarOutcome>> = {
  Succeeded: 'succeeded',
  Failed: 'failed',
  Refused: 'refused',
  InProgress: 'abandoned',
  Abandoned: 'abandoned',
};

function barOfOperation(operation: OperationRecord): Bar {
  const { method, target, startedAt, endedAt, outcome, error } = operation;
  return {
    ...placeOf(target),
    kind: 'operation',
    label: `${method} ${nameIn(target)}`,
    ...{ startedAt, endedAt: endedAt ?? Date.now(), outcome: outcomes[outcome] },
    ...(error ? { detail: `${error.code}: ${error.message}` } : {}),
  };
}

/** Last part of an id that says which one it is. */
function nameIn(target: string): string {
  return decodeURIComponent(target.slice(target.lastIndexOf('/') + 1));
}

interface Wait {
  readonly bar: Bar;
  readonly type: string;
  readonly rule: string | undefined;
}

function waitsOf(resources: readonly ResourceRun[], operations: readonly OperationRecord[]): Wait[] {
  return resources.flatMap((resource) => {
    const wait = waitOf(resource, operations);
    if (!wait) return [];
    const type = resource.address.split('.')[0] ?? '';
    const rule = hardCodedWait(type, resource.action);
    const bar: Bar = {
      ...placeOf(wait.target),
      ...{ kind: 'wait', label: `the provider waits for ${resource.address}`, outcome: 'succeeded' },
      ...{ startedAt: wait.startedAt, endedAt: wait.endedAt },
      detail: rule ?? 'it looks again until it sees what it expects',
    };
    return [{ bar, type, rule }];
  });
}

function sumsOf(waits: readonly Wait[]): WaitSum[] {
  const sums = new Map<string, WaitSum>();
  for (const { bar, type, rule } of waits) {
    if (rule === undefined) continue;
    const before = sums.get(type) ?? { type, rule, count: 0, longest: 0 };
    const longest = Math.max(before.longest, bar.endedAt - bar.startedAt);
    sums.set(type, { ...before, count: before.count + 1, longest });
  }
  return [...sums.values()].sort((a, b) => b.longest - a.longest);
}
