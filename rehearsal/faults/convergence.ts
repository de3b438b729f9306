/**
 * A convergence run: deploys again and again, injects one kind of fault into the operations that have not had it yet,
 * and ends when every operation has had it and a deployment succeeds. After each failed deployment, it compares Azure
 * with the Terraform state: `llama-db adopt` must find every resource that the state lacks, and nothing else. No
 * deployment may leave a secret anywhere.
 */
import { Fault } from '../../core/fault.ts';
import type { LocalAzure } from '../../local/azure/index.ts';
import { runAdopt } from '../sandbox/commands.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { DeployRun } from '../terraform/deployer.ts';
import { endsDeployment, type FaultKind } from './fault-kinds.ts';
import type { Injection } from './injection.ts';
import { addressOf, compare, idsOf, type StateDocument } from './inventory.ts';
import type { Operation } from './operations.ts';

/** Address of an operation whose resource the state does not have. */
const unknown = 'unknown';

/** How a deployment recovered from a fault. */
export type Recovery =
  /** The provider retried, and the deployment went on. */
  | 'retried'
  /** The deployment ended after it had recorded the resource in the state. */
  | 'kept'
  /** The operation failed, and the next deployment did it. */
  | 'next deployment'
  /** The operation failed, and `llama-db adopt` imported its resource for the next deployment. */
  | 'adopt';

export interface Case {
  readonly operation: string;
  /** Address of the resource that the operation belongs to. */
  readonly address: string;
  readonly fault: string;
  readonly recovery: Recovery;
  /** Terraform's error, in one line; empty without an error. */
  readonly said: string;
}

/** One deployment of a convergence run, with the recovery after it. */
export interface Round {
  readonly number: number;
  readonly exitCode: number;
  readonly seconds: number;
  /** Operations that had the fault. */
  readonly faulted: readonly Operation[];
  /** Terraform's error of each failed resource, by address. */
  readonly errors: ReadonlyMap<string, string>;
  readonly completed: ReadonlySet<string>;
  readonly adopted: ReadonlySet<string>;
  readonly brokeLock: boolean;
}

export interface ConvergenceResult {
  readonly cases: readonly Case[];
  readonly rounds: readonly Round[];
  /** Violations; empty if everything converged. */
  readonly problems: readonly string[];
}

export interface ConvergenceOptions {
  readonly fault: FaultKind;
  readonly injection: Injection;
  /** Azure ids that every deployment imports, by address. @default - none */
  readonly imports?: Readonly<Record<string, string>>;
  readonly onRound?: (round: Round) => void;
  /** Ends the run after the current deployment; the result covers the deployments so far. @default - runs to its end */
  readonly signal?: AbortSignal;
  /** Deployments after which the run gives up. @default 300 */
  readonly maxRounds?: number;
}

/** @param sandbox a sandbox before its first deployment, preferably without a database */
export async function converge(sandbox: Sandbox, options: ConvergenceOptions): Promise<ConvergenceResult> {
  const { injection, fault, onRound, signal, maxRounds = 300 } = options;
  sandbox.intercept = injection.before;
  sandbox.interceptAnswer = injection.after;
  const rounds: Round[] = [];
  const problems: string[] = [];
  for (let number = 1; problems.length === 0; number++) {
    const round = await deploy(sandbox, options, number, problems);
    rounds.push(round);
    onRound?.(round);
    if (signal?.aborted) break;
    if (round.faulted.length > 0 && number < maxRounds) continue;
    if (round.faulted.length > 0) problems.push(`the run has not ended after ${number} deployments`);
    if (round.exitCode !== 0)
      problems.push(
        `a deployment without a fault ended with status ${round.exitCode}`,
        ...[...round.errors].map(([address, error]) => `${address}: ${error}`),
      );
    break;
  }
  if (problems.length === 0 && !signal?.aborted) problems.push(...(await differences(sandbox, options)));
  const isComplete = problems.length === 0 && !signal?.aborted;
  // Before the end, a resource that the state does not have has not recovered yet.
  const cases = casesOf(rounds, fault, await stateOf(sandbox)).filter(
    ({ address }) => isComplete || address !== unknown,
  );
  return { cases, rounds, problems };
}

