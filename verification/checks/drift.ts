/** The database against the schema manifest: changes made by hand, and remains of a restore. */
import { manifestFile } from '../../database/migrator/files.ts';
import { type Area, type Description, describeSchema } from '../../database/schema/describe.ts';
import { type Check, type CheckInput, checksOf, type Outcome } from '../check.ts';
import { type Difference, differences, sizeOf } from '../drift/compare.ts';
import { expectation, manifestFor, noManifest, outdated } from '../drift/manifest.ts';
import type { Loss } from '../losses.ts';
import { owner, schema } from '../model.ts';
import { counted, judge, skip } from '../outcome.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';

const descriptions = new WeakMap<Snapshot, Promise<Description>>();

/** The database's own description; read once per run, for the first check that needs it. */
function describedOnce({ client, snapshot }: CheckInput): Promise<Description> {
  const known = descriptions.get(snapshot);
  if (known) return known;
  const description = describeSchema(client);
  descriptions.set(snapshot, description);
  return description;
}

type Judge = (expected: Description, found: Description, input: CheckInput) => readonly Difference[];

async function compare(
  input: CheckInput,
  area: Area,
  noun: readonly [string, string],
  find: Judge,
): Promise<Outcome> {
  const expectedHere = expectation(input);
  if ('unknown' in expectedHere) return skip(expectedHere.unknown);
  const { expected } = expectedHere;
  const found = await describedOnce(input);
  return judge(
    `${counted(sizeOf(found, area), ...noun)} against ${sizeOf(expected, area)} of the manifest (PostgreSQL ${expected.major})`,
    find(expected, found, input).map(({ object, detail }) => ({ object, detail })),
  );
}

/** Extensions that Azure itself creates in databases. */
const azures = new Set([
  'azure',
  'pgaadauth',
  'pg_availability',
  'pg_qs',
  'pgms_stats',
  'pgms_wait_sampling',
]);

/** A deployment may ask for extensions besides those that the migrations create. */
const notAskedFor: Judge = (expected, found, { deployment }) => {
  const asked = new Set([...azures, ...(deployment?.extensions ?? [])].map((name) => `extension ${name}`));
  const known = new Set(expected.areas.extensions.map(({ object }) => object));
  return differences(expected, found, 'extensions').filter(
    ({ object }) => known.has(object) || !asked.has(object),
  );
};

/** Tables without which, and facts of columns on which, the application fails: DRI-019. */
const isShape = (expected: Description, { object, kind, fact }: Difference) =>
  object.startsWith('column ')
    ? kind === 'missing' || fact === 'type' || fact === 'NOT NULL'
    : kind === 'missing' &&
      expected.areas.objects.some((one) => one.object === object && isTable(one.says['kind']));
const isTable = (kind: string | undefined) => kind === 'table' || kind === 'partitioned table';

const shapes: Judge = (expected, found) =>
  (['objects', 'columns'] as const).flatMap((area) =>
    differences(expected, found, area).filter((one) => isShape(expected, one)),
  );

const besideShapes =
  (area: Area): Judge =>
  (expected, found) =>
    differences(expected, found, area).filter((one) => !isShape(expected, one));

const foreign: Judge = (expected, found) =>
  differences(expected, found, 'indexes').filter(({ kind }) => kind === 'foreign');
const notForeign: Judge = (expected, found) =>
  differences(expected, found, 'indexes').filter(({ kind }) => kind !== 'foreign');

interface Drift {
  readonly id: Check['id'];
  readonly name: string;
  readonly area: Area;
  readonly loses: Loss;
  readonly title: string;
  readonly inspects: string;
  readonly why: string;
  readonly noun: readonly [string, string];
  /** @default - every difference of the area */
  readonly find?: Judge;
  readonly remedy?: string;
}

const byMigration =
  'Keep a right change with a migration; take a wrong one back with a migration. Find out who made it (pgaudit).';
const source =
  'docs/decisions.md, 18; kortix-ai/suna#3679 and cognee#4854 (databases stamped as migrated whose schema was not what the migrations make)';

