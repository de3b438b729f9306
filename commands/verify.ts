import { writeFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Severity, severities } from '../core/severity.ts';
import { type Group, groups } from '../verification/check.ts';
import { requireWritable } from '../verification/report/place.ts';
import { isGroup, verdictOf } from '../verification/verdict.ts';
import { type Format, formats, renderReport, verify } from '../verification/verify.ts';
import {
  type MigrationsOptions,
  reporterFor,
  targetOf,
  wholeNumber,
  withMigrations,
  withTarget,
} from './common/target.ts';

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

const listed = `Groups: ${groups.join(', ')}.`;

export function register(program: Command): void {
  withMigrations(withTarget(program.command('verify')))
    .description('prove that the database is closed, audited and in order; changes nothing')
    .addOption(
      new Option('--format <format>', 'how to print the report; --json is the same as json')
        .choices(formats)
        .default('table'),
    )
    .option('--output <file>', 'write the report there, and the verdict to the terminal')
    .addOption(
      new Option('--fail-on <severity>', 'findings from this severity on exit with 1')
        .choices(severities)
        .default('high'),
    )
    .option('--require <groups>', 'exit with 2 when a check of these groups was skipped', groupList, [])
    .option('--group <groups>', 'run the checks of these groups only', groupList)
    .option('--only <checks>', 'run these checks only, by id or name', checkList)
    .option('--all', 'name what passed too')
    .option('--time-limit <seconds>', 'give up on a database that takes longer', wholeNumber, 300)
    .addHelpText(
      'after',
      `\n${listed}\nExamples:\n  llama-db verify production\n  llama-db verify production --require isolation,audit --format html --output report.html`,
    )
    .action(async (environment: string | undefined, options: Options) => {
      const format = options.json ? 'json' : options.format;
      if (options.output !== undefined) requireWritable(options.output);
      const target = await targetOf(environment, options);
      // Progress must not stand among what a machine reads.
      const reporter = reporterFor({ json: format !== 'table' && options.output === undefined });
      const report = await verify(target, {
        reporter,
        migrationsDirectory: options.migrations,
        timeLimitSeconds: options.timeLimit,
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
      if (options.output === undefined) process.stdout.write(text);
      else writeFileSync(options.output, text);
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
    throw new InvalidArgumentError(`There is no group ${unknown.join(', ')}. ${listed}`);
  return names.filter(isGroup);
}

function checkList(text: string): readonly string[] {
  return text.split(',').map((check) => check.trim());
}
