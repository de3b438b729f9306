import { readFileSync } from 'node:fs';
import { resolve as absolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { Fault } from '../core/fault.ts';
import { counted } from '../core/text.ts';
import { environmentArgument, jsonOption, type TargetOptions } from './common/options.ts';
import { printJson, reporterFor } from './common/target.ts';

const projectDirectory = fileURLToPath(new URL('..', import.meta.url));

interface MakeOptions extends TargetOptions {
  readonly verification?: string;
  readonly releases?: string;
  readonly guard?: string;
  readonly audit?: string;
  readonly live?: true;
  readonly uncommitted?: true;
  readonly output?: string;
}

export function register(program: Command): void {
  const evidence = program
    .command('evidence')
    .description('collect a pack that ties each control to its evidence, or verify one');

  evidence
    .command('make', { isDefault: true })
    .argument('<environment>', environmentArgument)
    .description('write the pack of the commit; exit 1 if a control is violated')
    .option('--verification <file>', 'output of llama-db verify --json')
    .option('--audit <file>', 'output of llama-db audit verify --json, or of audit head --json')
    .option('--releases <file>', 'release records as JSON')
    .option('--guard <file>', 'verdict of the guard about the plan, as JSON')
    .option('--uncommitted', 'make a draft although files differ from the commit')
    .option('--output <folder>', 'folder of the pack; default: cdktf.out/evidence/<environment>')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  llama-db verify production --json --output verification.json
  llama-db evidence production --verification verification.json
  llama-db evidence verify cdktf.out/evidence/production`,
    )
    .action(make);

  evidence
    .command('verify')
    .argument('<pack>', 'folder of a pack')
    .description('compare digests, pointers, values, verdicts and documents of a pack; exit 1 if one differs')
    .option('--digest <sha256>', 'digest that named the pack when it was made')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample: llama-db evidence verify cdktf.out/evidence/production')
    .action(async (pack: string, options: { readonly digest?: string; readonly json?: boolean }) => {
      const { verifyPack } = await import('../pipeline/evidence/verify.ts');
      const reporter = reporterFor(options);
      const result = verifyPack(pack, options.digest);
      for (const { file, detail } of result.findings) reporter.line(`${file} ${detail}`);
      for (const remark of result.remarks) reporter.warn(remark);
      reporter.line(
        result.findings.length === 0
          ? `${counted(result.files, 'file')} compared, nothing differs. The pack is ${result.digest}`
          : `${counted(result.findings.length, 'finding')}: do not rely on this pack`,
      );
      if (options.json) printJson({ ...result, ok: result.findings.length === 0 });
      if (result.findings.length > 0) process.exitCode = 1;
    });
}

async function make(name: string, options: MakeOptions): Promise<void> {
  const [
    { environments },
    { packOf },
    { writePack },
    { commitOf },
    { readObservation, sha256 },
    { collectSources },
  ] = await Promise.all([
    import('../environments/index.ts'),
    import('../pipeline/evidence/pack.ts'),
    import('../pipeline/evidence/write.ts'),
    import('../pipeline/evidence/commit.ts'),
    import('../pipeline/evidence/observations.ts'),
    import('./common/evidence.ts'),
  ]);
  const environment = environments.nameOf(name);
  const output = absolute(options.output ?? join(projectDirectory, 'cdktf.out/evidence', environment));
  const commit = commitOf(projectDirectory, output);
  if (commit.changed.length > 0 && !options.uncommitted) {
    throw new Fault(
      'evidence/uncommitted',
      `${counted(commit.changed.length, 'file')} differ from commit ${commit.hash.slice(0, 12)}: ${commit.changed.slice(0, 3).join(', ')}`,
      'a pack describes a commit, and nobody else has these files',
      'Commit them, or make a draft with --uncommitted.',
      { exitCode: 2 },
    );
  }
  const sources = collectSources(environment);
  const { stackText } = sources;
  const given = (['verification', 'releases', 'guard', 'audit'] as const).flatMap((kind) => {
    const file = options[kind];
    return file === undefined ? [] : [{ kind, origin: file, text: readFileSync(file, 'utf8') }];
  });
  const pack = packOf({
    environment,
    commit,
    stack: { document: JSON.parse(stackText), sha256: sha256(stackText) },
    ...sources,
    observations: given.map((one) => readObservation(one, environment)),
  });
  writePack(output, pack.files);
  const reporter = reporterFor(options);
  const { counts } = pack.report;
  for (const [verdict, count] of Object.entries(counts)) if (count > 0) reporter.line(`${count} ${verdict}`);
  if (commit.changed.length > 0) reporter.warn('this is a draft: files differ from the commit');
  reporter.line(`Pack ${pack.digest} in ${relative(process.cwd(), output) || '.'}`);
  if (options.json)
    printJson({ folder: output, digest: pack.digest, counts, draft: commit.changed.length > 0 });
  if (counts.violated > 0) process.exitCode = 1;
}
