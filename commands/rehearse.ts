import type { Command } from 'commander';
import { holdSandbox, interruptible, terminal } from '../rehearsal/terminal.ts';
import { environmentArgument, jsonOption, lastEnvironment } from './common/options.ts';
import { printJson } from './common/target.ts';

interface Options {
  readonly scenario?: string;
  readonly list?: boolean;
  readonly all?: boolean;
  readonly quick?: boolean;
  readonly keep?: boolean;
  readonly report?: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command('rehearse')
    .description(
      'deploy an environment to a local Azure with the real Terraform and azurerm, and draw a timeline',
    )
    .argument('[environment]', environmentArgument, lastEnvironment)
    .option('--scenario <name>', 'run this scenario after the first deployment')
    .option('--list', 'describe each scenario')
    .option('--all', 'run every scenario of the environment, each on a copy of one deployment')
    .option('--quick', 'leave out metric alerts and locks, which azurerm polls for two minutes each')
    .option('--keep', 'leave everything up until Ctrl-C, and print how to use terraform and psql on it')
    .option(
      '--report <file>',
      'file of the page with the picture; with --all one file per scenario, <file>-<scenario>',
    )
    .option('--verbose', 'print everything that cdktf and Terraform write')
    .addOption(jsonOption())
    .addHelpText('after', `\nExample: llama-db rehearse ${lastEnvironment} --quick`)
    .action(async (environment: string, { list, keep, json, ...options }: Options) => {
      const { describeScenarios, rehearse } = await import('../rehearsal/rehearse.ts');
      if (list) return void process.stdout.write(await describeScenarios());
      const screen = terminal(json ? process.stderr : process.stdout);
      await interruptible(async (signal) => {
        const hold = keep ? holdSandbox(screen.log, signal, options.quick) : undefined;
        const done = await rehearse({ environment, ...options, ...screen, signal, hold });
        if (json) printJson({ environment, rehearsed: done });
      });
    });
}
