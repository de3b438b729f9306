import { writeFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Severity } from '../core/severity.ts';
import { wrapped } from '../core/text.ts';
import { keptHeads } from '../database/audit/heads.ts';
import { type Group, groups } from '../verification/check.ts';
import { requireWritable } from '../verification/report/place.ts';
import { isGroup, verdictOf } from '../verification/verdict.ts';
import { type Format, formats, renderReport, verify } from '../verification/verify.ts';
import {
  failOnOption,
  lastEnvironment,
  type MigrationsOptions,
  seconds,
  withMigrations,
  withTarget,
} from './common/options.ts';
import { print, reporterFor, targetOf } from './common/target.ts';

interface Options extends MigrationsOptions {
  readonly format: Format;
  readonly output?: string;
  readonly failOn: Severity;
  readonly require: readonly Group[];
  readonly group?: readonly Group[];
  readonly only?: readonly string[];
  readonly all?: boolean;
  readonly timeLimit: number;
}

const listed = wrapped(`Groups: ${groups.join(', ')}.`, 80, 8);

export function register(program: Command): void {
  withMigrations(withTarget(program.command('verify')))
    .description('run the catalogue of checks against the database; changes nothing')
    .addOption(
      new Option('--format <format>', 'format of the report; --json is short for json')
        .choices(formats)
        .default('table'),
    )
    .option('--output <file>', 'write the report to a file, and the verdict to the terminal')
    .addOption(failOnOption('exit with 1 for findings of this severity or worse', 'high'))
    .option('--require <groups>', 'exit with 2 if a check of these groups is skipped', groupList, [])
    .option('--group <groups>', 'run only the checks of these groups', groupList)
    .option('--only <checks>', 'run only these checks, by id or name', checkList)
    .option('--all', 'describe passed and skipped checks too')
    .option('--time-limit <seconds>', 'end the run after this time', seconds, 300)
    .addHelpText(
      'after',
      `\n${listed}\nExamples:\n  llama-db verify ${lastEnvironment}\n  llama-db verify ${lastEnvironment} --format html --output report.html`,
    )
    .action(async (environment: string | undefined, options: Options) => {
      const format = options.json ? 'json' : options.format;
      if (options.output !== undefined) requireWritable(options.output);
      const target = await targetOf(environment, options);
      // A report on stdout must not be mixed with progress.
      const reporter = reporterFor({ json: format !== 'table' && options.output === undefined });
      const report = await verify(target, {
        reporter,
        migrationsDirectory: options.migrations,
        timeLimitSeconds: options.timeLimit,
        keptHeads: keptHeads(process.env),
        ...(options.group ? { groups: options.group } : {}),
        ...(options.only ? { only: options.only } : {}),
      });
      const verdict = verdictOf(report, options);
      const text = await renderReport(report, {
        format,
        target,
        verdict,
        all: options.all ?? false,
        colour: options.output === undefined && process.stdout.hasColors?.() === true,
        width: process.stdout.columns ?? 110,
      });
      const { exitCode, reasons } = verdict;
      // The table has colors of its own, and no control character of a name.
      if (options.output !== undefined) writeFileSync(options.output, text);
      else if (format === 'table') process.stdout.write(text);
      else print(text);
      if (format !== 'table' || options.output !== undefined || exitCode === 2) {
        const { passed, failed, skipped } = report.counts;
        reporter.line(`${passed} passed, ${failed} failed, ${skipped} skipped`);
        for (const reason of reasons) reporter.line(reason);
      }
      process.exitCode = exitCode;
    });
}

function groupList(text: string): readonly Group[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !isGroup(name));
  if (unknown.length > 0)
    throw new InvalidArgumentError(`Group ${unknown.join(', ')} does not exist. ${listed}`);
  return names.filter(isGroup);
}

function checkList(text: string): readonly string[] {
  return text.split(',').map((check) => check.trim());
}
