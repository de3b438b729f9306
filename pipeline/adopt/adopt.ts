/**
 * After a deployment that did not end by itself: Azure has what the state does not know, and the next deployment
 * would fail on "already exists" for ever (docs/recovery.md).
 */
import { relative } from 'node:path';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { type Azure, signedIn } from './azure.ts';
import { readImports, removeImports, writeImports } from './imports.ts';
import { breakLock, describeLock, type StateLock, stateLock } from './lock.ts';
import { type Orphan, orphans } from './orphans.ts';
import { valuesOf } from './resource-types.ts';
import { readStack, type Stack } from './stack.ts';
import { type Survey, survey } from './survey.ts';
import { type Terraform, terraformIn } from './terraform.ts';

export interface AdoptOptions {
  readonly environment: string;
  /** Folder that cdktf writes to. */
  readonly output: string;
  /** @default - ARM_SUBSCRIPTION_ID */
  readonly subscriptionId: string | undefined;
  /** Put everything into the state now, rather than write import blocks for the next deployment. */
  readonly apply: boolean;
  /** Id of a lock that is to be broken first. @default - a lock stops the command */
  readonly breakLock?: string;
  /** Asked before anything is changed. */
  readonly confirm: (question: string) => Promise<boolean>;
  /** Told what was found, before the question. */
  readonly found: (report: AdoptReport) => void;
  readonly reporter: Reporter;
  /** @default - as whoever is signed in */
  readonly azure?: Azure;
  /** @default - the program on the PATH */
  readonly terraform?: Terraform;
}

export interface AdoptReport extends Survey {
  readonly environment: string;
  readonly lock: StateLock | undefined;
  readonly orphans: readonly Orphan[];
}

export interface AdoptResult extends AdoptReport {
  /** `nothing` to do; `written` as import blocks; `imported` into the state; `declined` by whoever was asked. */
  readonly outcome: 'nothing' | 'written' | 'imported' | 'declined';
  /** File of the import blocks. */
  readonly file?: string;
}

/**
 * @throws Fault (exit 2) when stack, state or Azure could not be looked at, or the state is locked
 */
export async function adopt(options: AdoptOptions): Promise<AdoptResult> {
  const { environment, confirm, reporter } = options;
  const stack = readStack(options.output, environment);
  const azure = options.azure ?? (await signedIn(required(options.subscriptionId)));
  const terraform = options.terraform ?? terraformIn(stack.directory);
  const lock = await unlocked(stack, azure, options);
  const state = await terraform.state();
  const values = valuesOf(stack, azure);
  const [seen, strays] = await Promise.all([survey(values, state), orphans(values, state)]);
  const report: AdoptReport = { environment, lock, orphans: strays, ...seen };
  options.found(report);

  const { adoptable, tainted } = seen;
  if (adoptable.length + tainted.length === 0) {
    if (readImports(stack.directory).length > 0) removeImports(stack.directory);
    return { ...report, outcome: 'nothing' };
  }
  if (!(await confirm(question(seen, options.apply)))) return { ...report, outcome: 'declined' };
  for (const { address } of tainted) {
    await terraform.untaint(address);
    reporter.line(`Kept ${address}`);
  }
  if (!options.apply) {
    // Terraform takes one import block a resource: what the stack imports itself is left to it.
    const blocks = adoptable.filter(({ address }) => !stack.imported.has(address));
    if (blocks.length === 0) return { ...report, outcome: 'imported' };
    const file = relative(process.cwd(), writeImports(stack.directory, blocks));
    return { ...report, outcome: 'written', file };
  }
  for (const { address, importId } of adoptable) {
    await terraform.import(address, importId);
    reporter.line(`Imported ${address}`);
  }
  removeImports(stack.directory);
  return { ...report, outcome: 'imported' };
}

function required(subscriptionId: string | undefined): string {
  if (subscriptionId !== undefined && subscriptionId !== '') return subscriptionId;
  throw new Fault(
    'adopt/1',
    'No subscription to look into',
    'neither --subscription nor ARM_SUBSCRIPTION_ID names one',
    'Name it: az account show --query id.',
    { exitCode: 2 },
  );
}

/** @returns the lock that was broken */
async function unlocked(
  stack: Stack,
  azure: Azure,
  { environment, breakLock: id, confirm, reporter }: AdoptOptions,
): Promise<StateLock | undefined> {
  const lock = await stateLock(stack, azure);
  if (!lock) {
    if (id !== undefined) reporter.warn(`The state of ${environment} is not locked`);
    return undefined;
  }
  const held = describeLock(lock);
  if (lock.id !== id)
    throw new Fault(
      'adopt/2',
      `The state of ${environment} is ${held}`,
      id === undefined
        ? 'while that run works, what it makes is not in the state yet'
        : `--break-lock names ${id}, and its lock is ${lock.id}`,
      stack.backend.kind === 'local'
        ? `Wait for process ${lock.id}, or end it.`
        : `Wait for it. If it is dead: llama-db adopt ${environment} --break-lock ${lock.id}.`,
      { exitCode: 2 },
    );
  if (!(await confirm(`The state is ${held}. Break that lock?`)))
    throw new Fault(
      'adopt/3',
      `The state of ${environment} stays locked`,
      'breaking its lock was not confirmed',
      'Wait for the run that holds it.',
      { exitCode: 2 },
    );
  await breakLock(stack, azure, lock);
  reporter.line(`Broke the lock of ${lock.who}`);
  return lock;
}

function question({ adoptable, tainted }: Survey, apply: boolean): string {
  const parts = [
    ...(adoptable.length > 0
      ? [apply ? `import ${count(adoptable)} into the state` : `write import blocks for ${count(adoptable)}`]
      : []),
    ...(tainted.length > 0 ? [`keep ${count(tainted)} that would be replaced`] : []),
  ];
  const text = parts.join(' and ');
  return `${text[0]?.toUpperCase()}${text.slice(1)}?`;
}

function count(items: readonly unknown[]): string {
  return items.length === 1 ? '1 resource' : `${items.length} resources`;
}
