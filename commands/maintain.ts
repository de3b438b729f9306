import type { Command } from 'commander';
import { maintain } from '../database/maintain/maintain.ts';
import {
  printJson,
  reporterFor,
  type TargetOptions,
  targetOf,
  wholeNumber,
  withTarget,
} from './common/target.ts';

interface Options extends TargetOptions {
  readonly lockWait: number;
  readonly detachWait: number;
  readonly keepDetached?: boolean;
}

export function register(program: Command): void {
  withTarget(program.command('maintain'))
    .description(
      'make partitions for months ahead, remove what is past its retention, refresh statistics and summary; run it daily',
    )
    .option(
      '--keep-detached',
      'leave detached partitions as tables of their own: their data outlives its retention',
    )
    .option(
      '--detach-wait <seconds>',
      'how long one detach may wait for older transactions; 0 has no limit',
      wholeNumber,
      3600,
    )
    .option('--lock-wait <seconds>', 'how long to wait for another run', wholeNumber, 60)
    .addHelpText('after', '\nExample: llama-db maintain production')
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
