import type { Command } from 'commander';
import { Fault } from '../core/fault.ts';
import { environmentArgument, jsonOption, lastEnvironment } from './common/options.ts';
import { placeOf } from './common/releasing.ts';
import { print, printJson, reporterFor } from './common/target.ts';

/** Status of every failure: 2 is a result of this command. */
export const failureStatus = 1;

export function register(program: Command): void {
  program
    .command('drift')
    .argument('<environment>', environmentArgument)
    .description(
      'compare Azure with the state, and the database with its release; changes neither (docs/promoting.md)',
    )
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `\nExit status: 0 nothing differs; 1 an error, or something could not be compared; 2 something differs.\nExample: llama-db drift ${lastEnvironment}`,
    )
    .action(run);
}

async function run(environment: string, options: { readonly json?: boolean }): Promise<void> {
  const [
    { readFile },
    { join },
    { driftOf },
    { renderDrift },
    { makePlan },
    { synthesizeApp },
    { readAt },
    place,
  ] = await Promise.all([
    import('node:fs/promises'),
    import('node:path'),
    import('../pipeline/drift/drift.ts'),
    import('../pipeline/drift/report.ts'),
    import('../pipeline/plan/make.ts'),
    import('../pipeline/release/stack.ts'),
    import('./common/released.ts'),
    placeOf(environment),
  ]);
  const reporter = reporterFor({ json: true });
  const directory = await synthesizeApp(place);
  const plan = await makePlan({ directory, reporter, refreshOnly: true });
  const stack = await readFile(join(directory, 'cdk.tf.json'), 'utf8');
  const report = await readAt(environment, reporter, { plan, stack, kind: 'refresh' }).then(
    ({ drift }) => drift,
    (error: unknown) => {
      if (!(error instanceof Fault)) throw error;
      return driftOf({
        environment,
        plan,
        stack,
        unread: [`the database: ${error.message} [${error.code}]`],
      });
    },
  );
  if (options.json) printJson({ ok: report.exitCode === 0, ...report });
  else print(renderDrift(report));
  process.exitCode = report.exitCode;
}
