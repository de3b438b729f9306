/** Makes the release of a commit for one environment: everything that its apply needs, each part by its digest. */

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '../../core/digest.ts';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { listMigrations } from '../../database/migrator/files.ts';
import { driftLines } from '../drift/drift.ts';
import { type GuardReport, report } from '../plan/guard.ts';
import { makePlan } from '../plan/make.ts';
import { pendingOf } from '../plan/pending.ts';
import { readPlan } from '../plan/read.ts';
import type { Waiver } from '../plan/waivers.ts';
import { type Checkout, digestOfFiles, readCheckout } from './checkout.ts';
import { type Artifact, fileNames, type ReleaseDocument } from './document.ts';
import { type InstalledPackages, installedPackages, portable } from './packages.ts';
import { digestOfMigrations, digestOfSettings } from './releases.ts';
import { seal } from './sealing.ts';
import { type Place, stateVersion, synthesizeApp, terraformVersion } from './stack.ts';
import { refuseSurroundings } from './surroundings.ts';

export interface MakeOptions extends Place {
  readonly reporter: Reporter;
  /** Whether the settings protect the environment: the guard refuses nothing elsewhere. */
  readonly isProtected: boolean;
  readonly waivers: readonly Waiver[];
  /** Paths that concern single environments: their settings and the waivers. */
  readonly ofEnvironments: readonly string[];
  /** File of the waivers. It is judged by itself, so that a release can be refused for a revoked one. */
  readonly waiversPath: string;
  readonly now: Date;
}

/** A planned release that is not written yet. */
export interface Planned {
  readonly release: Omit<ReleaseDocument, 'promotion'>;
  readonly guard: GuardReport;
  /** Output of `terraform show -json`. */
  readonly planText: string;
  readonly files: { readonly stack: Buffer; readonly providers: Buffer; readonly plan: Buffer };
}

/**
 * @throws Fault `release/not-committed` if the checkout has changes that no commit has
 * @throws Fault `terraform/…`, `plan/…`, `release/…`
 */
export async function planRelease(options: MakeOptions): Promise<Planned> {
  const { project, environment, reporter, now } = options;
  refuseSurroundings(process.env);
  const checkout = await readCheckout(project);
  const uncommitted = checkout.changed.filter((path) => path !== options.waiversPath);
  if (uncommitted.length > 0)
    throw new Fault(
      'release/not-committed',
      `The checkout differs from commit ${checkout.commit.slice(0, 12)}`,
      `nobody could review or repeat ${uncommitted.slice(0, 5).join(', ')}${uncommitted.length > 5 ? ` and ${uncommitted.length - 5} more` : ''}`,
      'Commit the files, or remove them, and run the command again.',
      { exitCode: 2 },
    );
  const installed = installedPackages(project);
  const directory = await synthesizeApp(options);
  const folder = await mkdtemp(join(tmpdir(), 'llama-release-'));
  try {
    const file = join(folder, 'plan');
    const planText = await makePlan({ directory, reporter, file });
    const [plan, stack, providers, state, terraform] = await Promise.all([
      readFile(file),
      readFile(join(directory, 'cdk.tf.json')),
      readFile(join(directory, '.terraform.lock.hcl')),
      stateVersion(directory),
      terraformVersion(directory),
    ]);
    const guard = await judged(planText, options);
    const release: Planned['release'] = {
      format: 1,
      environment,
      commit: checkout.commit,
      committedAt: checkout.committedAt,
      madeAt: now.toISOString(),
      terraform,
      artifact: artifactOf(checkout, options, { installed, providers }),
      tree: digestOfFiles(checkout, [options.waiversPath]),
      stack: sha256(stack),
      installed,
      plan: {
        digest: sha256(plan),
        isSealed: false,
        ...state,
        impact: guard.impact,
        counts: { ...guard.counts },
        runsPostDeploy: guard.runsPostDeploy,
        migrations: guard.migrations?.files.map((one) => one.file) ?? [],
        drift: [...driftLines(planText, 'plan', stack.toString())],
      },
      guard: { digest: sha256(textOf(guard)), waived: waivedIn(guard) },
    };
    return { release, guard, planText, files: { stack, providers, plan } };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The guard's report of a plan, with the migrations of the checkout. */
export async function judged(
  planText: string,
  {
    project,
    environment,
    isProtected,
    waivers,
    now,
  }: Omit<MakeOptions, 'reporter' | 'ofEnvironments' | 'waiversPath'>,
): Promise<GuardReport> {
  const facts = readPlan(planText);
  const migrations = await pendingOf(facts, { directory: join(project, 'migrations') });
  return report(facts, { environment, isProtected, waivers, now, ...(migrations ? { migrations } : {}) });
}

export function artifactOf(
  checkout: Checkout,
  { project, ofEnvironments }: Pick<MakeOptions, 'project' | 'ofEnvironments'>,
  { installed, providers }: { readonly installed: InstalledPackages; readonly providers: Buffer },
): Artifact {
  return {
    code: digestOfFiles(checkout, ofEnvironments),
    migrations: digestOfMigrations(listMigrations(join(project, 'migrations'))),
    schema: checkout.files.get('migrations/schema.json') ?? sha256(''),
    packages: checkout.files.get('package-lock.json') ?? sha256(''),
    installed: digestOfSettings(portable(installed, project)),
    providers: sha256(providers),
  };
}

export function waivedIn({ waived }: GuardReport): ReleaseDocument['guard']['waived'] {
  return waived.map(({ address, impact, fingerprint, waiver: { by, expires } }) => ({
    ...{ address, impact, fingerprint, by, expires },
  }));
}

const textOf = (document: object) => `${JSON.stringify(document, undefined, 2)}\n`;

export interface WriteOptions {
  readonly folder: string;
  /** Public key as PEM. @default - the plan stays in clear, readable to its owner */
  readonly encryptTo?: string | undefined;
  readonly promotion?: ReleaseDocument['promotion'];
}

/** Writes the folder of a release. @returns its document. @throws Fault `release/key-unusable` */
export async function writeRelease(
  { release, guard, files }: Planned,
  { folder, encryptTo, promotion }: WriteOptions,
): Promise<ReleaseDocument> {
  const isSealed = encryptTo !== undefined;
  const plan = isSealed ? seal(files.plan, encryptTo) : files.plan;
  await mkdir(folder, { recursive: true });
  const written: ReleaseDocument = {
    ...release,
    plan: { ...release.plan, isSealed },
    ...(promotion ? { promotion } : {}),
  };
  const contents: Readonly<Record<string, string | Buffer>> = {
    [fileNames.stack]: files.stack,
    [fileNames.providers]: files.providers,
    [fileNames.guard]: textOf(guard),
    [isSealed ? fileNames.sealed : fileNames.plan]: plan,
    'release.json': textOf(written),
  };
  // A plan of an earlier release in the same folder would stay behind in clear.
  await rm(join(folder, isSealed ? fileNames.plan : fileNames.sealed), { force: true });
  for (const [name, content] of Object.entries(contents))
    await writeFile(join(folder, name), content, { mode: 0o600 });
  return written;
}
