/**
 * One deployment after another, each with the same kind of fault at the operations that have not had it yet, until
 * every operation has had it and a deployment ends by itself. After each that failed, the books of Azure and Terraform
 * are compared: what Azure has and the state does not is what `llama-db adopt` must find, that and nothing else.
 */
import type { LocalAzure } from '../../local/azure/index.ts';
import { complaints, type TerraformStack } from '../terraform/stack.ts';
import { adoptAll } from './adoption.ts';
import { endsDeployment, type FaultKind } from './faults.ts';
import type { Injection } from './injection.ts';
import { addressOf, compare, idsOf, type StateDocument } from './ledger.ts';
import type { Operation } from './operations.ts';

/** Address of an operation whose resource the state does not know. */
const unknown = 'unknown';

/** How a deployment came over a fault. */
export type Recovery =
  /** The provider tried again, and the deployment went on. */
  | 'retried'
  /** The deployment ended, after it had kept what it made. */
  | 'kept'
  /** It failed, and the next deployment made it. */
  | 'next deployment'
  /** It failed, and the next deployment had it after `llama-db adopt`. */
  | 'adopt';

export interface Case {
  readonly operation: string;
  /** Resource of the stack that it belongs to. */
  readonly address: string;
  readonly fault: string;
  readonly recovery: Recovery;
  /** What Terraform said about it, in one line; empty when it said nothing. */
  readonly said: string;
}

/** One deployment, and what it took to go on. */
export interface Round {
  readonly number: number;
  readonly exitCode: number;
  readonly seconds: number;
  readonly happened: readonly Operation[];
  /** Resources that failed, and what Terraform said. */
  readonly errors: ReadonlyMap<string, string>;
  readonly completed: ReadonlySet<string>;
  readonly adopted: ReadonlySet<string>;
  readonly brokeLock: boolean;
}

export interface CascadeResult {
  readonly cases: readonly Case[];
  readonly rounds: readonly Round[];
  /** What must not be; empty when everything converged. */
  readonly problems: readonly string[];
}

export interface CascadeOptions {
  readonly environment: string;
  readonly fault: FaultKind;
  readonly azure: LocalAzure;
  readonly stack: TerraformStack;
  readonly injection: Injection;
  readonly hear?: (round: Round) => void;
  /** Ends it after the deployment that is under way; what has recovered by then is told. @default - it goes to its end */
  readonly signal?: AbortSignal;
  /** Deployments after which it is given up. @default 300 */
  readonly mostRounds?: number;
}

export async function cascade(options: CascadeOptions): Promise<CascadeResult> {
  const { stack, hear, signal, mostRounds = 300 } = options;
  const rounds: Round[] = [];
  const problems: string[] = [];
  for (let number = 1; problems.length === 0; number++) {
    const round = await deploy(options, number, problems);
    rounds.push(round);
    hear?.(round);
    if (signal?.aborted) break;
    if (round.happened.length > 0 && number < mostRounds) continue;
    if (round.happened.length > 0) problems.push(`not at its end after ${number} deployments`);
    if (round.exitCode !== 0)
      problems.push(
        `a deployment without a fault ended with ${round.exitCode}`,
        ...[...round.errors].map(([address, said]) => `${address}: ${said}`),
      );
    break;
  }
  if (problems.length === 0 && !signal?.aborted) problems.push(...(await unconverged(options)));
  const atItsEnd = problems.length === 0 && !signal?.aborted;
  // Before the end, whose resource the state does not know has not recovered.
  const cases = casesOf(rounds, options.fault, await stateOf(stack)).filter(
    ({ address }) => atItsEnd || address !== unknown,
  );
  return { cases, rounds, problems };
}

