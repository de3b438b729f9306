/** Options and steps that the commands which make a release share. */
import { appendFileSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { messageOf } from '../../core/text.ts';
import { inputs } from '../../environments/list.ts';
import { readWaivers } from '../../pipeline/plan/waivers.ts';
import type { MakeOptions, Planned, WriteOptions } from '../../pipeline/release/make.ts';
import { publicKeyVariable } from '../../pipeline/release/sealing.ts';
import { jsonOption } from './options.ts';
import { print, printJson } from './target.ts';

export const project = resolve(fileURLToPath(new URL('../..', import.meta.url)));
const waiversPath = 'environments/waivers.json';

export const waiversFile = join(project, waiversPath);

export interface PlanOptions {
  readonly waivers: string;
  readonly out?: string;
  readonly encryptTo?: string;
  readonly json?: boolean;
}

/** Options of a command that makes a release. */
export function withPlanOptions(command: Command): Command {
  return command
    .option('--out <folder>', 'folder of the release; default: release-<environment>')
    .option(
      '--encrypt-to <file>',
      `public RSA key as PEM: encrypt the plan to the job that deploys; default: the key in ${publicKeyVariable}`,
    )
    .option('--waivers <file>', 'accepted changes', waiversFile)
    .addOption(jsonOption());
}

/** Paths that concern single environments. Their digest is that of the whole tree, not that of the artifact. */
const ofEnvironments = [...Object.keys(inputs).map((name) => `environments/${name}.ts`), waiversPath];

/** Options of the functions that make and judge a release. @throws Fault `environment/unknown` (exit 2) */
export async function placeOf(
  environment: string,
  waivers: string = waiversFile,
): Promise<Omit<MakeOptions, 'reporter'>> {
  const [{ environments }, { isProtected }] = await Promise.all([
    import('../../environments/index.ts'),
    import('../../environments/rule.ts'),
  ]);
  return {
    project,
    environment: environments.nameOf(environment),
    output: process.env['CDKTF_OUTDIR'],
    isProtected: isProtected(environments.named(environment)),
    waivers: readWaivers(waivers),
    ofEnvironments,
    waiversPath,
    now: new Date(),
  };
}

/** Prepares a checkout to read the outputs of an environment: a runner begins without a stack. */
export async function initialised(environment: string, reporter: Reporter): Promise<void> {
  const [{ synthesizeApp }, { initialise }, place] = await Promise.all([
    import('../../pipeline/release/stack.ts'),
    import('../../pipeline/plan/make.ts'),
    placeOf(environment),
  ]);
  await initialise({ directory: await synthesizeApp(place), reporter });
}

/** Writes a release, and prints its digest. */
export async function write(
  planned: Planned,
  options: PlanOptions,
  promotion?: WriteOptions['promotion'],
): Promise<void> {
  const [{ writeRelease }, { digestOfArtifact, digestOfRelease }] = await Promise.all([
    import('../../pipeline/release/make.ts'),
    import('../../pipeline/release/document.ts'),
  ]);
  const folder = options.out ?? `release-${planned.release.environment}`;
  const encryptTo =
    options.encryptTo === undefined
      ? process.env[publicKeyVariable] || undefined
      : contentOf(options.encryptTo, 'Name a public key as PEM.');
  const release = await writeRelease(planned, { folder, encryptTo, promotion });
  const file = join(folder, 'release.json');
  const [digest, artifact] = [digestOfRelease(release), digestOfArtifact(release.artifact)];
  handOver(digest, options.json ? process.stderr : process.stdout);
  if (options.json) return printJson({ digest, artifact, file, release });
  print(
    `\nRelease ${digest}\nof commit ${release.commit}, artifact ${artifact.slice(0, 12)}, in ${folder}\nApply it: llama-db release apply ${release.environment} --release ${file} --approved ${digest.slice(0, 12)}\n`,
  );
}

/** Gives the digest to the later jobs of a pipeline: output `digest` of the step. */
function handOver(digest: string, stream: NodeJS.WritableStream): void {
  const { GITHUB_OUTPUT: file, TF_BUILD: isAzureDevOps } = process.env;
  if (file) appendFileSync(file, `digest=${digest}\n`);
  if (isAzureDevOps) stream.write(`##vso[task.setvariable variable=digest;isOutput=true]${digest}\n`);
}

function contentOf(file: string, remedy: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Fault('release/key-unreadable', `Public key ${file}`, messageOf(error), remedy, {
      exitCode: 2,
    });
  }
}
