import type { Command } from 'commander';
import { Fault } from '../core/fault.ts';
import { counted } from '../core/text.ts';
import { eraseTenantData } from '../database/erasure/erase.ts';
import { erasuresVariable, keptErasures } from '../database/erasure/list.ts';
import { eraseTenant } from '../database/keys/erase.ts';
import {
  type LockWaitOptions,
  lastEnvironment,
  lockWaitOption,
  type TargetOptions,
  wholeNumber,
  withTarget,
} from './common/options.ts';
import { printJson, reporterFor, targetOf } from './common/target.ts';

interface Options extends TargetOptions, LockWaitOptions {
  readonly tenant?: string;
  readonly confirm?: string;
  readonly again?: string;
  readonly batchSize: number;
  readonly rewrite?: boolean;
}

export function register(program: Command): void {
  withTarget(program.command('erase'))
    .description(
      'remove a tenant: destroy its data keys, delete its rows, and remove their copies from the audit trail (docs/erasure.md)',
    )
    .option('--tenant <id>', 'whom to erase; stop its application first')
    .option('--confirm <id>', "the tenant's id once more")
    .option(
      '--again <file>',
      `after a restore: repeat the erasures of the file that ${erasuresVariable} named`,
    )
    .option('--batch-size <rows>', 'rows deleted in one transaction', wholeNumber, 1000)
    .option('--rewrite', 'rewrite the tables, which blocks them, so that free space holds no bytes either')
    .addOption(lockWaitOption())
    .addHelpText('after', `\nExample: llama-db erase ${lastEnvironment} --tenant acme --confirm acme`)
    .action(async (environment: string | undefined, options: Options, command: Command) => {
      if ((options.tenant === undefined) === (options.again === undefined)) {
        command.error('error: give either --tenant or --again', { exitCode: 2 });
      }
      const { tenant, again, confirm, batchSize, rewrite = false, lockWait: lockWaitSeconds } = options;
      const reporter = reporterFor(options);
      const common = { reporter, batchSize, rewrite, lockWaitSeconds };
      const listed = again === undefined ? [] : keptErasures(again);
      const target = await targetOf(environment, options);
      if (tenant !== undefined) {
        const done = await eraseTenantData(target, { ...common, tenant, confirm, env: process.env });
        if (options.json) printJson({ ...done, ok: done.statistics.length === 0 });
        if (done.statistics.length > 0) process.exitCode = 1;
        return;
      }
      const failures: string[] = [];
      const lastTenant = listed.findLastIndex(({ scope }) => scope === 'tenant');
      for (const [place, { tenant: id, scope }] of listed.entries()) {
        try {
          if (scope === 'keys') await eraseTenant(target, { ...common, tenant: id, confirm: id });
          else
            await eraseTenantData(target, {
              ...common,
              tenant: id,
              confirm: id,
              upkeep: place === lastTenant,
            });
        } catch (error) {
          if (!(error instanceof Fault)) throw error;
          // The restored database may be older than the tenant's first key.
          if (error.code === 'keys/tenant-unknown') continue;
          failures.push(id);
          reporter.warn(error.message);
        }
      }
      const erased = listed.length - failures.length;
      reporter.line(`Repeated ${counted(erased, 'erasure')} of ${listed.length}`);
      if (options.json) printJson({ erased, failures, ok: failures.length === 0 });
      if (failures.length > 0) process.exitCode = 1;
    });
}
