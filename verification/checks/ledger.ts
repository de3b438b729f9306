import { listMigrations, migrationsDirectory } from '../../database/migrator/files.ts';
import { howEdited, type MigrationState, type Plan, plan } from '../../database/migrator/plan.ts';
import { type CheckInput, checksOf, type Finding, type Outcome } from '../check.ts';
import { describeGrants, foreignGrants, modelOf, schema } from '../model.ts';
import { counted, judge, skip, unread } from '../outcome.ts';

/** Milliseconds after which a running attempt counts as stuck. */
const stuckAfter = 3600 * 1000;

const tables = ['schema_migrations', 'pgmigrations', 'releases'] as const;

/** Compares the migration files with the ledger. */
function comparePlan(
  { snapshot, migrationsDir }: CheckInput,
  find: (current: Plan) => readonly Finding[],
): Outcome {
  const { ledger } = snapshot;
  if ('unreadable' in ledger) return unread(ledger, 'llama.schema_migrations cannot be read');
  const files = listMigrations(migrationsDir ?? migrationsDirectory);
  return judge(
    `${counted(files.length, 'file')}, ${counted(ledger.rows.length, 'attempt')} in the ledger`,
    find(plan(files, ledger.rows)),
  );
}

function inState(current: Plan, state: MigrationState, detail: string): readonly Finding[] {
  return current.migrations
    .filter((migration) => migration.state === state)
    .map(({ name }) => ({ object: `migration ${name}`, detail }));
}

export const checks = checksOf('ledger', [
  {
    id: 'LED-001',
    name: 'migrations-applied',
    loses: 'service',
    title: 'Every migration is applied',
    inspects: 'files of migrations/ against llama.schema_migrations',
    why: 'The application expects the schema of its own version.',
    remedy: 'Run llama-db migrate, or deploy the environment.',
    source: 'docs/decisions.md, 12',
    run: (input) => comparePlan(input, (current) => inState(current, 'pending', 'is not applied')),
  },
  {
    id: 'LED-002',
    name: 'applied-migrations-unedited',
    loses: 'review',
    title: 'No applied migration was edited',
    inspects: 'checksums and names of the files against those in the ledger',
    why: 'The file no longer describes what ran here: a new environment is built from other statements than this one.',
    remedy: 'Restore the name and content that were applied, and write the change as a new migration.',
    source: 'docs/decisions.md, 12; dbmate#672, flyway#189',
    run: (input) =>
      comparePlan(input, (current) =>
        current.migrations
          .filter(({ state }) => state === 'edited')
          .map((migration) => ({
            object: `migration ${migration.name}`,
            detail: `was edited after it was applied: ${howEdited(migration, 12)}`,
          })),
      ),
  },
  {
    id: 'LED-003',
    name: 'applied-migrations-have-files',
    loses: 'review',
    title: 'Every applied migration has its file',
    inspects: 'rows of the ledger without a file',
    why: 'The database is ahead of these files: another version was deployed, and this one may undo it.',
    remedy: 'Deploy the version that has the file, or roll it back.',
    source: 'docs/decisions.md, 12',
    run: (input) =>
      comparePlan(input, (current) => inState(current, 'missing', 'is applied but has no file')),
  },
  {
    id: 'LED-004',
    name: 'migrations-applied-in-order',
    loses: 'review',
    title: 'No pending migration precedes an applied one',
    inspects: 'pending files with a lower index than an applied one',
    why: 'Environments would apply the same files in different orders and end with different schemas.',
    remedy: 'Give it the next free index, or run llama-db migrate --allow-out-of-order.',
    source: 'docs/decisions.md, 12; node-pg-migrate#856',
    run: (input) =>
      comparePlan(input, (current) =>
        inState(current, 'out of order', 'is pending although later ones are applied'),
      ),
  },
  {
    id: 'LED-005',
    name: 'ledgers-agree',
    loses: 'review',
    title: 'Both ledgers list the same applied migrations',
    inspects: "llama.schema_migrations against node-pg-migrate's own llama.pgmigrations",
    why: 'Somebody ran node-pg-migrate itself, or edited one of the ledgers: it is unclear what is applied.',
    remedy: 'Find out which one is right, then run llama-db migrate, which reconciles interrupted runs.',
    source: 'docs/decisions.md, 12',
    run: ({ snapshot }) => {
      const { ledger, runnerNames } = snapshot;
      if ('unreadable' in ledger) return unread(ledger, 'llama.schema_migrations cannot be read');
      if ('unreadable' in runnerNames) return unread(runnerNames, 'llama.pgmigrations cannot be read');
      const ours = new Set(
        ledger.rows
          .filter(({ direction, outcome }) => direction === 'up' && outcome === 'applied')
          .map(({ version, description }) => `${version}_${description}`),
      );
      const theirs = new Set(runnerNames.rows);
      return judge(`${ours.size} and ${counted(theirs.size, 'migration')}`, [
        ...[...ours]
          .filter((name) => !theirs.has(name))
          .map((name) => ({ object: `migration ${name}`, detail: 'is missing in llama.pgmigrations' })),
        ...[...theirs]
          .filter((name) => !ours.has(name))
          .map((name) => ({
            object: `migration ${name}`,
            detail: 'is not applied according to llama.schema_migrations',
          })),
      ]);
    },
  },
  {
    id: 'LED-006',
    name: 'no-unfinished-migration',
    loses: 'upkeep',
    title: 'No migration attempt is failed, interrupted or stuck',
    inspects: 'the latest attempt at each version: failed, interrupted, or running for more than an hour',
    why: 'A failed attempt outside a transaction may have done half of its work.',
    remedy: 'llama-db status shows the error. Fix it and run llama-db migrate.',
    source: 'docs/decisions.md, 11 and 12',
    run: ({ snapshot }) => {
      const { ledger, server } = snapshot;
      if ('unreadable' in ledger) return unread(ledger, 'llama.schema_migrations cannot be read');
      const latest = new Map(ledger.rows.map((attempt) => [attempt.version, attempt]));
      const stuck = (since: Date) => server.now.getTime() - since.getTime() > stuckAfter;
      return judge(
        counted(ledger.rows.length, 'attempt'),
        [...latest.values()]
          .filter(
            ({ outcome, appliedAt }) =>
              outcome === 'failed' ||
              outcome === 'interrupted' ||
              (outcome === 'running' && stuck(appliedAt)),
          )
          .map(({ version, description, outcome, direction }) => ({
            object: `migration ${version}_${description}`,
            detail: `its latest attempt (${direction}) is ${outcome}`,
          })),
      );
    },
  },
  {
    id: 'LED-007',
    name: 'ledger-written-by-owner-only',
    loses: 'barrier',
    title: 'Only the owner may write the ledger',
    inspects: `privileges on ${tables.map((name) => `${schema}.${name}`).join(', ')}`,
    why: 'A role that may write the ledger decides what the next deployment does, and what a release record says.',
    remedy: 'REVOKE ALL ON … FROM the role.',
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const found = tables.flatMap((name) => model.named(`${schema}.${name}`) ?? []);
      if (found.length === 0) return skip('the ledger does not exist');
      return judge(
        counted(found.length, 'table'),
        found.flatMap((table): Finding[] => {
          const grants = foreignGrants(table.grants, table.owner).filter(
            // ISO-027 reports the other privileges.
            ({ privilege }) => ['INSERT', 'UPDATE', 'DELETE'].includes(privilege),
          );
          return grants.length > 0
            ? [{ object: `${schema}.${table.name}`, detail: describeGrants(grants) }]
            : [];
        }),
      );
    },
  },
]);
