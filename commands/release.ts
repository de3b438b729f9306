import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { Fault } from '../core/fault.ts';
import { migrationsDirectory } from '../database/migrator/files.ts';
import type { Planned } from '../pipeline/release/make.ts';
import type { ReleaseRecord } from '../pipeline/release/verify-release.ts';
import { environmentArgument, jsonOption, lastEnvironment, wholeNumber } from './common/options.ts';
import {
  initialised,
  type PlanOptions,
  placeOf,
  waiversFile,
  withPlanOptions,
  write,
} from './common/releasing.ts';
import { print, printJson, reporterFor, targetOf } from './common/target.ts';

interface ApplyOptions {
  readonly release: string;
  readonly approved?: string;
  readonly maxAge: number;
  readonly waivers: string;
  readonly record?: string;
  readonly json?: boolean;
}

interface VerifyOptions {
  readonly record?: string;
  readonly json?: boolean;
}

export function register(program: Command): void {
  const release = program
    .command('release')
    .description('make the release of a commit, apply exactly that, or verify it again (docs/promoting.md)');

  withPlanOptions(release.command('plan'))
    .argument('<environment>', environmentArgument)
    .description('plan an environment and bind the plan to this commit: code, migrations, providers, verdict')
    .addHelpText(
      'after',
      `\nExample: llama-db release plan ${lastEnvironment} --out release\nThe digest that it prints names the release: approve that.`,
    )
    .action(plan);

  release
    .command('apply')
    .argument('<environment>', environmentArgument)
    .description(
      'apply a release, verify the environment and record both; refuses anything that was not approved',
    )
    .requiredOption('--release <file>', 'release.json in the folder that release plan wrote')
    .option('--approved <digest>', 'the approved digest, at least 12 digits: refuse any other release')
    .option('--max-age <hours>', 'refuse an older plan', wholeNumber, 24)
    .option('--waivers <file>', 'accepted changes of today', waiversFile)
    .option('--record <file>', 'also write the release record, for llama-db evidence')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `\nExample: llama-db release apply ${lastEnvironment} --release release/release.json --approved 9f86d081884c`,
    )
    .action(apply);

  release
    .command('verify')
    .argument('<environment>', environmentArgument)
    .description('verify an environment with every check, and record that for its newest release')
    .option('--record <file>', 'also write the release record, for llama-db evidence')
    .addOption(jsonOption())
    .addHelpText('after', `\nExample: llama-db release verify ${lastEnvironment}`)
    .action(verifyAgain);

  release
    .command('inspect')
    .argument('<environment>', environmentArgument)
    .description('write what promotion asks of an environment: its release, ledger, verification and seals')
    .option('--out <file>', 'file of the facts; default: stdout')
    .addHelpText('after', `\nExample: llama-db release inspect ${lastEnvironment} --out facts.json`)
    .action(inspect);
}

async function plan(environment: string, options: PlanOptions): Promise<void> {
  const planned = await plannedOf(environment, options);
  if (planned) await write(planned, options);
}

/** Undefined, with exit status 3, if the guard refuses the plan. */
async function plannedOf(environment: string, options: PlanOptions): Promise<Planned | undefined> {
  const [{ planRelease }, { renderText }, place] = await Promise.all([
    import('../pipeline/release/make.ts'),
    import('../pipeline/plan/report/text.ts'),
    placeOf(environment, options.waivers),
  ]);
  const planned = await planRelease({ ...place, reporter: reporterFor({ json: true }) });
  if (planned.guard.exitCode !== 3) {
    if (!options.json) print(renderText(planned.guard));
    return planned;
  }
  if (options.json) printJson({ ok: false, guard: planned.guard });
  else print(renderText(planned.guard));
  process.exitCode = 3;
  return undefined;
}

async function apply(environment: string, options: ApplyOptions): Promise<void> {
  const [{ applyRelease }, { digestOfArtifact }, { verifyAndRecord }, { keyVariable }, place] =
    await Promise.all([
      import('../pipeline/release/apply.ts'),
      import('../pipeline/release/document.ts'),
      import('../pipeline/release/verify-release.ts'),
      import('../pipeline/release/sealing.ts'),
      placeOf(environment, options.waivers),
    ]);
  const reporter = reporterFor(options);
  const { release, digest, startedAt } = await applyRelease({
    ...place,
    ...{ reporter, file: options.release, approved: options.approved, maxAge: options.maxAge },
    key: process.env[keyVariable],
    stream: options.json ? process.stderr : process.stdout,
  });
  const { impact, counts, migrations } = release.plan;
  const record = await verifyAndRecord(
    await targetOf(environment, options),
    {
      environment: place.environment,
      migrationsDigest: release.artifact.migrations,
      releaseDigest: digest,
      artifactDigest: digestOfArtifact(release.artifact),
      commit: release.commit,
      startedAt,
      plan: {
        madeAt: release.madeAt,
        digest: release.plan.digest,
        impact,
        counts,
        migrations,
        waived: release.guard.waived,
      },
    },
    { reporter, migrationsDirectory },
  );
  finish(record, options);
}

async function verifyAgain(environment: string, options: VerifyOptions): Promise<void> {
  const [{ newestRelease }, { verifyAndRecord }, { withConnection }] = await Promise.all([
    import('../pipeline/release/releases.ts'),
    import('../pipeline/release/verify-release.ts'),
    import('../database/connection.ts'),
  ]);
  const reporter = reporterFor(options);
  await initialised(environment, reporter);
  const target = await targetOf(environment, options);
  const connect = { reporter, applicationName: 'llama-db release' } as const;
  const newest = await withConnection(target, connect, newestRelease);
  if (!newest)
    throw new Fault(
      'release/none',
      `${environment} has no release`,
      'llama-db release apply never ended there',
      `Make one: llama-db release plan ${environment}.`,
      { exitCode: 2 },
    );
  const { migrationsDigest, releaseDigest, artifactDigest, commit, startedAt, plan } = newest;
  const release = { environment, migrationsDigest, releaseDigest, artifactDigest, commit, startedAt, plan };
  finish(await verifyAndRecord(target, release, { reporter, migrationsDirectory }), options);
}

async function inspect(environment: string, options: { readonly out?: string }): Promise<void> {
  const { readAt } = await import('./common/released.ts');
  const reporter = reporterFor({ json: true });
  await initialised(environment, reporter);
  const { facts } = await readAt(environment, reporter);
  const text = `${JSON.stringify(facts, undefined, 2)}\n`;
  if (options.out === undefined) print(text);
  else writeFileSync(options.out, text);
}

/** @throws Fault `release/findings`, `release/not-verified` after the record was written */
function finish(record: ReleaseRecord, options: { readonly record?: string; readonly json?: boolean }): void {
  if (options.record !== undefined) {
    mkdirSync(dirname(resolve(options.record)), { recursive: true });
    writeFileSync(options.record, `${JSON.stringify({ releases: [record] }, undefined, 2)}\n`);
  }
  const { environment, outcome, verification } = record;
  if (outcome === 'findings')
    throw new Fault(
      'release/findings',
      `${environment} has the release, and its verification failed`,
      `failed: ${verification.failed.join(', ')}`,
      `Run llama-db verify ${environment} for the details, correct them, and run llama-db release verify ${environment}.`,
    );
  if (outcome === 'not verified')
    throw new Fault(
      'release/not-verified',
      `${environment} has the release, and was not verified whole`,
      `a check could not read its facts in ${verification.skippedGroups.join(', ')}`,
      `Give the identity the missing access, and run llama-db release verify ${environment}.`,
    );
  if (options.json) printJson(record);
}
