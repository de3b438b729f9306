/** Applies a release: exactly the approved plan, in exactly the approved checkout, on the state that it was made from. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { sha256 } from '../../core/digest.ts';
import { Fault, type FaultCode } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { followTerraform, runTerraform } from '../../core/terraform.ts';
import { duration } from '../../core/text.ts';
import { driftLines, isCaused } from '../drift/drift.ts';
import { type MakePlanOptions, makePlan } from '../plan/make.ts';
import type { Waiver } from '../plan/waivers.ts';
import { digestOfFiles, readCheckout } from './checkout.ts';
import { digestOfRelease, fileNames, fileOf, type ReleaseDocument, readRelease } from './document.ts';
import { judged, waivedIn } from './make.ts';
import { type InstalledPackages, installedPackages } from './packages.ts';
import { open } from './sealing.ts';
import { type Place, stackFolder, stateVersion, terraformVersion } from './stack.ts';
import { refuseSurroundings } from './surroundings.ts';

export interface ApplyOptions extends Place {
  readonly reporter: Reporter;
  /** Path of release.json. */
  readonly file: string;
  /** The digest that was approved. @default - that of the document; a protected environment refuses it */
  readonly approved?: string | undefined;
  /** Hours since the plan was made. */
  readonly maxAge: number;
  readonly isProtected: boolean;
  readonly waivers: readonly Waiver[];
  readonly waiversPath: string;
  readonly now: Date;
  /** Private key as PEM. @default - the plan is in clear */
  readonly key?: string | undefined;
  /** Receives Terraform's progress. */
  readonly stream: NodeJS.WritableStream;
}

export interface Applied {
  readonly release: ReleaseDocument;
  readonly digest: string;
  readonly startedAt: Date;
}

/** azurerm polls each alert and lock for two minutes after it exists: ten at a time would wait for a quarter of an hour. */
const parallelism = '-parallelism=64';

/**
 * Checks a release against its approval, and applies its plan.
 *
 * @throws Fault `release/…` before anything changes; `release/apply-failed` if Terraform fails
 */
