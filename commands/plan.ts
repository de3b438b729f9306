import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { Fault } from '../core/fault.ts';
import { messageOf } from '../core/text.ts';
import {
  environmentArgument,
  jsonOption,
  lastEnvironment,
  type MigrationsOptions,
  withMigrations,
} from './common/options.ts';
import { print, printJson, reporterFor } from './common/target.ts';

interface Options extends MigrationsOptions {
  readonly plan?: string;
  readonly released?: string;
  readonly waivers: string;
  readonly out?: string;
  readonly link?: string;
  readonly preview?: string;
  readonly post?: boolean;
  readonly passChanges?: boolean;
}

/** Status of every failure: 2 and 3 are results of this command. */
export const failureStatus = 1;

const project = fileURLToPath(new URL('..', import.meta.url));
const waiversFile = join(project, 'environments/waivers.json');

export function register(program: Command): void {
  withMigrations(program.command('plan'))
    .argument('[environment]', environmentArgument)
    .description(
      'report what a plan does to the database; refuse destructive, weakening and unknown changes (docs/reviewing.md)',
    )
    .option('--plan <file>', 'judge this output of terraform show -json; needs no Azure and no Terraform')
    .option(
      '--released <file>',
      'schema manifest of the deployed release, to compare migrations and schema with',
    )
    .option('--waivers <file>', 'accepted changes', waiversFile)
    .option(
      '--out <folder>',
      'also write plan.json, guard.json, comment.md, guard.sarif and guard.html there',
    )
    .option('--preview <file>', 'preview.md of llama-db preview, for the comment')
    .option('--link <url>', 'address of the whole report, for the comment')
    .option(
      '--post',
      "post the comment on the pull request, with the platform's own variables (docs/reviewing.md)",
    )
    .option('--pass-changes', 'exit with 0 for changes that are not refused, for a step of a pipeline')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `\nExit status: 0 nothing changes; 1 error; 2 changes; 3 refused.\nExamples:\n  llama-db plan ${lastEnvironment}\n  llama-db plan ${lastEnvironment} --plan plan.json --out review`,
    )
    .action(run);
}

async function run(environment: string | undefined, options: Options): Promise<void> {
  const [{ report }, { readPlan }, { pendingOf }, { readWaivers }] = await Promise.all([
    import('../pipeline/plan/guard.ts'),
    import('../pipeline/plan/read.ts'),
    import('../pipeline/plan/pending.ts'),
    import('../pipeline/plan/waivers.ts'),
  ]);
  const text = await planText(environment, options);
  const facts = readPlan(text);
  const migrations = await pendingOf(facts, {
    directory: options.migrations,
    ...(options.released === undefined ? {} : { released: await manifestIn(options.released) }),
  });
  const result = report(facts, {
    environment: environment ?? 'plan',
    isProtected: environment === undefined || (await isProtected(environment)),
    waivers: readWaivers(options.waivers),
    now: new Date(),
    ...(migrations ? { migrations } : {}),
  });
  const [{ renderText }, { renderComment }] = await Promise.all([
    import('../pipeline/plan/report/text.ts'),
    import('../pipeline/plan/report/markdown.ts'),
  ]);
  const comment = {
    ...(options.link === undefined ? {} : { link: options.link }),
    ...(options.preview === undefined
      ? {}
      : { preview: contentOf(options.preview, 'Name preview.md of llama-db preview --out <folder>.') }),
  };
  if (options.out !== undefined) {
    const [{ renderSarif }, { renderHtml }] = await Promise.all([
      import('../pipeline/plan/report/sarif.ts'),
      import('../pipeline/plan/report/html.ts'),
    ]);
    writeAll(options.out, {
      'plan.json': text,
      'guard.json': `${JSON.stringify(result, undefined, 2)}\n`,
      'comment.md': renderComment(result, comment),
      'guard.sarif': `${JSON.stringify(renderSarif(result), undefined, 2)}\n`,
      'guard.html': renderHtml(result),
    });
  }
  if (options.post) {
    const { postComment } = await import('../pipeline/plan/comment.ts');
    const posted = await postComment(renderComment(result, comment), result.environment, process.env);
    reporterFor(options).line(posted);
  }
  if (options.json) printJson({ ok: result.exitCode !== 3, ...result });
  else print(renderText(result));
  process.exitCode = options.passChanges && result.exitCode === 2 ? 0 : result.exitCode;
}

/** The plan in the file, or a new plan of the environment. */
async function planText(environment: string | undefined, options: Options): Promise<string> {
  if (options.plan !== undefined) return contentOf(options.plan, 'Name the output of terraform show -json.');
  if (environment === undefined)
    throw new Fault(
      'plan/no-plan',
      'Neither an environment nor a plan was given',
      'the command judges a new plan of an environment, or the plan in a file',
      'Name an environment, or give --plan <file>.',
    );
  const [{ environments }, { makePlan }, { synthesize }] = await Promise.all([
    import('../environments/index.ts'),
    import('../pipeline/plan/make.ts'),
    import('../stacks/synthesis.ts'),
  ]);
  const name = environments.nameOf(environment);
  const output = synthesize(environments.all(), process.env['CDKTF_OUTDIR'] ?? join(project, 'cdktf.out'));
  return makePlan({
    directory: join(output, 'stacks', name),
    reporter: reporterFor({ json: true }),
    alternative: `or give --plan <file>, or rehearse the change without Azure: llama-db preview ${name} --from <git ref>`,
  });
}

function contentOf(file: string, remedy: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Fault('plan/file-unreadable', `File ${file}`, messageOf(error), remedy);
  }
}

async function manifestIn(file: string) {
  const { parseManifest } = await import('../database/schema/manifest-file.ts');
  const remedy = 'Name migrations/schema.json of the release: git show <tag>:migrations/schema.json.';
  try {
    return parseManifest(contentOf(file, remedy));
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault('plan/manifest-unreadable', `Schema manifest ${file}`, messageOf(error), remedy);
  }
}

function writeAll(folder: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const file = join(folder, name);
    mkdirSync(dirname(file), { recursive: true });
    // The plan holds values of the state.
    writeFileSync(file, content, { mode: 0o600 });
  }
}

async function isProtected(environment: string): Promise<boolean> {
  const [{ environments }, { isProtected: protects }] = await Promise.all([
    import('../environments/index.ts'),
    import('../environments/rule.ts'),
  ]);
  return protects(environments.named(environment));
}