const areas: readonly Drift[] = [
  {
    id: 'DRI-019',
    name: 'tables-and-columns-exist',
    area: 'columns',
    loses: 'service',
    title: 'Every table and column that the migrations make exists, with its type',
    inspects: `tables of schema ${schema}; type and NOT NULL of their columns`,
    why: 'A ledger records which files ran; only the catalogs show what exists. The application fails at its first use of a missing column.',
    noun: ['column', 'columns'],
    find: shapes,
  },
  {
    id: 'DRI-001',
    name: 'objects-match-migrations',
    area: 'objects',
    loses: 'review',
    title: 'Schema llama holds the objects that the migrations make, and no other',
    inspects: `tables, views, sequences, types, statistics and everything else in schema ${schema}`,
    why: 'A table that no migration makes has no policy, no trigger and no retention that anybody reviewed. A missing view or sequence fails when it is first used.',
    noun: ['object', 'objects'],
    find: besideShapes('objects'),
  },
  {
    id: 'DRI-002',
    name: 'columns-match-migrations',
    area: 'columns',
    loses: 'review',
    title: 'Every column is as the migrations make it, and no other exists',
    inspects: 'default, generation, identity, collation, storage and statistics target of columns',
    why: 'A missing default admits rows that nothing expects. A column that no migration makes may be in the way of the next one.',
    noun: ['column', 'columns'],
    find: besideShapes('columns'),
  },
  {
    id: 'DRI-003',
    name: 'constraints-match-migrations',
    area: 'constraints',
    loses: 'correctness',
    title: 'Every constraint is as the migrations make it',
    inspects: 'pg_get_constraintdef of keys, checks and exclusions',
    why: 'Without its constraint a table accepts values that the application never expects to read. An additional one rejects its writes.',
    noun: ['constraint', 'constraints'],
  },
  {
    id: 'DRI-018',
    name: 'indexes-of-migrations-exist',
    area: 'indexes',
    loses: 'availability',
    title: 'Every index that the migrations make exists as they make it',
    inspects: 'pg_get_indexdef of indexes on tables, partitioned tables and materialized views',
    why: 'IF NOT EXISTS accepts any index of that name. Queries over millions of rows need its columns, order and condition.',
    noun: ['index', 'indexes'],
    find: notForeign,
    remedy: 'Drop an index of another definition; run the migration that builds it again.',
  },
  {
    id: 'DRI-004',
    name: 'no-unknown-index',
    area: 'indexes',
    loses: 'availability',
    title: 'No index exists that no migration makes',
    inspects: 'indexes on tables, partitioned tables and materialized views',
    why: 'A unique index rejects rows, one over an expression fails with it, and a B-tree refuses values longer than a third of a page. Every index makes writes slower.',
    noun: ['index', 'indexes'],
    find: foreign,
  },
  {
    id: 'DRI-005',
    name: 'row-security-matches-migrations',
    area: 'policies',
    loses: 'isolation',
    title: 'Row-level security is as the migrations make it',
    inspects: 'pg_policy (kind, command, roles, USING, WITH CHECK), relrowsecurity and relforcerowsecurity',
    why: "A policy that was widened for one afternoon's work keeps its name and leaves the table open.",
    noun: ['table or policy', 'tables and policies'],
  },
  {
    id: 'DRI-006',
    name: 'functions-match-migrations',
    area: 'functions',
    loses: 'control',
    title: 'Every function is as the migrations make it',
    inspects: 'arguments, result, language, body, definer, volatility, settings and cost of functions',
    why: 'A SECURITY DEFINER function is production code. Replaced by hand it does something that no review has seen; dropped, it fails its callers.',
    noun: ['function', 'functions'],
  },
  {
    id: 'DRI-007',
    name: 'triggers-match-migrations',
    area: 'triggers',
    loses: 'evidence',
    title: 'Every trigger and rule is as the migrations make it',
    inspects: 'pg_get_triggerdef and state of triggers, pg_get_ruledef of rules',
    why: 'Triggers write the audit trail: one with another condition omits changes.',
    noun: ['trigger or rule', 'triggers and rules'],
  },
  {
    id: 'DRI-008',
    name: 'views-match-migrations',
    area: 'views',
    loses: 'isolation',
    title: 'Every view is as the migrations make it',
    inspects: 'pg_get_viewdef and options of views and materialized views',
    why: "A view reads with its owner's rights: its condition keeps tenants apart.",
    noun: ['view', 'views'],
  },
  {
    id: 'DRI-009',
    name: 'storage-matches-migrations',
    area: 'storage',
    loses: 'correctness',
    title: 'Tables and sequences are stored as the migrations define',
    inspects:
      'persistence, options, partition key, access method, replica identity, inheritance; bounds and step of sequences',
    why: 'A sequence with another step gives numbers twice, a table without replica identity stops replication, and one with another partition key or parent has other rows.',
    noun: ['table or sequence', 'tables and sequences'],
  },
  {
    id: 'DRI-010',
    name: 'grants-match-migrations',
    area: 'privileges',
    loses: 'isolation',
    title: 'Every grant comes from a migration, and none is missing',
    inspects:
      'privileges on relations, columns, functions, the schemas and this database, except those of owners and of Azure',
    why: 'A GRANT typed in a hurry is in no file and survives every deployment.',
    noun: ['object', 'objects'],
    remedy:
      'REVOKE it, or write and review the migration that grants it. After a restore: llama-db repair, which puts all of them back.',
  },
  {
    id: 'DRI-011',
    name: 'owners-match-migrations',
    area: 'owners',
    loses: 'barrier',
    title: 'Every object has the owner that the migrations give it',
    inspects: 'owners of relations, functions and schemas',
    why: 'An owner may do anything with an object, and the next migration cannot alter what another role owns.',
    noun: ['object', 'objects'],
    remedy: `ALTER … OWNER TO ${owner} (or the role that the finding names). After a restore: llama-db repair, for all of them.`,
  },
  {
    id: 'DRI-012',
    name: 'default-privileges-match-migrations',
    area: 'defaultPrivileges',
    loses: 'barrier',
    title: 'Default privileges are as the migrations make them',
    inspects: "pg_default_acl of schema llama and of the project's roles",
    why: 'They grant on objects that do not exist yet: the next table is open as soon as a migration creates it.',
    noun: ['entry', 'entries'],
  },
  {
    id: 'DRI-013',
    name: 'roles-match-migrations',
    area: 'roles',
    loses: 'barrier',
    title: "The project's roles are as the migrations make them",
    inspects:
      "attributes, settings and memberships of the project's roles, and the settings of this database",
    why: 'A role that inherits one more role, or a setting of every new session, changes what all members may do.',
    noun: ['role, membership or setting', 'roles, memberships and settings'],
  },
  {
    id: 'DRI-014',
    name: 'extensions-match-migrations',
    area: 'extensions',
    loses: 'barrier',
    title: 'Migrations and settings ask for every extension',
    inspects: 'pg_extension: names and schemas, not versions',
    why: 'An extension brings functions that PUBLIC may call and that no review has seen.',
    noun: ['extension', 'extensions'],
    find: notAskedFor,
    remedy: 'DROP EXTENSION, or add it to server.extensions of the environment.',
  },
  {
    id: 'DRI-015',
    name: 'partitions-match-template',
    area: 'leaves',
    loses: 'review',
    title: 'Every partition is as llama.create_monthly_partition makes it',
    inspects:
      'row-level security, owner, grants and policies of each leaf, and the columns, triggers, constraints, indexes and options in which it differs from its table',
    why: 'A month that was made or changed by hand is open, unaudited, or without an index.',
    noun: ['leaf', 'leaves'],
    remedy: 'Remove the difference; make partitions with llama.create_monthly_partition only.',
  },
  {
    id: 'DRI-016',
    name: 'comments-match-migrations',
    area: 'comments',
    loses: 'clarity',
    title: 'Comments are as the migrations write them',
    inspects: 'pg_description of objects in schema llama',
    why: 'The engineer on call reads the comments and believes them.',
    noun: ['comment', 'comments'],
  },
];

/** Without a manifest of these very migrations every other drift check is skipped. */
const describesMigrations = {
  id: 'DRI-017',
  name: 'manifest-describes-migrations',
  loses: 'upkeep',
  title: 'The schema manifest describes the migrations of this folder',
  inspects: `names of the migration files against those in ${manifestFile}`,
  why: 'A manifest of other migrations cannot show drift: the comparison is skipped.',
  remedy: 'Run llama-db schema --write and commit the file with the migration.',
  source: 'docs/migrations.md',
  run: (input: CheckInput) => {
    const manifest = manifestFor(input);
    if (!manifest) return skip(noManifest(input));
    return judge(
      counted(manifest.migrations.length, 'migration'),
      outdated(manifest, input).map((detail) => ({ object: manifestFile, detail })),
    );
  },
} as const;

export const checks = checksOf('drift', [
  ...areas.map(({ area, noun, find, remedy = byMigration, ...facts }) => ({
    ...facts,
    remedy,
    source,
    run: (input: CheckInput) =>
      compare(input, area, noun, find ?? ((expected, found) => differences(expected, found, area))),
  })),
  describesMigrations,
]);
