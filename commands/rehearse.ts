import type { Command } from 'commander';
import { holdStage, interruptible, terminal } from '../rehearsal/terminal.ts';
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
      'deploy an environment to a local Azure with the real Terraform and azurerm, and show what happens',
    )
    .argument('[environment]', 'name of an environment in environments/', 'production')
    .option('--scenario <name>', 'play this scenario after the first deployment')
    .option('--list', 'say what each scenario shows')
    .option('--all', 'play every scenario of the environment, each on a copy of one deployment')
    .option('--quick', 'leave out metric alerts and locks, which azurerm watches for two minutes each')
    .option('--keep', 'leave everything up until Ctrl-C, and say how to use terraform and psql on it')
    .option(
      '--report <file>',
      'where to write the page with the picture; with --all one file a scenario, file-<scenario>',
    )
    .option('--verbose', 'show everything that cdktf and Terraform write')
    .option('--json', 'print the result as JSON on stdout, progress on stderr')
    .addHelpText('after', '\nExample: llama-db rehearse production --quick')
    .action(async (environment: string, { list, keep, json, ...options }: Options) => {
      const { describeScenarios, rehearse } = await import('../rehearsal/rehearse.ts');
      if (list) return void process.stdout.write(await describeScenarios());
      const screen = terminal(json ? process.stderr : process.stdout);
      await interruptible(async (signal) => {
        const hold = keep ? holdStage(screen.say, signal) : undefined;
        const done = await rehearse({ environment, ...options, ...screen, signal, hold });
        if (json) printJson({ environment, rehearsed: done });
      });
    });
}
