/** Plans a synthesized stack with Terraform, as the plan identity may: it takes no lease on the state. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Reporter } from '../../core/report.ts';
import { step } from '../../core/report.ts';
import { runTerraform } from '../../core/terraform.ts';

export interface MakePlanOptions {
  /** Folder of the synthesized stack. */
  readonly directory: string;
  readonly reporter: Reporter;
}

/**
 * @returns the output of `terraform show -json` of a new plan. The binary plan, which holds the state, is removed.
 * @throws Fault `terraform/…` if Terraform is missing or does not plan
 */
export async function makePlan({ directory, reporter }: MakePlanOptions): Promise<string> {
  const run = (purpose: string, ...parameters: string[]) =>
    runTerraform({ directory, parameters, purpose, exitCode: 1, alternative: 'or give --plan <file>' });
  const folder = await mkdtemp(join(tmpdir(), 'llama-plan-'));
  try {
    const file = join(folder, 'plan');
    await step(
      reporter,
      () => run('initialise the stack', 'init', '-input=false', '-no-color'),
      () => 'Initialised the stack',
    );
    return await step(
      reporter,
      async () => {
        await run('plan the stack', 'plan', '-input=false', '-no-color', '-lock=false', `-out=${file}`);
        return run('print the plan', 'show', '-json', file);
      },
      () => 'Planned the stack',
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
