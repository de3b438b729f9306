/** The events of a rehearsal as bars in lanes: runs and their phases, operations of Azure, waits of the provider. */
import { nameOf } from '../../azure/resource-id.ts';
import type { OperationRecord } from '../../local/azure/index.ts';
import type { Check, NamedRun, Sandbox } from '../sandbox/sandbox.ts';
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
  /** An error, or the text of a step. @default - none */
  readonly detail?: string;
}

/** The hard-coded waits of the provider for one resource type. */
export interface WaitSum {
  /** Terraform's type. */
  readonly type: string;
  /** The provider's polling: how often, at which interval. */
  readonly rule: string;
  readonly count: number;
  /** The longest wait, in milliseconds. */
  readonly longest: number;
}

export interface Figures {
  /** Milliseconds of the first deployment, from the start of the command to its end. */
  readonly firstDeployment: number | undefined;
  /** Milliseconds of it in which there were only hard-coded waits. */
  readonly providerOnly: number;
  readonly waits: readonly WaitSum[];
  readonly operations: number;
  readonly refused: number;
  readonly requests: number;
  /** Largest resident size of the local Azure's process, in bytes. */
  readonly memory: number;
}

export interface Timeline extends Interval {
  readonly environment: string;
  readonly title: string;
  readonly bars: readonly Bar[];
  readonly operations: readonly OperationRecord[];
  /** Intervals with only hard-coded waits of the provider. */
  readonly idle: readonly Interval[];
  readonly checks: readonly Check[];
  readonly figures: Figures;
}

export function timelineOf(sandbox: Sandbox, title: string): Timeline {
  const { runs, azure, environment, checks } = sandbox;
  const operations = [...azure.operations];
  const waits = runs.flatMap(({ run }) => waitsOf(run.resources, operations));
  const idle = runs.flatMap(({ run }) => providerOnly(run.resources, operations));
  const bars = [
    ...runs.flatMap(barsOfRun),
    ...operations.map(barOfOperation),
    ...waits.map(({ bar }) => bar),
  ].sort((a, b) => a.startedAt - b.startedAt);
  const first = runs.find(({ name }) => name === 'deploy')?.run;
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

function barsOfRun({ name, run }: NamedRun): Bar[] {
  const outcome = run.exitCode === 0 ? 'succeeded' : 'failed';
  const common = { group: 'Runs', outcome } as const;
  const failure = run.diagnostics.find(({ severity }) => severity === 'error')?.summary;
  const step = run.resources.find(({ address }) => address === 'terraform_data.post_deploy');
  const lines = step ? [{ at: step.startedAt, text: '' }, ...run.steps] : [];
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
    ...lines.slice(1).map(
      ({ at, text }, index): Bar => ({
        ...common,
        ...{ lane: 'post-deploy step', kind: 'step', label: text },
        ...{ startedAt: lines[index]?.at ?? at, endedAt: at },
        outcome: step?.outcome === 'errored' && index === lines.length - 2 ? 'failed' : 'succeeded',
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
    label: `${method} ${decodeURIComponent(nameOf(target))}`,
    ...{ startedAt, endedAt: endedAt ?? Date.now(), outcome: outcomes[outcome] },
    ...(error ? { detail: `${error.code}: ${error.message}` } : {}),
  };
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
      detail: rule ?? 'it polls until it reads the expected state',
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
