import { readFileSync } from 'node:fs';
import { resolve as absolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import { sha256 } from '../core/digest.ts';
import { Fault } from '../core/fault.ts';
import { counted } from '../core/text.ts';
import {
  environmentArgument,
  hostAddressOption,
  jsonOption,
  lastEnvironment,
  type MigrationsOptions,
  migrationsOption,
  type TargetOptions,
  urlOption,
} from './common/options.ts';
import { looking, printJson, reporterFor, targetOf } from './common/target.ts';

/** Documents that were observed earlier, each by its option. */
const kinds = ['verification', 'releases', 'guard', 'audit'] as const;

const projectDirectory = fileURLToPath(new URL('..', import.meta.url));

interface MakeOptions extends MigrationsOptions {
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
    .addOption(
      new Option(
        '--live',
        'verify the database and its audit trail now, and read its release records',
      ).conflicts(['verification', 'audit', 'releases']),
    )
    .addOption(urlOption())
    .addOption(hostAddressOption())
    .addOption(migrationsOption())
    .option('--uncommitted', 'make a draft although files differ from the commit')
    .option('--output <folder>', 'folder of the pack; default: cdktf.out/evidence/<environment>')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  llama-db verify ${lastEnvironment} --json --output verification.json
  llama-db evidence ${lastEnvironment} --verification verification.json
  llama-db evidence verify cdktf.out/evidence/${lastEnvironment}`,
    )
    .action(make);

  evidence
    .command('verify')
    .argument('<pack>', 'folder of a pack')
    .argument('[environment]', 'compare the audit head with the database of this environment too')
    .description('compare digests, pointers, values, verdicts and documents of a pack; exit 1 if one differs')
    .option('--digest <sha256>', 'digest that named the pack when it was made')
    .addOption(urlOption())
    .addOption(hostAddressOption())
    .addOption(jsonOption())
    .addHelpText('after', `\nExample: llama-db evidence verify cdktf.out/evidence/${lastEnvironment}`)
    .action(verify);
}

interface VerifyOptions extends TargetOptions {
  readonly digest?: string;
}

async function verify(
  folder: string,
  environment: string | undefined,
  options: VerifyOptions,
): Promise<void> {
  const { verifyPack } = await import('../pipeline/evidence/verify.ts');
  const reporter = reporterFor(options);
  const pack = verifyPack(folder, options.digest);
  const head = await headOf(pack.auditHead, environment, options);
  const findings = [...pack.findings, ...head.findings.map((detail) => ({ file: 'controls.json', detail }))];
  for (const { file, detail } of findings) reporter.line(`${file} ${detail}`);
  for (const remark of [...pack.remarks, ...head.remarks]) reporter.warn(remark);
  reporter.line(
    findings.length === 0
      ? `${counted(pack.files, 'file')} compared, nothing differs. The pack is ${pack.digest}`
      : `${counted(findings.length, 'finding')}: do not rely on this pack`,
  );
  if (options.json) printJson({ ...pack, findings, ok: findings.length === 0 });
  if (findings.length > 0) process.exitCode = 1;
}

/** Compares the head of the pack with a database, if one is named. */
async function headOf(head: string | null, environment: string | undefined, options: VerifyOptions) {
  const asked = environment !== undefined || options.url !== undefined;
  if (head === null) {
    return { findings: [], remarks: asked ? ['the pack has no audit head to compare'] : [] };
  }
  if (!asked)
    return { findings: [], remarks: ['the audit head was not compared with a database: none was named'] };
  const { compareHead } = await import('../pipeline/evidence/live.ts');
  const reporter = reporterFor({ json: true });
  const findings = await looking(async () =>
    compareHead(await targetOf(environment, options), head, reporter),
  );
  return { findings, remarks: [] };
}

/** Observations of the running database. */
async function observed(environment: string, options: MakeOptions) {
  const [{ observeLive }, { keptHeads }] = await Promise.all([
    import('../pipeline/evidence/live.ts'),
    import('../database/audit/heads.ts'),
  ]);
  // A URL and LLAMA_DB_DEPLOYMENT together name the environment; then no Terraform output is read.
  const named = options.url === undefined ? environment : undefined;
  return looking(async () =>
    observeLive(await targetOf(named, options), {
      reporter: reporterFor({ json: true }),
      migrationsDirectory: options.migrations,
      keptHeads: keptHeads(process.env),
    }),
  );
}

async function make(name: string, options: MakeOptions): Promise<void> {
  const [
    { environments },
    { packOf },
    { writePack },
    { commitOf },
    { readObservation },
    { collectSources, requireSameStack },
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
  const given = kinds.flatMap((kind) => (options[kind] === undefined ? [] : [absolute(options[kind])]));
  const commit = commitOf(projectDirectory, [output, ...given]);
  if (commit.changed.length > 0 && !options.uncommitted) {
    throw new Fault(
      'evidence/uncommitted',
      `${counted(commit.changed.length, 'changed file')} since commit ${commit.hash.slice(0, 12)}: ${commit.changed.slice(0, 3).join(', ')}`,
      'a pack describes a commit, and nobody else has these files',
      'Commit them, or make a draft with --uncommitted.',
      { exitCode: 2 },
    );
  }
  const files = kinds.flatMap((kind) => {
    const file = options[kind];
    if (file === undefined) return [];
    return [readObservation({ kind, origin: file, text: readFileSync(file, 'utf8') }, environment)];
  });
  const sources = collectSources(environments, environment);
  const { stackText } = sources;
  requireSameStack(environment, stackText);
  const reporter = reporterFor(options);
  const live = options.live ? await observed(environment, options) : [];
  const pack = packOf({
    environment,
    commit,
    stack: { document: JSON.parse(stackText), sha256: sha256(stackText) },
    ...sources,
    observations: [...live.map((one) => readObservation(one, environment)), ...files],
  });
  writePack(output, pack.files);
  const { counts, families } = pack.report;
  for (const { id, title, verdict } of families.flatMap(({ controls }) => controls))
    if (verdict === 'violated') reporter.line(`${id} is violated: ${title}`);
  for (const [verdict, count] of Object.entries(counts)) if (count > 0) reporter.line(`${count} ${verdict}`);
  if (commit.changed.length > 0) reporter.warn('this is a draft: files differ from the commit');
  reporter.line(`Pack ${pack.digest} in ${relative(process.cwd(), output) || '.'}`);
  if (options.json)
    printJson({ folder: output, digest: pack.digest, counts, draft: commit.changed.length > 0 });
  if (counts.violated > 0) process.exitCode = 1;
}
