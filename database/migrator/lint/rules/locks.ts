/** Statements that block other sessions while they read, check or rewrite rows. */

import { addedColumns, addedConstraints, changes, has } from '../commands.ts';
import type { Family, Rule } from '../rule.ts';
import { occurrences } from '../section.ts';
import { all, dotted, every, is, isOn, nameOf } from '../tree.ts';

/** Functions with the same result for all rows of a statement, so that a default of them is stored only once. */
const steady = new Set([
  'now',
  'transaction_timestamp',
  'statement_timestamp',
  'current_setting',
  'to_jsonb',
  'jsonb_build_object',
  'jsonb_build_array',
  'make_interval',
  'session_user',
  'current_user',
  'lower',
  'upper',
  'concat',
]);

/** Commands that copy the whole table. */
const copying = ['AT_SetLogged', 'AT_SetUnLogged', 'AT_SetAccessMethod', 'AT_SetTableSpace'];

const keyOf = (table: string, name: string | undefined) => `${table} ${name}`;

/** ADD CONSTRAINT, by table and constraint. */
const constraintAdded = occurrences((statement) =>
  addedConstraints(statement).map(({ table, constraint }) => keyOf(table, constraint.conname)),
);

/** SET NOT NULL, by table and column. */
const setNotNull = occurrences((statement) =>
  changes(statement)
    .filter(({ command }) => command.subtype === 'AT_SetNotNull')
    .map(({ table, command }) => keyOf(table, command.name)),
);

