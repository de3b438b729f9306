import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { Fault } from '../core/fault.ts';
import { interruptible } from '../core/interrupts.ts';
import { messageOf } from '../core/text.ts';
import { terminal } from '../rehearsal/terminal.ts';
import { environmentArgument, jsonOption, lastEnvironment, wholeNumber } from './common/options.ts';
import { print, printJson } from './common/target.ts';

interface Options {
  readonly from: string;
  readonly rows?: number;
  readonly complete?: boolean;
  readonly out?: string;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command('preview')
    .description(
      'deploy a git ref to a local Azure and this checkout on top of it, and report what a client notices (docs/reviewing.md)',
    )
    .argument('<environment>', environmentArgument)
    .requiredOption('--from <ref>', 'branch, tag or commit that is deployed now')
    .option('--rows <number>', 'rows to fill each table with before a migration', wholeNumber)
    .option('--complete', 'deploy metric alerts and locks too, which azurerm polls for two minutes each')
    .option('--out <folder>', 'also write preview.json, preview.md and preview.html there')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `\nExit status: 0 the change deploys; 1 it is refused, or leaves a plan or a finding; 2 bad usage;\n  3 a program must be installed.\nExample: llama-db preview ${lastEnvironment} --from main`,
    )
    .action(async (environment: string, { from, rows, complete, out, json }: Options) => {
      const [{ preview }, { renderText }] = await Promise.all([
        import('../rehearsal/preview/preview.ts'),
        import('../rehearsal/preview/text.ts'),
      ]);
      if (out !== undefined) makeFolder(out);
      const screen = terminal(json ? process.stderr : process.stdout);
      await interruptible(async (signal) => {
        const result = await preview({
          ...{ environment, from, signal, ...screen },
          ...(rows === undefined ? {} : { rows }),
          ...(complete ? { complete } : {}),
        });
        const { timeline, ...rest } = result;
        const { startedAt, endedAt, bars } = timeline;
        const plain = { ...rest, timeline: { environment, startedAt, endedAt, bars } };
        if (out !== undefined) {
          const [{ renderMarkdown }, { renderHtml }] = await Promise.all([
            import('../rehearsal/preview/markdown.ts'),
            import('../rehearsal/preview/html.ts'),
          ]);
          writeFileSync(join(out, 'preview.json'), `${JSON.stringify(plain, undefined, 2)}\n`);
          writeFileSync(join(out, 'preview.md'), renderMarkdown(result));
          writeFileSync(join(out, 'preview.html'), renderHtml(result));
        }
        if (json) printJson({ ok: result.exitCode === 0, ...plain });
        else print(renderText(result));
        process.exitCode = result.exitCode;
      });
    });
}

/** Before minutes are spent on a report that cannot be written. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw new Fault(
      'preview/folder-not-writable',
      `The reports cannot be written to ${folder}`,
      messageOf(error),
      'Name another folder: --out <folder>.',
      { exitCode: 2, cause: error },
    );
  }
}
