/**
 * Recovers from an interrupted deployment. Azure then has resources that the state does not contain, and every further
 * deployment fails with "already exists" (docs/recovery.md).
 */

import { relative } from 'node:path';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { counted } from '../../core/text.ts';
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
  /** Import into the state now. Otherwise write import blocks for the next deployment. */
  readonly apply: boolean;
  /** Id of the lock to break first. @default - a lock stops the command */
  readonly breakLock?: string;
  /** Asked before anything is changed. */
  readonly confirm: (question: string) => Promise<boolean>;
  /** Receives the findings before the question. */
  readonly found: (report: AdoptReport) => void;
  readonly reporter: Reporter;
  /** @default - Azure as the signed-in identity sees it */
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
  /** `nothing` to do; `written` as import blocks; `imported` into the state; `declined` at the question. */
  readonly outcome: 'nothing' | 'written' | 'imported' | 'declined';
  /** File with the import blocks. */
  readonly file?: string;
}

/**
 * @throws Fault (exit 2) if stack, state or Azure cannot be read, or the state is locked
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
    // Terraform accepts one import block per resource, and the stack may have one of its own.
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
    'adopt/no-subscription',
    'No subscription to search',
    'neither --subscription nor ARM_SUBSCRIPTION_ID names one',
    'Set ARM_SUBSCRIPTION_ID to the id that `az account show --query id` prints.',
    { exitCode: 2 },
  );
}

/** @returns the broken lock, or undefined if there was none */
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
      'adopt/state-locked',
      `The state of ${environment} is ${held}`,
      id === undefined
        ? 'the resources that the run creates are not in the state yet'
        : `--break-lock names ${id}, but the lock is ${lock.id}`,
      stack.backend.kind === 'local'
        ? `Wait for process ${lock.id}, or end it.`
        : `Wait for the run. If it has died, run llama-db adopt ${environment} --break-lock ${lock.id}.`,
      { exitCode: 2 },
    );
  if (!(await confirm(`The state is ${held}. Break that lock?`)))
    throw new Fault(
      'adopt/lock-not-confirmed',
      `The state of ${environment} stays locked`,
      'breaking its lock was not confirmed',
      'Wait for the run that holds it, or confirm.',
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
    ...(tainted.length > 0 ? [`keep ${count(tainted)} that Terraform would replace`] : []),
  ];
  const text = parts.join(' and ');
  return `${text[0]?.toUpperCase()}${text.slice(1)}?`;
}

function count(items: readonly unknown[]): string {
  return counted(items.length, 'resource');
}