async function deploy(options: CascadeOptions, number: number, problems: string[]): Promise<Round> {
  const { azure, stack, injection, fault, environment } = options;
  const startedAt = Date.now();
  const stopping = new AbortController();
  const plan = await stack.plan();
  if (plan.exitCode !== 0) problems.push(...complaints(plan).map(lineOf));
  injection.arm(fault, () => stopping.abort());
  const applied = await stack.apply({ [fault.effect === 'kill' ? 'kill' : 'interrupt']: stopping.signal });
  const happened = injection.disarm();
  await quiet(azure);
  let adopted: ReadonlySet<string> = new Set();
  let brokeLock = false;
  if (applied.exitCode !== 0) {
    const left = compare(azure, await stateOf(stack)).unknownToTerraform;
    const answer = await adoptAll(stack, environment);
    brokeLock = answer.brokeLock;
    if (answer.result) {
      const { adoptable, tainted, obstacles, orphans } = answer.result;
      adopted = new Set([...adoptable, ...tainted].map(({ address }) => address));
      problems.push(
        ...obstacles.map(({ address, what }) => `${address}: ${what}`),
        ...orphans.map(({ id }) => `nobody's: ${id}`),
        ...unlike(left, adoptable),
      );
    } else problems.push(`adopt: ${answer.output.trim()}`);
  }
  return {
    number,
    exitCode: applied.exitCode,
    seconds: (Date.now() - startedAt) / 1000,
    happened,
    errors: new Map(
      complaints(applied).map((one): [string, string] => [one.address ?? 'the deployment', lineOf(one)]),
    ),
    completed: new Set(
      applied.resources.filter(({ outcome }) => outcome === 'complete').map(({ address }) => address),
    ),
    adopted,
    brokeLock,
  };
}

/** Where what adopt found and what the books say differ. */
function unlike(
  left: readonly string[],
  adoptable: readonly { readonly address: string; readonly importId: string }[],
): string[] {
  const found = new Set(
    adoptable
      // No resource of Azure's: it goes under the id of its subnet.
      .filter(({ address }) => !address.startsWith('azurerm_subnet_network_security_group_association.'))
      .flatMap(({ address, importId }) => idsOf(address.split('.')[0] ?? '', importId))
      .map((id) => id.toLowerCase()),
  );
  const missed = left.filter((id) => !found.has(id.toLowerCase())).map((id) => `adopt did not find ${id}`);
  const there = new Set(left.map((id) => id.toLowerCase()));
  const invented = [...found]
    .filter((id) => !there.has(id))
    .map((id) => `adopt found ${id}, which is not left`);
  return [...missed, ...invented];
}

/** Waits until Azure has ended what it was asked for: it goes on when the client is gone. */
async function quiet(azure: LocalAzure): Promise<void> {
  for (const { id } of azure.operations.filter(({ outcome }) => outcome === 'InProgress'))
    await azure.azure.operations.wait(id);
}

async function stateOf(stack: TerraformStack): Promise<StateDocument> {
  const { output, exitCode } = await stack.run(['state', 'pull']);
  if (exitCode !== 0) throw new Error(output);
  return output.trim() === '' ? {} : JSON.parse(output);
}

/** What still differs when nothing should. */
async function unconverged({ stack, azure }: CascadeOptions): Promise<string[]> {
  const plan = await stack.plan();
  const { unknownToTerraform, goneFromAzure } = compare(azure, await stateOf(stack));
  return [
    ...complaints(plan).map(lineOf),
    ...plan.changes.map((change) => `the plan after it: ${change}`),
    ...unknownToTerraform.map((id) => `orphan in Azure: ${id}`),
    ...goneFromAzure.map((id) => `in the state alone: ${id}`),
    ...azure.unknown,
  ];
}

/** Told at the end, when the state knows every resource and with it whose the operations were. */
function casesOf(rounds: readonly Round[], fault: FaultKind, state: StateDocument): Case[] {
  return rounds.flatMap(({ happened, errors, completed, adopted }) =>
    happened.map((operation): Case => {
      const address = addressOf(operation, state) ?? unknown;
      const said = errors.get(address) ?? '';
      const failed = said !== '' || (endsDeployment(fault) && !completed.has(address));
      const recovery = adopted.has(address)
        ? 'adopt'
        : failed
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
