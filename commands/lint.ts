import { type Command, Option } from 'commander';
import type { Severity } from '../core/severity.ts';
import { withConnection } from '../database/connection.ts';
import { isAtLeast, lint } from '../database/migrator/lint/lint.ts';
import {
  documentRules,
  type LintFormat,
  lintFormats,
  listRules,
  renderLint,
  rulesDocument,
} from '../database/migrator/lint/report.ts';
import { selectFiles, selectPending } from '../database/migrator/lint/select.ts';
import { failOnOption, type MigrationsOptions, withMigrations } from './common/options.ts';
import { looking, print, printJson, reporterFor, targetOf } from './common/target.ts';

interface Options extends MigrationsOptions {
  readonly environment?: string;
  readonly format: LintFormat;
  readonly failOn: Severity;
  readonly rules?: boolean;
  readonly markdown?: boolean;
}

export function register(program: Command): void {
  withMigrations(program.command('lint'))
    .argument(
      '[files...]',
      'migration files; default: all files of the folder, or with a server those pending on it',
    )
    .description(
      'find statements in migrations that lock tables, lose data, break the application or open access; needs no server',
    )
    .option('--environment <name>', 'read tables and their sizes from this environment')
    .option('--url <url>', 'read tables and their sizes from this server')
    .option('--host-address <ip>', 'dial this address, for a tunnel')
    .option('--json', 'the same as --format json')
    .addOption(new Option('--format <format>', 'format of the output').choices(lintFormats).default('text'))
    .addOption(failOnOption('exit with 1 for findings of this severity or worse', 'medium'))
    .option('--rules', 'list the rules')
    .option('--markdown', 'with --rules: print the page docs/lint-rules.md')
    .addHelpText(
      'after',
      '\nA comment next to a statement accepts a finding: -- lint allow <rule>: <reason>\nExamples:\n  llama-db lint\n  llama-db lint migrations/0012_more.sql --url postgresql://…',
    )
    .action(async (files: string[], options: Options) => {
      if (options.rules) {
        if (options.markdown) process.stdout.write(documentRules());
        else if (options.json) printJson(rulesDocument());
        else process.stdout.write(listRules());
        return;
      }
      const format = options.json ? 'json' : options.format;
      const connected = options.environment !== undefined || options.url !== undefined;
      const result = await looking(async () => {
        if (!connected) return lint(selectFiles(files, options.migrations));
        const reporter = reporterFor({ json: format !== 'text' });
        const target = await targetOf(options.environment, options);
        const connect = {
          reporter,
          applicationName: 'llama-db lint',
          session: 'reading',
          acceptStandby: true,
        } as const;
        return lint(
          await withConnection(target, connect, (connection) =>
            selectPending(connection, files, options.migrations),
          ),
        );
      });
      const ok = !result.findings.some(({ severity }) => isAtLeast(severity, options.failOn));
      print(renderLint(result, format, ok));
      if (!ok) process.exitCode = 1;
    });
}
