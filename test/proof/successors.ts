/** The scenarios in a copy of the project that uses another azurerm, or the packages that replace the archived ones. */
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { counted, duration } from '../../core/text.ts';
import { runProgram } from '../../local/processes/program.ts';
import { maintainedPackages, renameImports } from '../compatibility/maintained.ts';
import { checkout, copyProject, trackAll } from '../support/project-copy.ts';
import { Disproved, type Log, type Proved } from './proof.ts';

export interface Successors {
  /** Its binary must be installed where rehearsals find azurerm (docs/rehearsal.md). */
  readonly azurerm: string;
  readonly packages: 'archived' | 'maintained';
  /** Part of a test's name; empty for all scenarios. */
  readonly scenarios: string;
}

interface Results {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly status: string;
      readonly title: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** @throws Disproved if a scenario fails or none runs */
export async function proveSuccessors({
  log,
  azurerm,
  packages,
  scenarios,
}: Successors & { readonly log: Log }): Promise<Proved> {
  const folder = await mkdtemp(join(tmpdir(), 'successors-'));
  try {
    copyProject(folder);
    await useAzurerm(folder, azurerm);
    if (packages === 'maintained') await useMaintainedPackages(folder);
    else await symlink(join(checkout, 'node_modules'), join(folder, 'node_modules'));
    trackAll(folder);
    const uses = `azurerm ${azurerm} and the ${packages} packages`;
    log(`a copy with ${uses} runs the scenarios`);
    const report = join(folder, 'results.json');
    const { CDKTF_OUTDIR: _, VITEST: __, ...environment } = process.env;
    const run = await runProgram(
      process.execPath,
      [
        ...['node_modules/vitest/vitest.mjs', 'run', 'test/rehearsal/scenarios.test.ts'],
        ...['--reporter=json', `--outputFile=${report}`],
        ...(scenarios === '' ? [] : [`--testNamePattern=${scenarios}`]),
      ],
      { cwd: folder, environment: { LLAMA_REHEARSAL: 'all', ...environment } },
    );
    const results: Results | undefined = await readFile(report, 'utf8').then(JSON.parse, () => undefined);
    const tests = results?.testResults.flatMap((one) => one.assertionResults) ?? [];
    const failed = tests.filter(({ status }) => status === 'failed');
    if (run.exitCode !== 0 || !results || failed.length > 0)
      throw new Disproved(
        failed.length === 0
          ? run.output
          : failed.map((one) => `${one.title}: ${one.failureMessages.join('\n')}`).join('\n\n'),
      );
    if (results.numPassedTests === 0) throw new Disproved(`no scenario ran with ${uses}: is it installed?`);
    return {
      summary: `${counted(results.numPassedTests, 'scenario')} passed with ${uses} in ${duration(run.milliseconds)}`,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function useAzurerm(folder: string, version: string): Promise<void> {
  const file = join(folder, 'azure/provider.ts');
  const source = await readFile(file, 'utf8');
  const next = source.replace(/(export const azurermVersion = )'[^']*'/, `$1'${version}'`);
  if (!next.includes(`azurermVersion = '${version}'`)) throw new Error(`${file} has no azurermVersion`);
  await writeFile(file, next);
}

async function useMaintainedPackages(folder: string): Promise<void> {
  renameImports(folder);
  const file = join(folder, 'package.json');
  const manifest = JSON.parse(await readFile(file, 'utf8'));
  for (const archived of ['cdktf', '@cdktf/provider-azurerm']) delete manifest.dependencies[archived];
  delete manifest.optionalDependencies;
  Object.assign(manifest.dependencies, maintainedPackages.dependencies);
  manifest.overrides = { ...manifest.overrides, ...maintainedPackages.overrides };
  await writeFile(file, JSON.stringify(manifest, null, 2));
  const install = await runProgram('npm', ['install', '--no-audit', '--no-fund'], {
    cwd: folder,
    environment: process.env,
  });
  if (install.exitCode !== 0) throw new Error(install.output);
}
