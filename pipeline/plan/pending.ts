/** Pending migrations: what the post-deploy step at the end of the apply does to the database. */
import { type JsonObject, objectAt, textAt } from '../../core/json.ts';
import type { Severity } from '../../core/severity.ts';
import { listMigrations, type MigrationFile } from '../../database/migrator/files.ts';
import type { LockMode, TakenLock } from '../../database/migrator/locks.ts';
import { changesBetween } from '../../database/schema/changes.ts';
import type { Manifest } from '../../database/schema/manifest.ts';
import { readManifest } from '../../database/schema/manifest-file.ts';
import { isPostDeploy } from './context.ts';
import type { PlanFacts } from './facts.ts';
import type { Impact } from './impacts.ts';
import type { Verdict } from './judge.ts';

export interface PendingFile {
  readonly file: string;
  readonly findings: readonly {
    readonly rule: string;
    readonly severity: Severity;
    readonly line: number;
    readonly detail: string;
    /** Title of the rule's family. */
    readonly family: string;
  }[];
  /** Accepted findings, with their reasons. */
  readonly allowed: readonly { readonly rule: string; readonly reason: string }[];
  /** Strongest first. */
  readonly locks: readonly (TakenLock & { readonly blocks: string })[];
}

export interface PendingMigrations {
  /** In the order of application. */
  readonly files: readonly PendingFile[];
  /** Changes of the schema, one line per object; undefined without a manifest of the released schema. */
  readonly schema?: readonly string[];
  readonly verdicts: readonly Verdict[];
}

export interface PendingOptions {
  /** Folder of the migrations of the checkout. */
  readonly directory: string;
  /** The schema that is deployed: the manifest of the release. @default - the plan names the migrations that are new */
  readonly released?: Manifest;
}

/** Migrations by file name with their checksums, as the post-deploy step of a plan has them. */
interface Recorded {
  readonly before: JsonObject;
  readonly after: JsonObject;
}

/**
 * The migrations that an apply of the plan runs. Undefined if the plan runs no post-deploy step and no release is given.
 */
export async function pendingOf(
  facts: PlanFacts,
  options: PendingOptions,
): Promise<PendingMigrations | undefined> {
  const step = facts.resources.find((one) => isPostDeploy(one) && one.action !== 'delete');
  if (!step && !options.released) return undefined;
  const recorded: Recorded = {
    before: objectAt(step?.before, 'triggers_replace', 'migrations'),
    after: objectAt(step?.after, 'triggers_replace', 'migrations'),
  };
  const files = listMigrations(options.directory);
  const pending = files.filter((file) => isPending(file, recorded, options.released));
  const described = await describe(pending, files);
  const schema = options.released ? schemaChanges(options.released, options.directory) : undefined;
  return {
    files: described,
    ...(schema ? { schema } : {}),
    verdicts: [
      ...(step ? history(recorded, files) : []),
      ...described.flatMap((file) => verdictsOf(file, files)),
    ],
  };
}

function isPending(
  { file, name }: MigrationFile,
  { before }: Recorded,
  released: Manifest | undefined,
): boolean {
  return released ? !released.migrations.includes(name) : !Object.hasOwn(before, file);
}

async function describe(
  pending: readonly MigrationFile[],
  all: readonly MigrationFile[],
): Promise<PendingFile[]> {
  if (pending.length === 0) return [];
  const [{ families }, { lint }, { readForLint }, { lockBlocks, locksOf }] = await Promise.all([
    import('../../database/migrator/lint/catalogue.ts'),
    import('../../database/migrator/lint/lint.ts'),
    import('../../database/migrator/lint/read.ts'),
    import('../../database/migrator/locks.ts'),
  ]);
  const familyOf = (id: string) =>
    families.find(({ rules }) => rules.some((rule) => rule.id === id))?.title ?? '';
  const paths = pending.map(({ path }) => path);
  const before = all.filter(({ path }) => !paths.includes(path)).map(({ path }) => path);
  const result = await lint({ files: paths, before });
  return Promise.all(
    pending.map(async ({ file, path }) => {
      const own = <Item extends { readonly path: string }>(items: readonly Item[]) =>
        items.filter((one) => one.path === path);
      const { sections } = await readForLint(path);
      return {
        file,
        findings: own(result.findings).map(({ rule, severity, line, detail }) => ({
          ...{ rule, severity, line, detail },
          family: familyOf(rule),
        })),
        allowed: own(result.allowed).map(({ rule, reason }) => ({ rule, reason })),
        locks: locksOf(sections.up).map((one) => ({ ...one, blocks: lockBlocks[one.mode] })),
      };
    }),
  );
}