const rules: readonly Rule[] = [
  {
    id: 'constraint-without-not-valid',
    severity: 'high',
    title: 'Check constraints are added NOT VALID and validated in a later migration',
    why: 'ADD CONSTRAINT reads every row under ACCESS EXCLUSIVE; with NOT VALID it reads none, and VALIDATE blocks neither readers nor writers',
    remedy:
      'Use ADD CONSTRAINT … NOT VALID here, and ALTER TABLE … VALIDATE CONSTRAINT in the next migration.',
    source: 'squawk constraint-missing-not-valid; strong_migrations "adding a check constraint"',
    matters: 'large',
    *check(statement) {
      for (const { table, constraint } of addedConstraints(statement)) {
        if (constraint.contype === 'CONSTR_CHECK' && constraint.initially_valid === true) {
          yield {
            detail: `a check constraint of ${table} is validated at once`,
            location: constraint.location,
            table,
          };
        }
      }
    },
  },
  {
    id: 'foreign-key-without-not-valid',
    severity: 'high',
    title: 'Foreign keys are added NOT VALID and validated in a later migration',
    why: 'ADD FOREIGN KEY blocks writers of both tables while it checks every row; up to version 17, PostgreSQL refuses NOT VALID on a partitioned table, so add the key while the table is empty',
    remedy:
      'Use ADD CONSTRAINT … FOREIGN KEY … NOT VALID here, and VALIDATE CONSTRAINT in the next migration.',
    source:
      'squawk adding-foreign-key-constraint; strong_migrations "adding a foreign key", "adding a reference"; refused on 17 and accepted on 18 for partitioned tables',
    matters: 'large',
    *check(statement) {
      for (const { table, constraint } of addedConstraints(statement)) {
        if (constraint.contype === 'CONSTR_FOREIGN' && constraint.initially_valid === true) {
          yield {
            detail: `a foreign key of ${table} to ${nameOf(constraint.pktable)} is validated at once`,
            location: constraint.location,
            table,
          };
        }
      }
    },
  },
  {
    id: 'validated-in-the-same-transaction',
    severity: 'high',
    title: 'Constraints are validated in a later migration than the one that adds them',
    why: 'the lock of ADD CONSTRAINT lasts until the end of the transaction, so all sessions wait for the validation',
    remedy: 'Move VALIDATE CONSTRAINT into a migration of its own.',
    source: 'strong_migrations "adding a check constraint"; PostgreSQL manual, ALTER TABLE, Notes',
    matters: 'large',
    *check(statement, at) {
      if (!at.transactional) return;
      for (const { table, command } of changes(statement)) {
        if (command.subtype !== 'AT_ValidateConstraint') continue;
        if (constraintAdded.anywhere(at, keyOf(table, command.name)))
          yield { detail: `the same transaction adds ${command.name} of ${table}`, table };
      }
    },
  },
  {
    id: 'unique-constraint-builds-index',
    severity: 'high',
    title: 'Unique and primary keys are added with an existing index',
    why: 'ADD UNIQUE and ADD PRIMARY KEY build their index under ACCESS EXCLUSIVE',
    remedy:
      'Build a unique index with buildPartitionedIndex, then ADD CONSTRAINT … USING INDEX. PostgreSQL refuses USING INDEX on a partitioned table; there, use the unique index alone.',
    source:
      'squawk disallowed-unique-constraint; strong_migrations "unique constraint"; USING INDEX refused on partitioned tables, reproduced on 15 and 18',
    matters: 'large',
    *check(statement) {
      for (const { table, constraint } of addedConstraints(statement)) {
        const key = constraint.contype === 'CONSTR_UNIQUE' || constraint.contype === 'CONSTR_PRIMARY';
        if (key && constraint.indexname === undefined) {
          yield {
            detail: `a key of ${table} builds its index while all sessions wait`,
            location: constraint.location,
            table,
          };
        }
      }
    },
  },
  {
    id: 'exclusion-constraint',
    severity: 'high',
    title: 'Exclusion constraints are created together with their table',
    why: 'PostgreSQL can neither build it concurrently nor add it NOT VALID, so all sessions wait while it compares the rows',
    remedy: 'Add it to a new table, or in a maintenance window.',
    source: 'strong_migrations "exclusion constraint"',
    matters: 'large',
    *check(statement) {
      for (const { table, constraint } of addedConstraints(statement)) {
        if (constraint.contype !== 'CONSTR_EXCLUSION') continue;
        yield {
          detail: `an exclusion constraint of ${table} is added`,
          location: constraint.location,
          table,
        };
      }
    },
  },
  {
    id: 'set-not-null',
    severity: 'high',
    title: 'SET NOT NULL follows a validated CHECK (column IS NOT NULL)',
    why: 'SET NOT NULL reads every row under ACCESS EXCLUSIVE, unless a validated CHECK (column IS NOT NULL) exists',
    remedy:
      'Use ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID here and VALIDATE CONSTRAINT in the next migration. In the one after, SET NOT NULL and drop the check.',
    source: 'squawk adding-not-nullable-field; strong_migrations "setting NOT NULL on an existing column"',
    matters: 'large',
    *check(statement, at) {
      for (const { table, command } of changes(statement)) {
        if (command.subtype !== 'AT_SetNotNull') continue;
        const checks = [...(at.schema.tables.get(table)?.notNull.values() ?? [])];
        if (checks.some(({ column, valid }) => valid && column === command.name)) continue;
        yield { detail: `all rows of ${table} are read to prove that ${command.name} has no nulls`, table };
      }
    },
  },
  {
    id: 'added-not-null-without-default',
    severity: 'high',
    title: 'Added columns are nullable or have a default',
    why: 'PostgreSQL refuses NOT NULL without a default on a table with rows, and the running application inserts without the column',
    remedy: 'Add the column with a default, or nullable first and NOT NULL later.',
    source: 'squawk adding-required-field',
    matters: 'existing',
    *check(statement) {
      for (const { table, column } of addedColumns(statement)) {
        const filled =
          has(column, 'CONSTR_DEFAULT') ?? has(column, 'CONSTR_IDENTITY') ?? has(column, 'CONSTR_GENERATED');
        if (!has(column, 'CONSTR_NOTNULL') || filled || /serial/.test(dotted(column.typeName?.names)))
          continue;
        yield {
          detail: `${table}.${column.colname} is NOT NULL and has no default`,
          location: column.location,
          table,
        };
      }
    },
  },
  {
    id: 'volatile-default',
    severity: 'high',
    title: 'The default of an added column is the same for all rows',
    why: 'PostgreSQL computes a volatile default per existing row, which rewrites the table under ACCESS EXCLUSIVE',
    remedy:
      'Add the column without a default, set the default with ALTER COLUMN, and fill existing rows in batches.',
    source: 'squawk adding-field-with-default; strong_migrations "adding a column with a volatile default"',
    matters: 'large',
    *check(statement) {
      for (const { table, column } of addedColumns(statement)) {
        const value = has(column, 'CONSTR_DEFAULT');
        for (const call of every(value?.raw_expr, 'FuncCall')) {
          const name = dotted(call.funcname).replace(/^pg_catalog\./, '');
          if (steady.has(name)) continue;
          yield {
            detail: `${name}() is computed per row of ${table} for ${column.colname}`,
            location: call.location,
            table,
          };
        }
      }
    },
  },
  {
    id: 'added-column-numbers-itself',
    severity: 'high',
    title: 'No serial or identity column is added to a table with rows',
    why: 'PostgreSQL numbers all existing rows, which rewrites the table under ACCESS EXCLUSIVE',
    remedy: 'Add a plain column, fill it in batches and then attach a sequence, or create a new table.',
    source: 'squawk adding-serial-primary-key-field; strong_migrations "adding an auto-incrementing column"',
    matters: 'large',
    *check(statement) {
      for (const { table, column } of addedColumns(statement)) {
        if (!/serial/.test(dotted(column.typeName?.names)) && !has(column, 'CONSTR_IDENTITY')) continue;
        yield { detail: `${table}.${column.colname} numbers all rows`, location: column.location, table };
      }
    },
  },
  {
    id: 'added-stored-generated-column',
    severity: 'high',
    title: 'No stored generated column is added to a table with rows',
    why: 'PostgreSQL computes it for all existing rows, which rewrites the table under ACCESS EXCLUSIVE',
    remedy: 'Add a plain column that a trigger maintains, and fill existing rows in batches.',
    source: 'strong_migrations "adding a stored generated column"',
    matters: 'large',
    *check(statement) {
      for (const { table, column } of addedColumns(statement)) {
        const generated = has(column, 'CONSTR_GENERATED');
        if (generated?.generated_kind !== 's') continue;
        yield {
          detail: `${table}.${column.colname} is computed for all rows`,
          location: column.location,
          table,
        };
      }
    },
  },
  {
    id: 'table-rewrite',
    severity: 'high',
    title: 'No table is rewritten while it is in use',
    why: 'CLUSTER, VACUUM FULL and changes of persistence, access method or tablespace copy the whole table under ACCESS EXCLUSIVE',
    remedy: 'Use pg_repack or pg_squeeze, which Azure offers, or a maintenance window.',
    source: 'squawk prefer-repack; PostgreSQL manual, ALTER TABLE, Notes',
    matters: 'large',
    *check(statement) {
      const cluster = is(statement.node, 'ClusterStmt');
      if (cluster) yield { detail: `CLUSTER ${nameOf(cluster.relation)}`, table: nameOf(cluster.relation) };
      const vacuum = is(statement.node, 'VacuumStmt');
      if (vacuum && isOn(vacuum.options, 'full')) {
        for (const { relation } of all(vacuum.rels, 'VacuumRelation')) {
          yield { detail: `VACUUM FULL ${nameOf(relation)}`, table: nameOf(relation) };
        }
      }
      for (const { table, command } of changes(statement)) {
        if (!copying.includes(command.subtype ?? '')) continue;
        yield { detail: `${table} is copied (${command.subtype?.slice(3)})`, table };
      }
    },
  },
  {
    id: 'lock-table',
    severity: 'medium',
    title: 'Migrations take no explicit table locks',
    why: 'all other sessions queue behind LOCK TABLE until the migration ends',
    remedy: 'Remove it: each statement takes the locks that it needs.',
    source: 'PostgreSQL manual, Explicit Locking',
    matters: 'existing',
    *check(statement) {
      for (const relation of all(is(statement.node, 'LockStmt')?.relations, 'RangeVar')) {
        yield {
          detail: `LOCK TABLE ${nameOf(relation)}`,
          location: relation.location,
          table: nameOf(relation),
        };
      }
    },
  },
  {
    id: 'refresh-not-concurrent',
    severity: 'medium',
    title: 'Materialized views are refreshed CONCURRENTLY',
    why: 'a plain REFRESH blocks readers for its whole duration',
    remedy:
      'Use REFRESH MATERIALIZED VIEW CONCURRENTLY, which requires a unique index without WHERE and a populated view.',
    source: 'PostgreSQL manual, REFRESH MATERIALIZED VIEW',
    matters: 'large',
    *check(statement) {
      const refresh = is(statement.node, 'RefreshMatViewStmt');
      if (!refresh || refresh.concurrent === true || refresh.skipData === true) return;
      yield {
        detail: `${nameOf(refresh.relation)} cannot be read during the refresh`,
        table: nameOf(refresh.relation),
      };
    },
  },
  {
    id: 'backfill',
    severity: 'high',
    title: 'Existing rows are changed in batches, outside migrations',
    why: 'an UPDATE or DELETE of many rows locks them until the end of the migration, leaves dead rows, and fills the audit trail in one transaction',
    remedy:
      'Write a function that changes a bounded batch, like llama.apply_retention, and call it until no row is left.',
    source: 'strong_migrations "backfilling data"',
    matters: 'large',
    *check(statement, at) {
      const relation =
        is(statement.node, 'UpdateStmt')?.relation ?? is(statement.node, 'DeleteStmt')?.relation;
      const table = nameOf(relation);
      const hidden = at.schema.isTenants(table) && (at.role === undefined || at.role === 'llama_owner');
      if (relation !== undefined && !hidden)
        yield { detail: `one transaction changes rows of ${table}`, table };
    },
  },
  {
    id: 'drop-not-null-check',
    severity: 'medium',
    title: 'A CHECK (column IS NOT NULL) is dropped only after SET NOT NULL',
    why: 'without the check, SET NOT NULL reads every row under ACCESS EXCLUSIVE',
    remedy: 'SET NOT NULL first, then DROP CONSTRAINT.',
    source: 'strong_migrations "setting NOT NULL on an existing column"',
    matters: 'large',
    *check(statement, at) {
      for (const { table, command } of changes(statement)) {
        const check = at.schema.tables.get(table)?.notNull.get(command.name ?? '');
        if (command.subtype !== 'AT_DropConstraint' || !check) continue;
        if (setNotNull.from(at, statement, keyOf(table, check.column)))
          yield { detail: `${command.name} is dropped before ${table}.${check.column} is NOT NULL`, table };
      }
    },
  },
  {
    id: 'constraint-never-validated',
    severity: 'high',
    title: 'A constraint that is added NOT VALID is validated by a later migration',
    why: 'it checks new rows only, but queries and people rely on it for all rows',
    remedy: 'Add a migration with ALTER TABLE … VALIDATE CONSTRAINT ….',
    source: 'check SCM-003; squawk constraint-missing-not-valid',
    *atEnd(schema) {
      for (const [table, { constraints }] of schema.tables) {
        const open = [...constraints].filter(([, { valid }]) => !valid).map(([name]) => name);
        yield { table, detail: `no file validates, on ${table}:`, parts: open };
      }
    },
  },
];

export const family: Family = { title: 'Locks and rewrites', rules };
