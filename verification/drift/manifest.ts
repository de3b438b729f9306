import { listMigrations, manifestFile, migrationsDirectory } from '../../database/migrator/files.ts';
import type { Description } from '../../database/schema/describe.ts';
import { expectedOn, type Manifest } from '../../database/schema/manifest.ts';
import { readManifest } from '../../database/schema/manifest-file.ts';
import type { CheckInput } from '../check.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';

const manifests = new WeakMap<Snapshot, Manifest | undefined>();

/** The manifest beside the migrations of this verification; undefined if their folder has none. Read once per run. */
export function manifestFor(input: Pick<CheckInput, 'snapshot' | 'migrationsDir'>): Manifest | undefined {
  if (manifests.has(input.snapshot)) return manifests.get(input.snapshot);
  const manifest = readManifest(directoryOf(input));
  manifests.set(input.snapshot, manifest);
  return manifest;
}

/** Migrations that the manifest describes and the folder lacks, or the other way round; empty if they agree. */
export function outdated(manifest: Manifest, input: Pick<CheckInput, 'migrationsDir'>): readonly string[] {
  const files = new Set(listMigrations(directoryOf(input)).map(({ name }) => name));
  const described = new Set(manifest.migrations);
  return [
    ...[...files].filter((name) => !described.has(name)).map((name) => `${name} is not in it`),
    ...[...described].filter((name) => !files.has(name)).map((name) => `${name} is in it and not a file`),
  ];
}

type Expectation = { readonly expected: Description } | { readonly unknown: string };

const expectations = new WeakMap<Snapshot, Expectation>();

/** The schema that the migrations produce on this major, or the reason why it is unknown. Determined once per run. */
export function expectation(input: CheckInput): Expectation {
  const known = expectations.get(input.snapshot) ?? determine(input);
  expectations.set(input.snapshot, known);
  return known;
}

function determine(input: CheckInput): Expectation {
  const manifest = manifestFor(input);
  if (!manifest) return { unknown: noManifest(input) };
  const [difference] = outdated(manifest, input);
  if (difference) {
    return { unknown: `${manifestFile} was generated from other migrations: ${difference} (DRI-017)` };
  }
  const major = majorOf(input);
  const expected = expectedOn(manifest, major);
  return expected
    ? { expected }
    : { unknown: `${manifestFile} describes PostgreSQL ${manifest.majors.join(', ')}, not ${major}` };
}

/** Names of the extensions that the migrations create on this server's major. */
export function createdExtensions(input: Pick<CheckInput, 'snapshot' | 'migrationsDir'>): readonly string[] {
  const manifest = manifestFor(input);
  const { extensions = [] } = (manifest && expectedOn(manifest, majorOf(input))?.areas) ?? {};
  return extensions.map(({ object }) => object.replace(/^extension /, ''));
}

function majorOf({ snapshot }: Pick<CheckInput, 'snapshot'>): number {
  return Math.floor(snapshot.server.version / 10_000);
}

export function noManifest(input: Pick<CheckInput, 'migrationsDir'>): string {
  return `there is no ${manifestFile} in ${directoryOf(input)}`;
}

function directoryOf({ migrationsDir }: Pick<CheckInput, 'migrationsDir'>): string {
  return migrationsDir ?? migrationsDirectory;
}
