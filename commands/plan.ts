import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { Fault } from '../core/fault.ts';
import { messageOf } from '../core/text.ts';
import { environmentArgument, jsonOption } from './common/options.ts';
import { print, printJson } from './common/target.ts';

interface Options {
  readonly plan?: string;
  readonly waivers: string;
  readonly json?: boolean;
}

/** Status of every failure: 2 and 3 are results of this command. */
export const failureStatus = 1;

const waiversFile = fileURLToPath(new URL('../environments/waivers.json', import.meta.url));

export function register(program: Command): void {
  program
    .command('plan')
    .argument('[environment]', environmentArgument)
    .description(
      'report what a plan does to the database, and refuse destructive, weakening and unknown changes (docs/reviewing.md)',
    )
    .option('--plan <file>', 'judge this output of terraform show -json; needs no Azure and no Terraform')
    .option('--waivers <file>', 'accepted changes', waiversFile)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExit status of this command: 0 nothing changes; 1 error; 2 changes; 3 refused.\nExamples:\n  llama-db plan production\n  llama-db plan production --plan plan.json',
    )
    .action(run);
}

async function run(environment: string | undefined, options: Options): Promise<void> {
  const [{ guard }, { renderText }, { readWaivers }] = await Promise.all([
    import('../pipeline/plan/guard.ts'),
    import('../pipeline/plan/report/text.ts'),
    import('../pipeline/plan/waivers.ts'),
  ]);
  const report = guard(textOf(options.plan ?? ''), {
    environment: environment ?? 'plan',
    isProtected: environment === undefined || (await isProtected(environment)),
    waivers: readWaivers(options.waivers),
    now: new Date(),
  });
  if (options.json) printJson({ ok: report.exitCode !== 3, ...report });
  else print(renderText(report));
  process.exitCode = report.exitCode;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Fault(
      'plan/file-unreadable',
      `Plan ${file}`,
      messageOf(error),
      'Name the output of terraform show -json.',
    );
  }
}

async function isProtected(environment: string): Promise<boolean> {
  const { environments } = await import('../environments/index.ts');
  const { isProtected: protects } = await import('../environments/rule.ts');
  return protects(environments.named(environment));
}
