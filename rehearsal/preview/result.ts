/** The result of a preview, from what its parts have seen. */

import type { Verified } from '../sandbox/commands.ts';
import { reasonOf } from '../sandbox/sandbox.ts';
import type { ServerMoment } from '../sandbox/testbed.ts';
import type { DeployRun, Difference } from '../terraform/deployer.ts';
import type { Timeline } from '../timeline/model.ts';
import type { ClientReport, Moment } from './client.ts';
import type { HeldLock } from './locks.ts';
import type { Filled } from './statements.ts';

/** From the begin of the change until the clients stop. */
export interface Seen extends Moment {
  readonly run: DeployRun;
  readonly clients: readonly ClientReport[];
  readonly locks: readonly HeldLock[];
  readonly happened: readonly ServerMoment[];
}

export interface Parts {
  readonly environment: string;
  readonly quick: boolean;
  readonly rows: number;
  readonly base: { readonly ref: string; readonly commit: string; readonly hasOtherPackages: boolean };
  /** Commit of this checkout. */
  readonly change: string;
  readonly seen: Seen;
  /** Verification of the base; a text says why there is none. */
  readonly baseline: Verified | string;
  /** Undefined if the change was refused. */
  readonly second: Difference | undefined;
  readonly verification: Verified | string | undefined;
  readonly filled: readonly Filled[];
  /** Names of the migrations that the base has not applied. */
  readonly pending: readonly string[];
  readonly timeline: Timeline;
}

/** Counts of what happened to one server. */
export interface ServerReport {
  readonly name: string;
  readonly restarts: number;
  readonly failovers: number;
  /** Other events in their order: `promoted`, `deleted`. */
  readonly others: readonly string[];
}

export interface MigrationReport {
  readonly file: string;
  /** Whether the post-deploy step reported it as applied. */
  readonly isApplied: boolean;
  readonly milliseconds?: number;
  readonly locks: readonly (Omit<HeldLock, 'startedAt' | 'endedAt'> & { readonly milliseconds: number })[];
}

export interface Preview {
  readonly environment: string;
  readonly base: Parts['base'];
  readonly change: string;
  readonly quick: boolean;
  readonly rows: number;
  /** `unchanged`: the plan is empty. */
  readonly outcome: 'deployed' | 'refused' | 'unchanged';
  /** Reason of the refusal, and whether Azure was asked for changes before it. */
  readonly refusal?: { readonly reason: string; readonly phase: string; readonly changes: number };
  readonly milliseconds: number;
  /** Resources in the order in which they were completed: `update azurerm_…`. */
  readonly resources: readonly string[];
  readonly servers: readonly ServerReport[];
  readonly clients: readonly ClientReport[];
  readonly migrations: readonly MigrationReport[];
  readonly filled: readonly Filled[];
  /** Changes of the second plan; absent if the change was refused. */
  readonly secondPlan?: readonly string[];
  readonly verification?: {
    /** Findings that the base does not have. */
    readonly appeared: Readonly<Record<string, string>>;
    /** Ids of checks that failed on the base and pass now. */
    readonly resolved: readonly string[];
    /** Ids of checks that failed before and after, most of them because of the local server. */
    readonly remaining: readonly string[];
    /** Why the verification has no result. */
    readonly why?: string;
  };
  readonly exitCode: 0 | 1;
  readonly timeline: Timeline;
}

export function resultOf(parts: Parts): Preview {
  const { environment, base, change, quick, rows, seen, second, filled, timeline } = parts;
  const { run } = seen;
  const isRefused = run.exitCode !== 0;
  const resources = run.resources.filter(({ action }) => action !== 'read');
  const changes = timeline.operations.filter(({ startedAt }) => startedAt >= seen.startedAt);
  const verification = verificationOf(parts);
  const secondPlan = second === undefined ? undefined : second.isEmpty ? [] : listed(second.changes);
  const appeared = Object.keys(verification?.appeared ?? {}).length;
  const isFine = !isRefused && secondPlan?.length === 0 && appeared === 0 && verification?.why === undefined;
  return {
    ...{ environment, base, change, quick, rows },
    outcome: isRefused ? 'refused' : resources.length === 0 ? 'unchanged' : 'deployed',
    ...(isRefused
      ? {
          refusal: {
            reason: whyNot(run),
            phase: run.phases.at(-1)?.name ?? 'synthesis',
            changes: changes.filter(({ outcome }) => outcome === 'Succeeded').length,
          },
        }
      : {}),
    milliseconds: run.milliseconds,
    resources: resources.map(({ action, address }) => `${action} ${address}`),
    servers: serversOf(seen.happened),
    clients: seen.clients.map((one) => ({ ...one, waits: one.waits.filter((wait) => waitsFor(seen, wait)) })),
    migrations: migrationsOf(parts),
    filled,
    ...(secondPlan ? { secondPlan } : {}),
    ...(verification ? { verification } : {}),
    exitCode: isFine ? 0 : 1,
    timeline: withClients(timeline, seen),
  };
}

/** Whether the post-deploy step held a lock meanwhile that others waited for; a busy machine is slow as well. */
const waitsFor = ({ locks }: Seen, wait: Moment) =>
  locks.some(
    ({ startedAt, endedAt, waiting }) =>
      waiting > 0 && startedAt <= wait.endedAt && endedAt >= wait.startedAt,
  );

