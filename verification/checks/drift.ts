/** The database against a freshly migrated one: what somebody changed by hand, and what a restore left behind. */
import { Fault } from '../../core/fault.ts';
import type { Severity } from '../../core/severity.ts';
import type { Check, CheckInput, Finding, Outcome } from '../check.ts';
import { differences, sizeOf } from '../drift/compare.ts';
import { type Area, type Description, describeSchema } from '../drift/description.ts';
import { owner, schema } from '../model.ts';
import { counted, judge, skip } from '../outcome.ts';
import type { Snapshot } from '../snapshot/facts.ts';

const descriptions = new WeakMap<Snapshot, Promise<Description>>();

/** The database's own description; read once a run, when the first check asks for it. */
function describedOnce({ client, snapshot }: CheckInput): Promise<Description> {
  const known = descriptions.get(snapshot);
  if (known) return known;
  const description = describeSchema(client);
  descriptions.set(snapshot, description);
  return description;
}

type Judge = (reference: Description, found: Description, input: CheckInput) => readonly Finding[];

async function compare(
  input: CheckInput,
  area: Area,
  noun: readonly [string, string],
  find: Judge,
): Promise<Outcome> {
  if (!input.reference) return skip('no reference was asked for: llama-db verify makes one and compares');
  // First, because a reference is still being made.
  const found = await describedOnce(input);
  let reference: Description;
  try {
    reference = await input.reference();
  } catch (error) {
    if (error instanceof Fault)
      return skip(`there is no reference to compare with: ${error.what}: ${error.why}`);
    throw error;
  }
  return judge(
    `${counted(sizeOf(found, area), ...noun)} against ${sizeOf(reference, area)} of the reference (PostgreSQL ${reference.major})`,
    find(reference, found, input),
  );
}

/** Extensions that Azure itself makes in databases. */
const azures = new Set([
  'azure',
  'pgaadauth',
  'pg_availability',
  'pg_qs',
  'pgms_stats',
  'pgms_wait_sampling',
]);

/** A deployment may ask for extensions beside those that the migrations make. */
const notAskedFor: Judge = (reference, found, { deployment }) => {
  const asked = new Set([...azures, ...(deployment?.extensions ?? [])].map((name) => `extension ${name}`));
  const known = new Set(reference.areas.extensions.map(({ object }) => object));
  return differences(reference, found, 'extensions').filter(
    ({ object }) => known.has(object) || !asked.has(object),
  );
};

interface Drift {
  readonly id: Check['id'];
  readonly name: string;
  readonly area: Area;
  readonly severity: Severity;
  readonly title: string;
  readonly inspects: string;
  readonly why: string;
  readonly noun: readonly [string, string];
  /** @default - every difference of the area */
  readonly find?: Judge;
  readonly remedy?: string;
}

const byMigration =
  'What was changed by hand and is right belongs in a migration; what is not, a migration takes back. Find out who changed it (pgaudit).';
const source =
  'docs/decisions.md, 18; kortix-ai/suna#3679 and cognee#4854 (databases stamped as migrated that were not what the migrations make)';