export async function applyRelease(options: ApplyOptions): Promise<Applied> {
  const { file, reporter } = options;
  refuseSurroundings(process.env);
  const release = readRelease(file);
  const name = digestOfRelease(release);
  refuseOther(release, name, options);
  await refuseOtherCheckout(release, options);
  const [stack, providers] = [
    fileOf(file, fileNames.stack, release.stack),
    fileOf(file, fileNames.providers, release.artifact.providers),
  ];
  fileOf(file, fileNames.guard, release.guard.digest);
  const plan = planOf(release, options);
  const directory = stackFolder(options);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'cdk.tf.json'), stack);
  await writeFile(join(directory, '.terraform.lock.hcl'), providers);
  const folder = await mkdtemp(join(tmpdir(), 'llama-release-'));
  try {
    const planFile = join(folder, 'plan');
    await writeFile(planFile, plan, { mode: 0o600 });
    const version = await terraformVersion(directory);
    if (version !== release.terraform)
      throw refusal(
        'release/other-terraform',
        `Terraform ${version} does not apply the plan`,
        `Terraform ${release.terraform} made it, and reads no plan of another version`,
        `Install Terraform ${release.terraform}, or make a new release.`,
      );
    const run = (purpose: string, ...parameters: string[]) =>
      runTerraform({ directory, parameters, purpose, exitCode: 1 });
    await run('initialise the stack', 'init', '-input=false', '-no-color', '-lockfile=readonly');
    await refuseOtherVerdict(release, await run('print the plan', 'show', '-json', planFile), options);
    await refuseMovedState(release, directory);
    await refuseNewDrift(release, directory, stack.toString(), reporter);
    const startedAt = new Date();
    reporter.line(
      `Applying release ${name.slice(0, 12)} of commit ${release.commit.slice(0, 12)} to ${release.environment}`,
    );
    const status = await followTerraform(
      { directory, parameters: ['apply', '-input=false', '-no-color', parallelism, planFile] },
      options.stream,
    );
    if (status !== 0)
      throw new Fault(
        'release/apply-failed',
        `Release ${name.slice(0, 12)} was not applied whole to ${release.environment}`,
        `terraform apply ended with status ${status}; its output names the resource`,
        'Correct the cause and make a new release: its plan has what is left. llama-db adopt finds what exists without being in the state.',
      );
    await recordCaused({ directory, reporter, file: join(folder, 'caused') }, stack.toString());
    return { release, digest: name, startedAt };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Takes over into the state what the apply has caused, so that the next look at it is no drift. Nothing else is taken over. */
async function recordCaused(
  options: Pick<MakePlanOptions, 'directory' | 'reporter'> & { readonly file: string },
  stack: string,
): Promise<void> {
  const { directory, reporter, file } = options;
  const plan = await makePlan({ ...options, refreshOnly: true });
  if (!isCaused(plan, stack)) {
    reporter.warn('Somebody changed Azure during the apply: llama-db drift names it');
    return;
  }
  const parameters = ['apply', '-input=false', '-no-color', file];
  await runTerraform({ directory, parameters, purpose: 'record what the apply has caused', exitCode: 1 });
}

function refusal(code: FaultCode, what: string, why: string, remedy: string): Fault {
  return new Fault(code, what, why, remedy);
}

function refuseOther(release: ReleaseDocument, name: string, options: ApplyOptions): void {
  const { environment, approved, maxAge, now, isProtected } = options;
  if (release.environment !== environment)
    throw refusal(
      'release/other-environment',
      `Release ${name.slice(0, 12)} is not for ${environment}`,
      `its plan is one of ${release.environment}`,
      `Make a release of ${environment}: a plan holds the resources of one environment.`,
    );
  if (approved === undefined && isProtected)
    throw refusal(
      'release/approval-missing',
      `Nobody has approved release ${name.slice(0, 12)}`,
      `${environment} is protected, and --approved names no digest`,
      `Review the folder of the release, and run the command with --approved ${name.slice(0, 12)}.`,
    );
  if (approved !== undefined && !(approved.length >= 12 && name.startsWith(approved)))
    throw refusal(
      'release/not-approved',
      `Release ${name.slice(0, 12)} is not the approved one`,
      `${approved.slice(0, 12)} was approved`,
      'Approve this release, or apply the approved one.',
    );
  const age = now.getTime() - Date.parse(release.madeAt);
  if (age > maxAge * 3_600_000 || age < -300_000)
    throw refusal(
      'release/too-old',
      `The plan of release ${name.slice(0, 12)} is ${age < 0 ? 'from the future' : `${duration(age)} old`}`,
      `it describes ${release.environment} at ${release.madeAt}, and --max-age is ${maxAge} h`,
      'Make a new release, and approve it.',
    );
}

async function refuseOtherCheckout(
  release: ReleaseDocument,
  { project, waiversPath }: ApplyOptions,
): Promise<void> {
  const checkout = await readCheckout(project);
  if (checkout.commit !== release.commit)
    throw refusal(
      'release/other-commit',
      `The checkout is not that of the release`,
      `it is at commit ${checkout.commit.slice(0, 12)}, and the plan was made at ${release.commit.slice(0, 12)}: the post-deploy step would run other migrations`,
      `Run git checkout ${release.commit}, or make a release of this commit.`,
    );
  refuseOtherPackages(release, installedPackages(project));
  if (digestOfFiles(checkout, [waiversPath]) === release.tree) return;
  const changed = checkout.changed.filter((path) => path !== waiversPath);
  throw refusal(
    'release/other-files',
    'The files of the checkout are not those of the release',
    changed.length > 0
      ? `changed since: ${changed.slice(0, 5).join(', ')}${changed.length > 5 ? ` and ${changed.length - 5} more` : ''}`
      : 'their contents differ from those that the plan was made with',
    'Restore the files with git checkout, or commit them and make a new release.',
  );
}

/** The post-deploy step loads packages too, and nothing else compares them after their installation. */
function refuseOtherPackages({ installed }: ReleaseDocument, now: InstalledPackages): void {
  const paths = [...new Set([...Object.keys(installed), ...Object.keys(now)])].sort();
  const other = paths.filter((path) => installed[path] !== now[path]);
  if (other.length === 0) return;
  throw refusal(
    'release/other-packages',
    'The installed packages are not those of the release',
    `the post-deploy step would load other files of ${other.slice(0, 5).join(', ')}${other.length > 5 ? ` and ${other.length - 5} more` : ''}`,
    'Run npm ci, on the platform that the release was made on. If they still differ, make a new release.',
  );
}

/** The plan in clear. */
function planOf(release: ReleaseDocument, { file, key }: ApplyOptions): Buffer {
  if (!release.plan.isSealed) return fileOf(file, fileNames.plan, release.plan.digest);
  const sealed = fileOf(file, fileNames.sealed);
  const plan = open(sealed, key);
  if (sha256(plan) === release.plan.digest) return plan;
  throw refusal(
    'release/file-differs',
    `File ${join(dirname(file), fileNames.sealed)} is not the approved one`,
    'it holds another plan than the release names',
    'Find out who changed it, and make and approve a new release.',
  );
}

/** Judges the plan again: a waiver may be revoked or expired, and the migrations are those of this checkout. */
async function refuseOtherVerdict(
  release: ReleaseDocument,
  planText: string,
  options: ApplyOptions,
): Promise<void> {
  const now = await judged(planText, options);
  const [first] = now.refusals;
  if (first)
    throw refusal(
      'release/guard-refuses',
      `The guard refuses the plan of ${release.environment} now`,
      `${first.rule.id} ${first.address}: ${first.says.join('; ')}${first.almost === undefined ? '' : ` (${first.almost})`}`,
      'Waive the change again (docs/reviewing.md) and make a new release, or take the change back.',
    );
  const [before, after] = [release.guard.waived, waivedIn(now)].map((list) => JSON.stringify(list));
  if (before !== after)
    throw refusal(
      'release/waivers-differ',
      `The waivers of ${release.environment} are not those that were approved`,
      `approved: ${before}; now: ${after}`,
      'Make a new release with the waivers of today, and approve it.',
    );
}

async function refuseMovedState(release: ReleaseDocument, directory: string): Promise<void> {
  const { lineage, serial } = await stateVersion(directory);
  if (lineage === release.plan.lineage && serial === release.plan.serial) return;
  throw refusal(
    'release/state-moved',
    `The state of ${release.environment} is not the one that the plan was made from`,
    lineage === release.plan.lineage
      ? `its serial is ${serial}, and was ${release.plan.serial}: somebody has applied since`
      : `its lineage is ${lineage || 'none'}, and was ${release.plan.lineage || 'none'}: it is another state`,
    'Make a new release from the state of today.',
  );
}

/** A saved plan does not know what somebody has changed in Azure since. */
async function refuseNewDrift(
  release: ReleaseDocument,
  directory: string,
  stack: string,
  reporter: Reporter,
): Promise<void> {
  const now = driftLines(await makePlan({ directory, reporter, refreshOnly: true }), 'refresh', stack);
  const added = now.filter((line) => !release.plan.drift.includes(line));
  const gone = release.plan.drift.filter((line) => !now.includes(line));
  if (added.length === 0 && gone.length === 0) return;
  const changed = [...added, ...gone.map((line) => `${line}, which was taken back`)];
  throw refusal(
    'release/azure-changed',
    `Azure has changed since the plan of ${release.environment} was made`,
    `somebody changed ${changed.slice(0, 3).join('; ')}${changed.length > 3 ? ` and ${changed.length - 3} more` : ''}`,
    `Run llama-db drift ${release.environment}, take the change back or over, and make a new release.`,
  );
}
