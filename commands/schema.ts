import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { supportedVersions } from '../azure/versions.ts';
import { Fault } from '../core/fault.ts';
import { counted } from '../core/text.ts';
import { manifestFile } from '../database/migrator/files.ts';
import { changesBetween } from '../database/schema/changes.ts';
import type { Manifest } from '../database/schema/manifest.ts';
import { formatManifest, readManifest } from '../database/schema/manifest-file.ts';
import { generateManifest } from './common/migrated.ts';
import { jsonOption, withMigrations } from './common/options.ts';
import { printJson, reporterFor } from './common/target.ts';

interface Options {
  readonly migrations: string;
  readonly write?: boolean;
  readonly check?: boolean;
  readonly major?: number;
  readonly json?: boolean;
}

const none: Manifest = { majors: [], migrations: [], common: {}, only: {} };

export function register(program: Command): void {
  withMigrations(program.command('schema'))
    .description(`the schema manifest, ${manifestFile} beside the migrations: generate it, or check it`)
    .addOption(new Option('--write', 'generate the manifest and write it').conflicts(['check', 'major']))
    .option('--check', 'exit 1 if the manifest is not what the migrations make, and print the difference')
    .option('--major <version>', 'check one PostgreSQL major only', supported)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `\nIt starts a PostgreSQL of each supported major (${supportedVersions.join(', ')}) and migrates it.\nExamples:\n  llama-db schema --write\n  llama-db schema --check`,
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { migrations: directory, write = false, check = false, major } = options;
  if (write === check) {
    throw new Fault(
      'schema/no-action',
      'Neither --write nor --check was given',
      'the command does one of the two',
      'Add --check to compare, --write to generate.',
      { exitCode: 2 },
    );
  }
  const path = join(directory, manifestFile);
  const reporter = reporterFor(options);
  const committed = readManifest(directory) ?? none;
  const generated = await generateManifest(directory, major === undefined ? supportedVersions : [major]);
  const changes = changesBetween(major === undefined ? committed : only(committed, major), generated);
  const text = formatManifest(generated);
  for (const line of changes) reporter.line(line);
  if (write) {
    writeFileSync(path, text);
    reporter.line(`Wrote ${path}: ${counted(changes.length, 'change')}`);
    if (options.json) printJson({ path, changes });
    return;
  }
  const outdated = changes.length > 0 || (major === undefined && readFileSync(path, 'utf8') !== text);
  reporter.line(
    outdated
      ? `${path} is not what the migrations make: ${counted(changes.length, 'change')}. Run llama-db schema --write and commit it.`
      : `${path} is what the migrations make on PostgreSQL ${generated.majors.join(', ')}`,
  );
  if (options.json) printJson({ path, outdated, changes });
  if (outdated) process.exitCode = 1;
}

function only(manifest: Manifest, major: number): Manifest {
  return { ...manifest, majors: manifest.majors.filter((one) => one === major) };
}

function supported(text: string): number {
  const major = Number(text);
  if (supportedVersions.includes(major)) return major;
  throw new InvalidArgumentError(`It must be one of ${supportedVersions.join(', ')}.`);
}
