import type { Command } from 'commander';
import { jsonOption, wholeNumber } from './common/options.ts';
import { printJson } from './common/target.ts';

interface Options {
  readonly check?: boolean;
  readonly json?: boolean;
  readonly list?: boolean;
  readonly rounds?: number;
}

export function register(program: Command): void {
  program
    .command('bench')
    .argument('[case]', 'a benchmark of benchmarks/cases/; default: all')
    .description('measure this project on this machine (docs/contributing.md)')
    .option('--check', 'exit 1 if a figure violates its limit in benchmarks/limits.json')
    .option('--list', 'describe each benchmark')
    .option('--rounds <number>', "number of rounds; default: each benchmark's own", wholeNumber)
    .addOption(jsonOption())
    .addHelpText('after', '\nExample: llama-db bench post-deploy --check')
    .action(async (name: string | undefined, options: Options) => {
      const { benchmarkNamed, benchmarks, format, limits, violations } = await import(
        '../benchmarks/benchmark.ts'
      );
      const { circumstances } = await import('../benchmarks/machine.ts');
      const stream = options.json ? process.stderr : process.stdout;
      const log = (line: string) => void stream.write(`${line}\n`);
      const chosen = name === undefined ? await benchmarks() : [await benchmarkNamed(name)];
      if (options.list) {
        for (const one of chosen) log(`${one.name.padEnd(14)}${one.description}`);
        return;
      }
      const limitsOfAll = await limits();
      const results: object[] = [];
      const broken: string[] = [];
      for (const one of chosen) {
        const before = circumstances();
        log(`${one.name}: ${one.description}`);
        const rounds = options.rounds ?? one.rounds;
        const measured = await one.run({ rounds, log: (line) => log(`  ${line}`) });
        for (const [figure, value] of Object.entries(measured.figures))
          log(`  ${`${figure} `.padEnd(40)}${format(value)}`);
        broken.push(...violations(one.name, measured, limitsOfAll));
        results.push({ name: one.name, rounds, ...measured, ...before });
      }
      for (const line of broken) log(`LIMIT: ${line}`);
      const ok = broken.length === 0;
      if (options.json) printJson({ ok, results, violations: broken });
      if (options.check && !ok) process.exitCode = 1;
    });
}
