import type { Command } from 'commander';
import { maintain } from '../database/maintain/maintain.ts';
import {
  type LockWaitOptions,
  lastEnvironment,
  lockWaitOption,
  seconds,
  type TargetOptions,
  withTarget,
} from './common/options.ts';
import { printJson, reporterFor, targetOf } from './common/target.ts';

interface Options extends TargetOptions, LockWaitOptions {
  readonly detachWait: number;
  readonly keepDetached?: boolean;
}

export function register(program: Command): void {
  withTarget(program.command('maintain'))
    .description(
      'create partitions for the months ahead, remove data past its retention, refresh statistics and summary; run it daily',
    )
    .option(
      '--keep-detached',
      'keep detached partitions as tables of their own, so that their data outlives its retention',
    )
    .option(
      '--detach-wait <seconds>',
      'how long one detach may wait for older transactions; 0 means no limit',
      seconds,
      3600,
    )
    .addOption(lockWaitOption())
    .addHelpText('after', `\nExample: llama-db maintain ${lastEnvironment}`)
    .action(async (environment: string | undefined, options: Options) => {
      const { keepDetached = false, detachWait: detachWaitSeconds, lockWait: lockWaitSeconds } = options;
      const done = await maintain(await targetOf(environment, options), {
        reporter: reporterFor(options),
        keepDetached,
        detachWaitSeconds,
        lockWaitSeconds,
      });
      if (options.json) printJson(done);
    });
}