function schemaChanges(released: Manifest, directory: string): readonly string[] | undefined {
  const current = readManifest(directory);
  return current && changesBetween(released, current);
}

const verdict = (file: string, row: string, impact: Impact, says: string, fingerprint: string): Verdict => ({
  row,
  impact,
  says,
  address: `migrations/${file}`,
  type: 'migration',
  action: 'create',
  fingerprint: fingerprint.slice(0, 16),
});

/** Differences between the migrations of the plan and those that ran, or those of this checkout. */
function history({ before, after }: Recorded, files: readonly MigrationFile[]): Verdict[] {
  const found: Verdict[] = [];
  for (const file of Object.keys(before)) {
    const [was, is] = [textAt(before, file), textAt(after, file)];
    if (is === undefined)
      found.push(
        verdict(
          file,
          'migration/missing',
          'refused-by-azure',
          'the post-deploy step refuses it: the file of an applied migration is missing',
          was ?? '',
        ),
      );
    else if (was !== is)
      found.push(
        verdict(
          file,
          'migration/edited',
          'refused-by-azure',
          'the post-deploy step refuses it: the file was edited after it was applied',
          is,
        ),
      );
  }
  for (const { file, checksum } of files) {
    const planned = textAt(after, file);
    if (planned !== undefined && planned !== checksum)
      found.push(
        verdict(
          file,
          'migration/other-checkout',
          'unknown',
          'the plan was made from another version of the file than this checkout has',
          checksum,
        ),
      );
  }
  return found;
}

const writers: readonly LockMode[] = ['SHARE', 'SHARE ROW EXCLUSIVE', 'EXCLUSIVE'];

function verdictsOf({ file, findings, locks }: PendingFile, files: readonly MigrationFile[]): Verdict[] {
  const fingerprint = files.find((one) => one.file === file)?.checksum ?? '';
  const found = findings.flatMap(({ rule, severity, line, detail, family }) =>
    severity === 'critical' || severity === 'high'
      ? [
          verdict(
            file,
            `lint/${rule}`,
            lossy.has(rule) ? 'data-loss' : (byFamily[family] ?? 'unknown'),
            `line ${line}: ${detail} (lint rule ${rule})`,
            fingerprint,
          ),
        ]
      : [],
  );
  const blocked = (modes: readonly LockMode[]) =>
    locks.filter(({ mode }) => modes.includes(mode)).map(({ on }) => on);
  const reads = blocked(['ACCESS EXCLUSIVE']);
  const writes = blocked(writers);
  const says = [
    ...(reads.length > 0
      ? [`reads and writes of ${listed(reads)} wait while it holds ACCESS EXCLUSIVE`]
      : []),
    ...(writes.length > 0 ? [`writes to ${listed(writes)} wait while it holds its lock`] : []),
  ];
  const impact = reads.length === 0 && writes.length > 0 ? 'read-only' : 'online';
  const locking = says.length > 0 ? says.join('; ') : 'it blocks no statement of an application';
  return [...found, verdict(file, 'migration/locks', impact, locking, fingerprint)];
}

/** Rules of the lint about rows that are lost. */
const lossy: ReadonlySet<string> = new Set([
  'drop-column',
  'drop-table',
  'drop-schema',
  'drop-database',
  'drop-cascade',
  'truncate',
  'undeclared-data-loss',
]);

/** Impact of a serious finding, by the title of the family of its rule. */
const byFamily: Readonly<Record<string, Impact>> = {
  'The running application, and data': 'long-outage',
  'Locks and rewrites': 'long-outage',
  Indexes: 'read-only',
  Partitions: 'long-outage',
  'Functions and triggers': 'security-weakened',
  'Owners and evidence': 'security-weakened',
  Privileges: 'security-weakened',
  'Tables of tenants': 'security-weakened',
  Tenants: 'security-weakened',
};

function listed(names: readonly string[]): string {
  return names.length > 4 ? `${names.slice(0, 4).join(', ')} and ${names.length - 4} more` : names.join(', ');
}