async function deploy(
  sandbox: Sandbox,
  { injection, fault, imports }: ConvergenceOptions,
  number: number,
  problems: string[],
): Promise<Round> {
  const startedAt = Date.now();
  const stopping = new AbortController();
  injection.arm(fault, () => stopping.abort());
  const run = await sandbox.deploy({
    [fault.effect === 'kill' ? 'kill' : 'interrupt']: stopping.signal,
    ...(imports ? { imports } : {}),
  });
  const faulted = injection.disarm();
  if (run.phases.at(-1)?.name !== 'apply') problems.push(...run.diagnostics.map(lineOf));
  await untilIdle(sandbox.azure);
  let adopted: ReadonlySet<string> = new Set();
  let brokeLock = false;
  if (run.exitCode !== 0) {
    const left = compare(sandbox.azure, await stateOf(sandbox)).missingFromState;
    const answer = await runAdopt(sandbox);
    brokeLock = answer.brokeLock;
    if (answer.result) {
      const { adoptable, tainted, obstacles, orphans } = answer.result;
      adopted = new Set([...adoptable, ...tainted].map(({ address }) => address));
      problems.push(
        ...obstacles.map(({ address, what }) => `${address}: ${what}`),
        ...orphans.map(({ id }) => `orphan: ${id}`),
        ...adoptDifferences(left, adoptable),
      );
    } else problems.push(`adopt: ${answer.output.trim()}`);
  }
  problems.push(...(await leaksOf(sandbox)));
  return {
    number,
    exitCode: run.exitCode,
    seconds: (Date.now() - startedAt) / 1000,
    faulted,
    errors: errorsOf(run),
    completed: new Set(
      run.resources.filter(({ outcome }) => outcome === 'complete').map(({ address }) => address),
    ),
    adopted,
    brokeLock,
  };
}

function errorsOf({ diagnostics }: DeployRun): ReadonlyMap<string, string> {
  return new Map(diagnostics.map((one) => [one.address ?? 'the deployment', lineOf(one)]));
}

/** Differences between the resources that adopt found and those that the state lacks. */
function adoptDifferences(
  left: readonly string[],
  adoptable: readonly { readonly address: string; readonly importId: string }[],
): string[] {
  const found = new Set(
    adoptable
      // Azure has no such resource: the association is a property of the subnet.
      .filter(({ address }) => !address.startsWith('azurerm_subnet_network_security_group_association.'))
      .flatMap(({ address, importId }) => idsOf(address.split('.')[0] ?? '', importId))
      .map((id) => id.toLowerCase()),
  );
  const missed = left.filter((id) => !found.has(id.toLowerCase())).map((id) => `adopt did not find ${id}`);
  const expected = new Set(left.map((id) => id.toLowerCase()));
  const invented = [...found]
    .filter((id) => !expected.has(id))
    .map((id) => `adopt found ${id}, which the state does not lack`);
  return [...missed, ...invented];
}

/** Waits until Azure has finished its operations: they continue after the client is gone. */
async function untilIdle(azure: LocalAzure): Promise<void> {
  for (const { id } of azure.operations.filter(({ outcome }) => outcome === 'InProgress'))
    await azure.azure.operations.wait(id);
}

async function stateOf(sandbox: Sandbox): Promise<StateDocument> {
  const text = await sandbox.stateText();
  return text === undefined || text.trim() === '' ? {} : JSON.parse(text);
}

/** Differences between the stack, the state and Azure, of which a converged deployment has none. */
async function differences(sandbox: Sandbox, { imports }: ConvergenceOptions): Promise<string[]> {
  const { azure } = sandbox;
  const plan = await sandbox.diff(imports ? { imports } : {}).catch((error) => {
    if (error instanceof Fault) return error;
    throw error;
  });
  if (plan instanceof Fault) return [plan.message];
  const { missingFromState, missingFromAzure } = compare(azure, await stateOf(sandbox));
  return [
    ...plan.diagnostics.map(lineOf),
    ...plan.changes.map((change) => `the plan at the end: ${change}`),
    ...missingFromState.map((id) => `orphan in Azure: ${id}`),
    ...missingFromAzure.map((id) => `only in the state: ${id}`),
    ...azure.unknown,
    ...(await leaksOf(sandbox)),
  ];
}

/** Secrets that were left so far, as text. Forgets the searched runs: the output of hundreds would fill the memory. */
async function leaksOf(sandbox: Sandbox): Promise<string[]> {
  const leaks = await sandbox.leaks();
  sandbox.runs.length = 0;
  return leaks.map(({ what, where }) => `${what} is in ${where}`);
}

/** Computed at the end, when the state has every resource, and thus the address of every operation. */
function casesOf(rounds: readonly Round[], fault: FaultKind, state: StateDocument): Case[] {
  return rounds.flatMap(({ faulted, errors, completed, adopted }) =>
    faulted.map((operation): Case => {
      const address = addressOf(operation, state) ?? unknown;
      const said = errors.get(address) ?? '';
      const hasFailed = said !== '' || (endsDeployment(fault) && !completed.has(address));
      const recovery = adopted.has(address)
        ? 'adopt'
        : hasFailed
          ? 'next deployment'
          : endsDeployment(fault)
            ? 'kept'
            : 'retried';
      return { operation: operation.key, address, fault: fault.name, recovery, said };
    }),
  );
}

function lineOf({ summary, detail }: { readonly summary: string; readonly detail?: string }): string {
  const text = [summary, detail ?? ''].join(' ').replace(/\s+/g, ' ').trim();
  return text.length > 400 ? `${text.slice(0, 399)}…` : text;
}
