import { type Command, InvalidArgumentError } from 'commander';
import { interruptible } from '../core/interrupts.ts';
import { messageOf } from '../core/text.ts';
import { faultKind, faultKinds } from '../rehearsal/faults/fault-kinds.ts';
import { terminal } from '../rehearsal/terminal.ts';
import { environmentArgument, firstEnvironment, jsonOption } from './common/options.ts';
import { printJson } from './common/target.ts';

interface Options {
  readonly fault?: readonly string[];
  readonly only?: string;
  readonly resume?: boolean;
  readonly complete?: boolean;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command('rehearse-faults')
    .description(
      'make every operation of a deployment fail once in every way, and see each deployment converge',
    )
    .argument('<environment>', environmentArgument)
    .option(
      '--fault <names>',
      `kinds of faults, separated by commas: ${faultKinds.map(({ name }) => name).join(', ')}; default: all`,
      faultList,
    )
    .option('--only <pattern>', 'operations that match this regular expression, as the table names them')
    .option(
      '--resume',
      'leave out the cases that an earlier run has recorded in tmp/faults-<environment>.jsonl',
    )
    .option('--complete', 'include metric alerts and locks, which azurerm polls for two minutes each')
    .addOption(jsonOption())
    .addHelpText('after', `\nExample: llama-db rehearse-faults ${firstEnvironment} --fault kill-middle,lost`)
    .action(async (environment: string, { fault, json, ...options }: Options) => {
      const { rehearseFaults } = await import('../rehearsal/faults/rehearse-faults.ts');
      const { log } = terminal(json ? process.stderr : process.stdout);
      await interruptible(async (signal) => {
        const found = await rehearseFaults({
          environment,
          ...options,
          ...(fault ? { faults: fault } : {}),
          signal,
          log,
        });
        if (json) printJson({ environment, ...found, ok: found.problems.length === 0 });
        if (found.problems.length > 0) process.exitCode = 1;
      });
    });
}

function faultList(text: string): readonly string[] {
  return text.split(',').map((name) => {
    try {
      return faultKind(name.trim()).name;
    } catch (error) {
      throw new InvalidArgumentError(messageOf(error));
    }
  });
}