/** The error of the post-deploy step is its last line; Terraform repeats all of them. */
function whyNot(run: DeployRun): string {
  const error = run.diagnostics.find(({ severity }) => severity === 'error');
  const last = run.steps.at(-1)?.text;
  return error?.address === 'terraform_data.post_deploy' && last !== undefined
    ? `the post-deploy step: ${last}`
    : reasonOf(run);
}

/** Outputs alone have no entry. */
const listed = (changes: readonly string[]) => (changes.length > 0 ? changes : ['change outputs']);

function verificationOf({ baseline, verification }: Parts): Preview['verification'] {
  if (verification === undefined) return undefined;
  const before = typeof baseline === 'string' ? new Map<string, string>() : baseline.failed;
  if (typeof verification === 'string')
    return { appeared: {}, resolved: [], remaining: [], why: verification };
  const { failed } = verification;
  return {
    appeared: Object.fromEntries([...failed].filter(([id, text]) => before.get(id) !== text)),
    resolved: [...before.keys()].filter((id) => !failed.has(id)),
    remaining: [...failed].filter(([id, text]) => before.get(id) === text).map(([id]) => id),
  };
}

/** Events that interrupt nobody. */
const quiet = new Set(['parameterSet', 'databaseCreated', 'passwordSet', 'administratorAdded']);

function serversOf(happened: readonly ServerMoment[]): ServerReport[] {
  const names = [...new Set(happened.map(({ server }) => server))].sort();
  return names.flatMap((name) => {
    const own = happened.filter(({ server, kind }) => server === name && !quiet.has(kind));
    if (own.length === 0) return [];
    const isRestart = ({ kind }: ServerMoment) => kind === 'restarted' || kind === 'scaled';
    return [
      {
        name,
        restarts: own.filter((one) => isRestart(one) && !one.failover).length,
        failovers: own.filter(({ failover }) => failover).length,
        others: own.filter((one) => !isRestart(one)).map(({ kind }) => kind),
      },
    ];
  });
}

/** Ends of the clocks of two processes on one machine. In milliseconds. */
const tolerance = 20;

function migrationsOf({ seen, pending }: Parts): MigrationReport[] {
  const { steps } = seen.run;
  return pending.map((file): MigrationReport => {
    const name = file.replace(/\.(?:sql|ts)$/, '');
    const place = steps.findIndex(({ text }) => text.startsWith(`Applied ${name} `));
    const ended = steps[place]?.at;
    if (ended === undefined) return { file, isApplied: false, locks: [] };
    const milliseconds = millisecondsIn(steps[place]?.text ?? '');
    const began = ended - milliseconds - tolerance;
    const locks = seen.locks.filter(
      ({ startedAt, endedAt }) => startedAt >= began && endedAt <= ended + tolerance,
    );
    return {
      file,
      isApplied: true,
      milliseconds,
      locks: locks.map(({ startedAt, endedAt, ...lock }) => ({ ...lock, milliseconds: endedAt - startedAt })),
    };
  });
}

/** Of `Applied 0018_name (1.2 s)`. */
function millisecondsIn(text: string): number {
  const [, minutes = '0', seconds = '0', milliseconds = '0'] =
    /\((?:(\d+) min )?(?:([\d.]+) s)?(?:(\d+) ms)?\)$/.exec(text) ?? [];
  return Number(minutes) * 60_000 + Number(seconds) * 1000 + Number(milliseconds);
}

/** The timeline of the change alone, with the outages and waits of the clients and the locks of migrations. */
function withClients(timeline: Timeline, seen: Seen): Timeline {
  const { startedAt, endedAt, clients, locks, happened } = seen;
  const within = (one: Pick<Moment, 'startedAt'>) => one.startedAt >= startedAt && one.startedAt <= endedAt;
  const group = 'Clients';
  const outages = clients.flatMap(({ name, outages }) =>
    outages.map((one) => ({
      ...({
        group,
        lane: name,
        kind: 'operation',
        label: `interrupted: ${one.kind}`,
        outcome: 'failed',
      } as const),
      ...{ startedAt: one.startedAt, endedAt: one.endedAt },
    })),
  );
  const waits = clients.flatMap(({ name, waits }) =>
    waits.map((one) => ({
      ...({ group, lane: name, kind: 'operation', label: `waited: ${one.statement}` } as const),
      ...({ outcome: 'abandoned', startedAt: one.startedAt, endedAt: one.endedAt } as const),
    })),
  );
  const held = locks.map((one) => ({
    ...({ group: 'Locks', lane: one.on, kind: 'step', label: `${one.mode}`, outcome: 'succeeded' } as const),
    ...{ startedAt: one.startedAt, endedAt: Math.max(one.endedAt, one.startedAt + 1) },
  }));
  const events = happened
    .filter(({ kind }) => !quiet.has(kind))
    .map((one) => ({
      ...({ group: one.server, lane: 'PostgreSQL', kind: 'operation', label: one.kind } as const),
      ...({ outcome: 'refused', startedAt: one.startedAt, endedAt: one.endedAt } as const),
    }));
  const bars = [...timeline.bars.filter(within), ...outages, ...waits, ...held, ...events];
  return {
    ...timeline,
    ...{ startedAt, endedAt },
    bars: bars
      .map((bar) => ({ ...bar, endedAt: Math.min(bar.endedAt, endedAt) }))
      .sort((a, b) => a.startedAt - b.startedAt),
    operations: timeline.operations.filter(within),
    idle: timeline.idle.filter(within),
  };
}
