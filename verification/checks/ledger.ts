import { listMigrations, migrationsDirectory } from '../../database/migrator/files.ts';
import { howEdited, type MigrationState, type Plan, plan } from '../../database/migrator/plan.ts';
import { type CheckInput, checksOf, type Finding, type Outcome } from '../check.ts';
import { describeGrants, foreignGrants, modelOf, schema } from '../model.ts';
import { counted, judge, skip } from '../outcome.ts';

const tables = ['schema_migrations', 'pgmigrations', 'releases'] as const;

/** Judges what the files and the ledger make of each other. */
function overPlan(
  { snapshot, migrationsDir }: CheckInput,
  find: (current: Plan) => readonly Finding[],
): Outcome {
  const { ledger } = snapshot;
  if ('unreadable' in ledger) return skip(`llama.schema_migrations cannot be read: ${ledger.unreadable}`);
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
    severity: 'critical',
    title: 'Every migration is applied',
    inspects: 'files of migrations/ against llama.schema_migrations',
    why: 'The application is written for the schema of its own version.',
    remedy: 'llama-db migrate, or deploy the environment.',
    source: 'docs/decisions.md, 12',
    run: (input) => overPlan(input, (current) => inState(current, 'pending', 'is not applied here')),
  },
  {
    id: 'LED-002',
    name: 'applied-migrations-unedited',
    severity: 'high',
    title: 'No applied migration was edited',
    inspects: 'checksums and names of the files against those in the ledger',
    why: 'The file no longer says what was done here: a new environment is built from other statements than this one.',
    remedy: 'Put back the name and content that were applied, and write the change as a new migration.',
    source: 'docs/decisions.md, 12; dbmate#672, flyway#189',
    run: (input) =>
      overPlan(input, (current) =>
        current.migrations
          .filter(({ state }) => state === 'edited')
          .map((migration) => ({
            object: `migration ${migration.name}`,
            detail: `is not as it was applied: ${howEdited(migration, 12)}`,
          })),
      ),
  },
  {
    id: 'LED-003',
    name: 'applied-migrations-have-files',
    severity: 'high',
    title: 'Every applied migration has its file',
    inspects: 'rows of the ledger without a file',
    why: 'The database is ahead of these files: somebody deployed another version, and this one may undo it.',
    remedy: 'Deploy the version that has it, or roll it back.',
    source: 'docs/decisions.md, 12',
    run: (input) =>
      overPlan(input, (current) => inState(current, 'missing', 'is applied here and has no file')),
  },
  {
    id: 'LED-004',
    name: 'migrations-applied-in-order',
    severity: 'high',
    title: 'No migration was passed over',
    inspects: 'files that are not applied though later ones are',
    why: 'Environments would apply the same files in different orders, and end differently.',
    remedy: 'Give it the next free index, or llama-db migrate --allow-out-of-order.',
    source: 'docs/decisions.md, 12; node-pg-migrate#856',
    run: (input) =>
      overPlan(input, (current) => inState(current, 'out of order', 'is not applied, later ones are')),
  },
  {
    id: 'LED-005',
    name: 'ledgers-agree',
    severity: 'high',
    title: 'Both ledgers tell the same history',
    inspects: "llama.schema_migrations against node-pg-migrate's own llama.pgmigrations",
    why: "Somebody ran the tool's own command line, or edited one of the two: what is applied is a matter of opinion.",
    remedy: 'Find out which is right, then llama-db migrate (the next run reconciles interrupted ones).',
    source: 'docs/decisions.md, 12',
    run: ({ snapshot }) => {
      const { ledger, runnerNames } = snapshot;
      if ('unreadable' in ledger) return skip(`llama.schema_migrations cannot be read: ${ledger.unreadable}`);
      if ('unreadable' in runnerNames)
        return skip(`llama.pgmigrations cannot be read: ${runnerNames.unreadable}`);
      const ours = new Set(
        ledger.rows
          .filter(({ direction, outcome }) => direction === 'up' && outcome === 'applied')
          .map(({ version, description }) => `${version}_${description}`),
      );
      const theirs = new Set(runnerNames.rows);
      return judge(`${ours.size} and ${theirs.size} migrations`, [
        ...[...ours]
          .filter((name) => !theirs.has(name))
          .map((name) => ({ object: `migration ${name}`, detail: 'is not in llama.pgmigrations' })),
        ...[...theirs]
          .filter((name) => !ours.has(name))
          .map((name) => ({
            object: `migration ${name}`,
            detail: 'is not applied in llama.schema_migrations',
          })),
      ]);
    },
  },
  {
    id: 'LED-006',
    name: 'no-unfinished-migration',
    severity: 'medium',
    title: 'No attempt at a migration was left behind',
    inspects: 'the latest attempt at each version: running for more than an hour, failed or interrupted',
    why: 'A failed attempt outside a transaction may have done half of its work.',
    remedy: 'llama-db status shows the error; mend it and run llama-db migrate.',
    source: 'docs/decisions.md, 11 and 12',
    run: ({ snapshot }) => {
      const { ledger, server } = snapshot;
      if ('unreadable' in ledger) return skip(`llama.schema_migrations cannot be read: ${ledger.unreadable}`);
      const latest = new Map(ledger.rows.map((attempt) => [attempt.version, attempt]));
      const stuck = (since: Date) => server.now.getTime() - since.getTime() > 3600 * 1000;
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
    severity: 'high',
    title: 'Only the owner writes the ledger',
    inspects: `privileges on ${tables.map((name) => `${schema}.${name}`).join(', ')}`,
    why: 'Whoever writes it decides what the next deployment does, and what a release record says.',
    remedy: 'REVOKE ALL ON … FROM the role.',
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const found = tables.flatMap((name) => model.named(`${schema}.${name}`) ?? []);
      if (found.length === 0) return skip('there is no ledger');
      return judge(
        counted(found.length, 'table'),
        found.flatMap((table): Finding[] => {
          const grants = foreignGrants(table.grants, table.owner).filter(
            // What ISO-027 says is not said again here.
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
