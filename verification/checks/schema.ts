import type pg from 'pg';
import { rolledBack } from '../../database/transaction.ts';
import { type CheckInput, checksOf, type Outcome } from '../check.ts';
import { fires, modelOf, nameOf, schema, signatureOf } from '../model.ts';
import { blind, counted, judge } from '../outcome.ts';

/** Share of its range beyond which a sequence counts as running out. */
const sequenceShare = 0.7;

const summary = 'llama.tenant_performance_summary';

export const checks = checksOf('schema', [
  {
    id: 'SCM-003',
    name: 'constraints-validated',
    loses: 'correctness',
    title: 'Every constraint is validated',
    inspects: 'pg_constraint.convalidated',
    why: 'A NOT VALID constraint is checked only for new rows, but queries and people rely on it for all rows.',
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
    loses: 'correctness',
    title: 'Every timestamp column has a time zone',
    inspects:
      "columns of type timestamp without time zone in schema llama, except in node-pg-migrate's own table",
    why: 'The meaning of such a value depends on the session that wrote it and on the one that reads it.',
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
    loses: 'correctness',
    title: 'The performance summary is filled if there are records',
    inspects: `whether ${summary} is populated, and has a row if storage_records has one of the last six days that is older than an hour`,
    why: 'A refresh by a role without a policy fills it with nothing and reports success. An unpopulated view cannot be read at all.',
    remedy:
      'SELECT llama.refresh_performance_views() as maintenance_role, and check that this role has a policy.',
    source: 'docs/decisions.md, 11a; reproduced on PostgreSQL 15 and 18',
    run: judgeSummary,
  },
  {
    id: 'SCM-007',
    name: 'updated-at-maintained',
    loses: 'correctness',
    title: 'A trigger maintains updated_at on every table that has it',
    inspects: 'enabled BEFORE UPDATE row triggers on tables with a column updated_at',
    why: 'Programs that copy changed rows by updated_at miss them.',
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
                  (trigger) =>
                    fires(trigger, 'row', 'before', 'update') &&
                    /\bupdated_at\s*:?=/.test(model.routine(trigger.function)?.source ?? ''),
                ),
          )
          .map((table) => ({ object: nameOf(table), detail: 'has no trigger that maintains updated_at' })),
      );
    },
  },
  {
    id: 'SCM-008',
    name: 'sequences-not-exhausted',
    loses: 'availability',
    title: `No sequence has used more than ${sequenceShare * 100} % of its range`,
    inspects: 'pg_sequences: last value against the limit',
    why: 'After the last value every insert fails.',
    remedy: 'Change the column to bigint, and ALTER SEQUENCE … AS bigint.',
    source: 'check_postgres sequence; squawk prefer-bigint-over-int',
    run: ({ snapshot: { activity } }) => {
      if (!activity.sequencesVisible) return blind('the login may not read the position of every sequence');
      return judge(
        counted(activity.sequences.length, 'sequence in use', 'sequences in use'),
        activity.sequences
          .filter(({ used }) => used > sequenceShare)
          .map(({ name, used }) => ({
            object: name,
            detail: `has used ${Math.round(used * 100)} % of its range`,
          })),
      );
    },
  },
  {
    id: 'SCM-013',
    name: 'relations-survive-a-crash',
    loses: 'data',
    title: 'Every relation of schema llama is logged',
    inspects: `pg_class.relpersistence of tables, partitions, indexes, sequences and materialized views of schema ${schema}`,
    why: 'An unlogged table is empty after a crash or failover, and no standby or backup of a standby has its rows. Without data keys every encrypted value is lost. An unlogged sequence starts again, and gives numbers twice.',
    remedy: 'ALTER TABLE … SET LOGGED or ALTER SEQUENCE … SET LOGGED, at once: the next crash empties it.',
    source: 'PostgreSQL manual, CREATE TABLE (UNLOGGED) and CREATE SEQUENCE',
    run: ({ snapshot: { persistence } }) =>
      judge(
        counted(persistence.relations, 'relation'),
        persistence.unlogged.map((object) => ({ object, detail: 'is unlogged' })),
      ),
  },
  {
    id: 'SCM-009',
    name: 'functions-pin-names',
    loses: 'time',
    title: 'Every function of schema llama sets its search_path',
    inspects: 'search_path of every function of schema llama that is not SECURITY DEFINER',
    why: 'From version 17 on, index builds, refreshes and analyses run with an empty search path: a function that relies on another path fails there.',
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
  const found = await rolledBack(client, () => recentRows(client));
  if (!found) return blind('the login cannot act as the owner of the view');
  return judge(
    `${summary} and the records of the last days`,
    found.records && !found.rows ? [{ object: summary, detail: 'is empty although there are records' }] : [],
  );
}

/** Reads as the owner of the view, whose policy shows it every tenant. */
async function recentRows(client: pg.Client): Promise<{ records: boolean; rows: boolean } | undefined> {
  await client.query('SET LOCAL ROLE llama_owner');
  await client.query('SET LOCAL ROLE maintenance_owner');
  const { rows } = await client.query<{ records: boolean; rows: boolean }>(
    `SELECT EXISTS (SELECT FROM llama.storage_records
                     WHERE "timestamp" BETWEEN now() - interval '6 days' AND now() - interval '1 hour'
                       AND created_at < now() - interval '1 hour') AS records,
            EXISTS (SELECT FROM llama.tenant_performance_summary) AS rows`,
  );
  return rows[0];
}