const areas: readonly Drift[] = [
  {
    id: 'DRI-001',
    name: 'objects-match-migrations',
    area: 'objects',
    severity: 'high',
    title: 'Schema llama holds what the migrations make, and nothing else',
    inspects: `tables, views, sequences, types, statistics and whatever else lies in schema ${schema}`,
    why: 'A table that no migration makes has no policy, no trigger and no retention that anybody reviewed; one that is missing fails when it is first used.',
    noun: ['object', 'objects'],
  },
  {
    id: 'DRI-002',
    name: 'columns-match-migrations',
    area: 'columns',
    severity: 'high',
    title: 'Every column is as the migrations make it',
    inspects:
      'type, NOT NULL, default, generation, identity, collation, storage and statistics target of columns',
    why: 'A default or a NOT NULL that went away lets in rows that nothing expects; a column of another type fails at the value that no longer fits.',
    noun: ['column', 'columns'],
  },
  {
    id: 'DRI-003',
    name: 'constraints-match-migrations',
    area: 'constraints',
    severity: 'high',
    title: 'Every constraint is as the migrations make it',
    inspects: 'pg_get_constraintdef of keys, checks and exclusions',
    why: 'Without its constraint a table takes what the application never expects to read; a further one refuses what it writes.',
    noun: ['constraint', 'constraints'],
  },
  {
    id: 'DRI-004',
    name: 'indexes-match-migrations',
    area: 'indexes',
    severity: 'medium',
    title: 'Every index is as the migrations make it',
    inspects: 'pg_get_indexdef of indexes on tables, partitioned tables and materialized views',
    why: 'A missing index makes one query slow; one that was tried by hand and forgotten makes every write slower.',
    noun: ['index', 'indexes'],
  },
  {
    id: 'DRI-005',
    name: 'row-security-matches-migrations',
    area: 'policies',
    severity: 'critical',
    title: 'Row-level security is as the migrations make it',
    inspects: 'pg_policy (kind, command, roles, USING, WITH CHECK), relrowsecurity and relforcerowsecurity',
    why: "A policy that was widened for one afternoon's work keeps its name and opens the table for good.",
    noun: ['table or policy', 'tables and policies'],
  },
  {
    id: 'DRI-006',
    name: 'functions-match-migrations',
    area: 'functions',
    severity: 'high',
    title: 'Every function is as the migrations make it',
    inspects: 'arguments, result, language, body, definer, volatility, settings and cost of functions',
    why: 'A function that runs with its owner’s rights is code in production: replaced by hand it does what no review has seen.',
    noun: ['function', 'functions'],
  },
  {
    id: 'DRI-007',
    name: 'triggers-match-migrations',
    area: 'triggers',
    severity: 'high',
    title: 'Every trigger and rule is as the migrations make it',
    inspects: 'pg_get_triggerdef and state of triggers, pg_get_ruledef of rules',
    why: 'The audit trail is written by triggers: one with another condition leaves out what it should record.',
    noun: ['trigger or rule', 'triggers and rules'],
  },
  {
    id: 'DRI-008',
    name: 'views-match-migrations',
    area: 'views',
    severity: 'high',
    title: 'Every view is as the migrations make it',
    inspects: 'pg_get_viewdef and options of views and materialized views',
    why: "A view reads with its owner's rights: its condition is what keeps tenants apart.",
    noun: ['view', 'views'],
  },
  {
    id: 'DRI-009',
    name: 'storage-matches-migrations',
    area: 'storage',
    severity: 'medium',
    title: 'Tables and sequences are kept as the migrations say',
    inspects:
      'persistence, options, partition key, access method, replica identity, inheritance; bounds and step of sequences',
    why: 'An unlogged table is empty after a crash; a sequence with another step gives numbers twice.',
    noun: ['table or sequence', 'tables and sequences'],
  },
  {
    id: 'DRI-010',
    name: 'grants-match-migrations',
    area: 'privileges',
    severity: 'critical',
    title: 'Every grant comes from a migration',
    inspects:
      'privileges on relations, columns, functions, the schemas and this database, whoever has them but the owner and Azure',
    why: 'One GRANT typed in a hurry is not in any file and survives every deployment.',
    noun: ['object', 'objects'],
    remedy: 'REVOKE it; or write the migration that grants it, and have it reviewed.',
  },
  {
    id: 'DRI-011',
    name: 'owners-match-migrations',
    area: 'owners',
    severity: 'high',
    title: 'Everything belongs to whom the migrations give it',
    inspects: 'owners of relations, functions and schemas',
    why: 'An owner may do anything with what it owns, and the next migration may not touch what another owns.',
    noun: ['object', 'objects'],
    remedy: `ALTER … OWNER TO ${owner} (or whom the finding names).`,
  },
  {
    id: 'DRI-012',
    name: 'default-privileges-match-migrations',
    area: 'defaultPrivileges',
    severity: 'high',
    title: 'Default privileges are as the migrations make them',
    inspects: "pg_default_acl of schema llama and of the project's roles",
    why: 'They grant on objects that do not exist yet: what a later migration makes is open before anybody looks.',
    noun: ['entry', 'entries'],
  },
  {
    id: 'DRI-013',
    name: 'roles-match-migrations',
    area: 'roles',
    severity: 'high',
    title: "The project's roles are as the migrations make them",
    inspects:
      "attributes and settings of the project's roles, what they are members of, and the settings of this database",
    why: 'A role that inherits one more, or a setting that every new session starts with, changes what all its members may do.',
    noun: ['role, membership or setting', 'roles, memberships and settings'],
  },
  {
    id: 'DRI-014',
    name: 'extensions-match-migrations',
    area: 'extensions',
    severity: 'medium',
    title: 'Extensions are those that migrations and settings ask for',
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
    severity: 'high',
    title: 'Every partition is as llama.create_monthly_partition makes it',
    inspects:
      'each leaf against any leaf of the same table in the reference: row-level security, owner, grants, policies, and the columns, triggers, constraints, indexes and options in which it differs from its parent',
    why: 'A month that was made or changed by hand behaves unlike the others: open, unaudited, or without an index.',
    noun: ['leaf', 'leaves'],
    remedy: 'Take the difference away; make partitions with llama.create_monthly_partition only.',
  },
  {
    id: 'DRI-016',
    name: 'comments-match-migrations',
    area: 'comments',
    severity: 'low',
    title: 'Comments are as the migrations write them',
    inspects: 'pg_description of what lies in schema llama',
    why: 'Whoever looks at the database at night reads the comments and believes them.',
    noun: ['comment', 'comments'],
  },
];

export const checks: readonly Check[] = areas.map((drift) => {
  const { area, noun, find, remedy = byMigration, ...facts } = drift;
  return {
    ...facts,
    group: 'drift',
    remedy,
    source,
    run: (input) =>
      compare(input, area, noun, find ?? ((reference, found) => differences(reference, found, area))),
  };
});
