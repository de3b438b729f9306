import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { confirm } from './common/confirm.ts';
import { environmentArgument, jsonOption, lastEnvironment, subscriptionOption } from './common/options.ts';
import { print, printJson, reporterFor } from './common/target.ts';

interface Options {
  readonly subscription?: string;
  readonly apply?: true;
  readonly breakLock?: string;
  readonly yes?: true;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command('adopt')
    .argument('<environment>', `${environmentArgument}, synthesized in cdktf.out`)
    .description(
      'import into the state the resources that an interrupted deployment has left in Azure (docs/recovery.md)',
    )
    .addOption(subscriptionOption())
    .option('--apply', 'import into the state now; default: write import blocks for the next deployment')
    .option('--break-lock <id>', 'first break the state lock with this id; only if its run is dead')
    .option('--yes', 'do not ask for confirmation')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `\nChanges nothing in Azure except the lock.\nExamples:\n  llama-db adopt ${lastEnvironment}\n  llama-db adopt ${lastEnvironment} --break-lock 5f4e1c2a-… --yes`,
    )
    .action(async (environment: string, options: Options) => {
      const [{ adopt }, { renderOutcome, renderReport }] = await Promise.all([
        import('../pipeline/adopt/adopt.ts'),
        import('../pipeline/adopt/report.ts'),
      ]);
      const reporter = reporterFor(options);
      const result = await adopt({
        environment,
        output: process.env['CDKTF_OUTDIR'] ?? fileURLToPath(new URL('../cdktf.out', import.meta.url)),
        subscriptionId: options.subscription ?? process.env['ARM_SUBSCRIPTION_ID'],
        apply: options.apply === true,
        ...(options.breakLock === undefined ? {} : { breakLock: options.breakLock }),
        confirm: (question) => (options.yes ? Promise.resolve(true) : confirm(question)),
        found: (report) => {
          if (!options.json) print(renderReport(report));
        },
        reporter,
      });
      const outcome = renderOutcome(result);
      if (options.json) printJson(result);
      else if (outcome !== undefined) reporter.line(outcome);
      // Orphans are reported but do not fail the command: they may belong to another deployment.
      const settled = result.outcome !== 'declined' && result.obstacles.length === 0;
      process.exitCode = settled ? 0 : 1;
    });
}
