import type pg from 'pg';
import { rolledBack } from '../../database/transaction.ts';
import { type CheckInput, checksOf, type Outcome } from '../check.ts';
import { modelOf, nameOf, schema, signatureOf } from '../model.ts';
import { counted, judge, skip } from '../outcome.ts';

const summary = 'llama.tenant_performance_summary';

export const checks = checksOf('schema', [
  {
    id: 'SCM-003',
    name: 'constraints-validated',
    severity: 'high',
    title: 'Every constraint holds for the rows that were there before it',
    inspects: 'pg_constraint.convalidated',
    why: 'A constraint that is NOT VALID is checked for new rows only; queries and people rely on it for all.',
    remedy: 'ALTER TABLE … VALIDATE CONSTRAINT ….',
    source: 'squawk constraint-missing-not-valid; PostgreSQL manual, ALTER TABLE',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      return judge(
        counted(snapshot.constraints.length, 'constraint'),
        snapshot.constraints
          .filter(({ validated }) => !validated)
          .map((constraint) => {
            const table = model.relation(constraint.relation);
            return { object: `${constraint.name} on ${table ? nameOf(table) : ''}`, detail: 'is NOT VALID' };
          }),
      );
    },
  },
  {
    id: 'SCM-004',
    name: 'timestamps-have-time-zone',
    severity: 'medium',
    title: 'Instants carry their time zone',
    inspects:
      "columns of type timestamp without time zone in schema llama, node-pg-migrate's own table excepted",
    why: 'What such a value means depends on the session that wrote it and on the one that reads it.',
    remedy: 'ALTER TABLE … ALTER COLUMN … TYPE timestamptz USING … AT TIME ZONE …, which rewrites the table.',
    source: 'squawk prefer-timestamp-tz',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const columns = snapshot.columns.filter(
        ({ relation }) =>
          model.relation(relation)?.schema === schema && model.relation(relation)?.name !== 'pgmigrations',
      );
      return judge(
        counted(columns.length, 'column'),
        columns
          .filter(({ type }) => /^timestamp(\(\d\))? without time zone$/.test(type))
          .map(({ relation, name, type }) => ({
            object: `${schema}.${model.relation(relation)?.name}.${name}`,
            detail: `is ${type}`,
          })),
      );
    },
  },
  {
    id: 'SCM-006',
    name: 'performance-summary-filled',
    severity: 'high',
    title: 'The summary of the last days is filled when there are records',
    inspects: `whether ${summary} is populated, and has a row while storage_records has one of the last six days that is an hour old`,
    why: 'A refresh as a role without a policy fills it with nothing and reports success; unpopulated, it cannot be read at all.',
    remedy: 'SELECT llama.refresh_performance_views() as maintenance_role; is there a policy for that role?',
    source: 'docs/decisions.md, 11a; reproduced on PostgreSQL 15 and 18',
    run: judgeSummary,
  },
  {
    id: 'SCM-007',
    name: 'updated-at-maintained',
    severity: 'medium',
    title: 'Changes leave their time',
    inspects: 'enabled BEFORE UPDATE row triggers on tables with a column updated_at',
    why: 'What copies changed rows elsewhere by updated_at misses them for ever.',
    remedy: 'Create the trigger touch_updated_at, or enable it.',
    source: 'migrations/0007_storage_record_changes.sql',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const tables = model.tenantTables.filter((table) =>
        model.columnsOf(table).some(({ name }) => name === 'updated_at'),
      );
      return judge(
        counted(tables.length, 'table'),
        tables
          .filter(
            (table) =>
              !model
                .triggersOf(table)
                .some(
                  ({ enabled, type, function: oid }) =>
                    (enabled === 'O' || enabled === 'A') &&
                    (type & 1) !== 0 &&
                    (type & 2) !== 0 &&
                    (type & 16) !== 0 &&
                    /\bupdated_at\s*:?=/.test(model.routine(oid)?.source ?? ''),
                ),
          )
          .map((table) => ({ object: nameOf(table), detail: 'no trigger keeps updated_at' })),
      );
    },
  },
  {
    id: 'SCM-008',
    name: 'sequences-not-exhausted',
    severity: 'high',
    title: 'No sequence is running out',
    inspects: 'pg_sequences: last value against the limit',
    why: 'The insert after the last value fails, and the ones after it.',
    remedy: 'ALTER the column to bigint and the sequence AS bigint.',
    source: 'check_postgres sequence; squawk prefer-bigint-over-int',
    run: ({ snapshot }) =>
      judge(
        counted(snapshot.activity.sequences.length, 'sequence in use', 'sequences in use'),
        snapshot.activity.sequences
          .filter(({ used }) => used > 0.7)
          .map(({ name, used }) => ({ object: name, detail: `${Math.round(used * 100)} % used` })),
      ),
  },
  {
    id: 'SCM-009',
    name: 'functions-pin-names',
    severity: 'medium',
    title: 'What functions name does not depend on who calls them',
    inspects:
      'search_path of every function of schema llama that is not SECURITY DEFINER and not a single SQL expression',
    why: 'From 17 on index builds, refreshes and analyses run with an empty search path: a function that relies on another one fails there.',
    remedy: 'ALTER FUNCTION … SET search_path = pg_catalog, pg_temp, and qualify every name.',
    source: 'splinter 0011; PostgreSQL 17 release notes',
    run: ({ snapshot }) => {
      const functions = snapshot.functions.filter(
        (routine) => routine.schema === schema && !routine.securityDefiner,
      );
      return judge(
        counted(functions.length, 'function'),
        functions
          .filter(({ settings }) => !settings.some((setting) => setting.startsWith('search_path=')))
          .map((routine) => ({ object: signatureOf(routine), detail: 'sets no search_path' })),
      );
    },
  },
]);

async function judgeSummary({ snapshot, client }: CheckInput): Promise<Outcome> {
  const view = modelOf(snapshot).named(summary);
  if (!view) return judge(summary, [{ object: summary, detail: 'does not exist' }]);
  if (!view.populated) return judge(summary, [{ object: summary, detail: 'was never filled' }]);
  const owed = await rolledBack(client, () => look(client));
  if (!owed) return skip('the owner of the view may not be acted as');
  return judge(
    `${summary} and the records of the last days`,
    owed.records && !owed.rows ? [{ object: summary, detail: 'is empty, and there are records' }] : [],
  );
}

/** Asked as the view's owner, whose own policy shows it every tenant. */
async function look(client: pg.Client): Promise<{ records: boolean; rows: boolean } | undefined> {
  await client.query('SET LOCAL ROLE llama_owner');
  await client.query('SET LOCAL ROLE maintenance_role');
  const { rows } = await client.query<{ records: boolean; rows: boolean }>(
    `SELECT EXISTS (SELECT FROM llama.storage_records
                     WHERE "timestamp" BETWEEN now() - interval '6 days' AND now() - interval '1 hour'
                       AND created_at < now() - interval '1 hour') AS records,
            EXISTS (SELECT FROM llama.tenant_performance_summary) AS rows`,
  );
  return rows[0];
}
