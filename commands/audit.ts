import type { Command } from 'commander';
import { counted } from '../core/text.ts';
import { auditDocument, describeTrail } from '../database/audit/describe.ts';
import { headsVariable, keptHeads, parseMoment, type RecordedHead } from '../database/audit/heads.ts';
import { logHead, readLoggedHeads } from '../database/audit/logged-heads.ts';
import {
  formatHead,
  headOfDeployment,
  parseHead,
  readHead,
  readingTrail,
  seal,
} from '../database/audit/seals.ts';
import { verifyTrail } from '../database/audit/verify.ts';
import { withConnection } from '../database/connection.ts';
import { firstEnvironment, lastEnvironment, type TargetOptions, withTarget } from './common/options.ts';
import { looking, print, printJson, reporterFor, targetOf } from './common/target.ts';

interface VerifyOptions extends TargetOptions {
  readonly expect?: string;
  readonly restoredTo?: string;
}

export function register(program: Command): void {
  const audit = program
    .command('audit')
    .description('check the sealed audit trail, print its head, or seal it');

  withTarget(audit.command('verify'))
    .description('recompute the chain of seals from the rows; exit 1 if a row or a seal was tampered with')
    .option(
      '--expect <number:hash>',
      `an earlier head, stored elsewhere, that the chain must still contain, beside those of the releases and of the file that ${headsVariable} names`,
    )
    .option(
      '--restored-to <time>',
      'the database was restored to this moment: heads that were recorded later, or at an unknown time, may be missing',
    )
    .addHelpText('after', `\nExample: llama-db audit verify ${lastEnvironment} --expect 4711:9f86d081…`)
    .action(async (environment: string | undefined, options: VerifyOptions) => {
      const asked =
        options.expect === undefined ? [] : [{ ...parseHead(options.expect), origin: '--expect' }];
      const restoredTo = options.restoredTo === undefined ? undefined : parseMoment(options.restoredTo);
      const after = (head: RecordedHead) => (restoredTo ? { ...head, restoredTo } : head);
      const expected = [...asked, ...keptHeads(process.env)].map(after);
      const reporter = reporterFor(options);
      const { target, trail } = await looking(async () => {
        const target = await targetOf(environment, options);
        const logged = await readLoggedHeads(target.deployment);
        if ('unreadable' in logged)
          reporter.line(`Heads of the server log: not compared, ${logged.unreadable}`);
        const more = 'value' in logged ? logged.value.map(after) : [];
        return { target, trail: await verifyTrail(target, { reporter, expected: [...expected, ...more] }) };
      });
      for (const line of describeTrail(trail)) reporter.line(line);
      if (options.json) {
        printJson(auditDocument(trail, target.environment));
      }
      if (trail.findings.length > 0) process.exitCode = 1;
    });

  withTarget(audit.command('head'))
    .description('print number:hash of the newest seal, unchecked, so that it can be stored elsewhere')
    .addHelpText('after', `\nExample: llama-db audit head ${lastEnvironment} >> heads.txt`)
    .action(async (environment: string | undefined, options: TargetOptions) => {
      const reporter = reporterFor({ json: true });
      const connect = {
        reporter,
        applicationName: 'llama-db audit',
        session: 'reading',
        acceptStandby: true,
      } as const;
      const head = await looking(async () =>
        withConnection(await targetOf(environment, options), connect, (connection) =>
          readingTrail(connection, () => readHead(connection.client)),
        ),
      );
      if (options.json) printJson({ head: head ?? null });
      else if (head) print(`${formatHead(head)}\n`);
      else reporter.warn('No row is sealed yet');
    });

  withTarget(audit.command('seal'))
    .description('seal the rows that can be sealed now, as pg_cron does every minute on Azure')
    .addHelpText('after', `\nExample: llama-db audit seal ${firstEnvironment}`)
    .action(async (environment: string | undefined, options: TargetOptions) => {
      const reporter = reporterFor(options);
      const connect = { reporter, applicationName: 'llama-db audit', session: 'maintenance' } as const;
      const sealed = await withConnection(
        await targetOf(environment, options),
        connect,
        async (connection) => {
          const rows = await seal(connection);
          const head = await headOfDeployment(connection);
          if (head) await logHead(connection, head);
          return rows;
        },
      );
      reporter.line(`${counted(sealed, 'row')} sealed`);
      if (options.json) printJson({ sealed });
    });
}
