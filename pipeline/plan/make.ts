/** Plans a synthesized stack with Terraform, as the plan identity may: it takes no lease on the state. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { step } from '../../core/report.ts';
import { runTerraform } from '../../core/terraform.ts';

export interface MakePlanOptions {
  /** Folder of the synthesized stack. */
  readonly directory: string;
  readonly reporter: Reporter;
  /** Keeps the binary plan, which holds the state, in this file. @default - it is removed */
  readonly file?: string;
  /** A way to do without Terraform, appended to the remedy: `or give --plan <file>`. @default - none */
  readonly alternative?: string;
  /** Only compares the state with Azure, and plans no change. @default false */
  readonly refreshOnly?: boolean;
}

/**
 * @returns the output of `terraform show -json` of a new plan
 * @throws Fault `terraform/…` if Terraform is missing or does not plan
 */
export async function makePlan(options: MakePlanOptions): Promise<string> {
  const { directory, reporter, refreshOnly = false, alternative } = options;
  const or = alternative === undefined ? {} : { alternative };
  const run = (purpose: string, ...parameters: string[]) =>
    runTerraform({ directory, parameters, purpose, exitCode: 1, ...or });
  const folder = await mkdtemp(join(tmpdir(), 'llama-plan-'));
  try {
    const file = options.file ?? join(folder, 'plan');
    await initialise(options);
    return await step(
      reporter,
      async () => {
        const kind = refreshOnly ? ['-refresh-only'] : [];
        await run(
          'plan the stack',
          'plan',
          '-input=false',
          '-no-color',
          '-lock=false',
          ...kind,
          `-out=${file}`,
        );
        return run('print the plan', 'show', '-json', file);
      },
      () => (refreshOnly ? 'Compared the state with Azure' : 'Planned the stack'),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Initialises a synthesized stack in a checkout that may be new.
 *
 * @throws Fault `terraform/…`, `plan/provider-unlisted`
 */
export async function initialise({
  directory,
  reporter,
  alternative,
}: Pick<MakePlanOptions, 'directory' | 'reporter' | 'alternative'>): Promise<void> {
  const or = alternative === undefined ? {} : { alternative };
  const parameters = ['init', '-input=false', '-no-color'];
  const run = { directory, parameters, purpose: 'initialise the stack', exitCode: 1, ...or };
  await step(
    reporter,
    () => runTerraform(run),
    () => 'Initialised the stack',
  );
  await refuseOtherProviders(directory);
}

/** A plan runs the code of its providers with the access of the plan identity, so their list is closed. */
const providers: readonly string[] = ['registry.terraform.io/hashicorp/azurerm'];

/** @throws Fault `plan/provider-unlisted` before any provider has run */
async function refuseOtherProviders(directory: string): Promise<void> {
  const lock = await readFile(join(directory, '.terraform.lock.hcl'), 'utf8').catch(() => '');
  const other = [...lock.matchAll(/^provider "([^"]+)"/gm)].flatMap(([, name = '']) =>
    providers.includes(name) ? [] : [name],
  );
  if (other.length === 0) return;
  throw new Fault(
    'plan/provider-unlisted',
    `The stack needs ${other.join(', ')}`,
    `a plan runs its providers with the access of this identity, and pipeline/plan/make.ts lists ${providers.join(', ')}`,
    'Take the provider out of the stack, or review it and add it to the list.',
  );
}
