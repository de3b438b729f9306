import type { Command } from 'commander';
import type { Target } from '../database/target.ts';
import type { WrappingKey } from '../runtime/encryption/wrapping-key.ts';
import {
  collected,
  type LockWaitOptions,
  lastEnvironment,
  lockWaitOption,
  seconds,
  type TargetOptions,
  wholeNumber,
  withTarget,
} from './common/options.ts';
import { looking, print, printJson, reporterFor, targetOf } from './common/target.ts';

interface Options extends TargetOptions {
  readonly wrappingKey?: string;
  readonly maxAge: number;
}

interface RewrapOptions extends Options, LockWaitOptions {
  readonly from: readonly string[];
}

interface RotateOptions extends Options, LockWaitOptions {
  readonly tenant?: string;
  readonly all?: boolean;
  readonly batchSize: number;
  readonly seconds: number;
  readonly grace: number;
}

interface EraseOptions extends TargetOptions, LockWaitOptions {
  readonly tenant: string;
  readonly confirm?: string;
}

export function register(program: Command): void {
  const keys = program
    .command('keys')
    .description("tenants' data keys: what wraps them, new ones, and their end (docs/encryption.md)");
  registerStatus(keys);
  registerRewrap(keys);
  registerRotate(keys);
  registerErase(keys);
}

function registerStatus(keys: Command): void {
  withAge(withWrappingKey(keys.command('status')))
    .description(
      'count keys by state and by the version that wraps them, and say what is due; exit 1 when something is',
    )
    .option('--offline', 'do not ask the wrapping key for its newest version')
    .addHelpText('after', `\nExample: llama-db keys status ${lastEnvironment} --json`)
    .action(async (environment: string | undefined, options: Options & { readonly offline?: boolean }) => {
      const { describeKeys, isDue, keysStatus } = await import('../database/keys/status.ts');
      const status = await looking(async () => {
        const target = await targetOf(environment, options);
        const wrapping = options.offline ? undefined : await wrappingOf(target, options);
        return keysStatus(target, {
          reporter: reporterFor(options),
          maxKeyAgeDays: options.maxAge,
          ...(wrapping ? { wrapping } : {}),
        });
      });
      if (options.json) printJson({ ...status, ok: !isDue(status) });
      else print(`${describeKeys(status)}\n`);
      if (isDue(status)) process.exitCode = 1;
    });
}

function registerRewrap(keys: Command): void {
  withWrappingKey(keys.command('rewrap'))
    .addOption(lockWaitOption())
    .description('wrap every data key with the newest version of the wrapping key; no value is touched')
    .option(
      '--from <key>',
      'another wrapping key that data keys are moved away from; may be repeated',
      collected,
      [],
    )
    .addHelpText('after', `\nExample: llama-db keys rewrap ${lastEnvironment}`)
    .action(async (environment: string | undefined, options: RewrapOptions) => {
      const { rewrap } = await import('../database/keys/rewrap.ts');
      const { wrappingKeyNamed } = await import('../database/keys/keeper.ts');
      const target = await targetOf(environment, options);
      const done = await rewrap(target, {
        reporter: reporterFor(options),
        wrapping: await wrappingOf(target, options),
        from: options.from.map(wrappingKeyNamed),
        lockWaitSeconds: options.lockWait,
      });
      finish(done, options);
    });
}

function registerRotate(keys: Command): void {
  withAge(withWrappingKey(keys.command('rotate')))
    .addOption(lockWaitOption())
    .description(
      'replace data keys that are due, encrypt their values again, retire and destroy keys that nothing names; exit 1 when something was left undone',
    )
    .option('--tenant <id>', 'replace the key of this tenant now, whatever its age')
    .option('--all', "replace every tenant's key now")
    .option('--batch-size <records>', 'records encrypted again in one transaction', wholeNumber, 500)
    .option('--seconds <seconds>', 'begin no batch after these; the next run goes on', seconds, 900)
    .option('--grace <seconds>', "how long applications' caches may still use a replaced key", seconds, 900)
    .addHelpText('after', `\nExample: llama-db keys rotate ${lastEnvironment} --tenant acme`)
    .action(async (environment: string | undefined, options: RotateOptions) => {
      const { rotate } = await import('../database/keys/rotate.ts');
      const target = await targetOf(environment, options);
      const done = await rotate(target, {
        reporter: reporterFor(options),
        wrapping: await wrappingOf(target, options),
        ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
        all: options.all ?? false,
        maxKeyAgeDays: options.maxAge,
        batchSize: options.batchSize,
        seconds: options.seconds,
        graceSeconds: options.grace,
        lockWaitSeconds: options.lockWait,
      });
      finish(done, options);
    });
}

function registerErase(keys: Command): void {
  withTarget(keys.command('erase'))
    .addOption(lockWaitOption())
    .description('destroy the data keys of a tenant: what was encrypted for it can never be read again')
    .requiredOption('--tenant <id>', 'whom to erase')
    .option('--confirm <id>', "the tenant's id once more")
    .addHelpText('after', `\nExample: llama-db keys erase ${lastEnvironment} --tenant acme --confirm acme`)
    .action(async (environment: string | undefined, options: EraseOptions) => {
      const { eraseTenant } = await import('../database/keys/erase.ts');
      const { keepErasure } = await import('../database/erasure/list.ts');
      const done = await eraseTenant(await targetOf(environment, options), {
        reporter: reporterFor(options),
        tenant: options.tenant,
        confirm: options.confirm,
        lockWaitSeconds: options.lockWait,
      });
      keepErasure(process.env, options.tenant, 'keys');
      if (options.json) printJson(done);
    });
}

/** Failures were reported as they came. */
function finish(done: { readonly failures: readonly unknown[] }, options: TargetOptions): void {
  const ok = done.failures.length === 0;
  if (options.json) printJson({ ...done, ok });
  if (!ok) process.exitCode = 1;
}

function withWrappingKey(command: Command): Command {
  return withTarget(command).option(
    '--wrapping-key <key>',
    "Key Vault key without a version, or local:<file>; else the deployment's, else LLAMA_DB_WRAPPING_KEY",
  );
}

function withAge(command: Command): Command {
  return command.option('--max-age <days>', 'days after which a data key is due', wholeNumber, 365);
}

async function wrappingOf(target: Target, options: Options): Promise<WrappingKey> {
  const { wrappingKeyFor } = await import('../database/keys/keeper.ts');
  return wrappingKeyFor(target, options.wrappingKey, process.env);
}
