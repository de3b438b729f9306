/** Statements that keep others waiting while rows are read, checked or written anew. */
import type { Rule } from '../rule.ts';
import { all, dotted, every, is, isOn, nameOf, objectNames } from '../tree.ts';
import { addedColumns, addedConstraints, changes, has } from './common.ts';

/** Functions that answer the same for every row of one statement, so that a default made of them is stored once. */
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

export const locks: readonly Rule[] = [
  {
    id: 'constraint-without-not-valid',
    severity: 'high',
    title: 'A check is added NOT VALID and validated in a later migration',
    why: 'ADD CONSTRAINT reads every row under ACCESS EXCLUSIVE; NOT VALID reads none, and VALIDATE lets readers and writers pass',
    instead: 'ADD CONSTRAINT … NOT VALID here, ALTER TABLE … VALIDATE CONSTRAINT in the next migration.',
    source: 'squawk constraint-missing-not-valid; strong_migrations "adding a check constraint"',
    matters: 'large',
    *check(statement) {
      for (const { table, constraint } of addedConstraints(statement)) {
        if (constraint.contype === 'CONSTR_CHECK' && constraint.initially_valid === true) {
          yield { detail: `a check of ${table} is validated at once`, location: constraint.location, table };
        }
      }
    },
  },
  {
    id: 'foreign-key-without-not-valid',
    severity: 'high',
    title: 'A foreign key is added NOT VALID and validated in a later migration',
    why: 'adding it locks writers out of both tables while every row is looked up; up to version 17 a partitioned table takes no NOT VALID key, so give it one while it is empty',
    instead: 'ADD CONSTRAINT … FOREIGN KEY … NOT VALID here, VALIDATE CONSTRAINT in the next migration.',
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
    title: 'A constraint is validated in another migration than the one that adds it',
    why: 'the lock of ADD CONSTRAINT is kept to the end of the transaction, so everybody waits for the validation after all',
    instead: 'Move VALIDATE CONSTRAINT into a migration of its own.',
    source: 'strong_migrations "adding a check constraint"; PostgreSQL manual, ALTER TABLE, Notes',
    matters: 'large',
    *check(statement, at) {
      if (!at.transactional) return;
      for (const { table, command } of changes(statement)) {
        if (command.subtype !== 'AT_ValidateConstraint') continue;
        const added = at.statements.some((other) =>
          addedConstraints(other).some(
            (found) => found.table === table && found.constraint.conname === command.name,
          ),
        );
        if (added) yield { detail: `${command.name} of ${table} was added by the same transaction`, table };
      }
    },
  },
  {
    id: 'unique-constraint-builds-index',
    severity: 'high',
    title: 'A unique or primary key is added with an index that exists',
    why: 'ADD UNIQUE builds its index under ACCESS EXCLUSIVE',
    instead:
      'Build a unique index with buildPartitionedIndex and ADD CONSTRAINT … USING INDEX it; a partitioned table takes no USING INDEX, there the unique index itself is the constraint.',
    source:
      'squawk disallowed-unique-constraint; strong_migrations "unique constraint"; USING INDEX refused on partitioned tables, reproduced on 15 and 18',
    matters: 'large',
    *check(statement) {
      for (const { table, constraint } of addedConstraints(statement)) {
        const key = constraint.contype === 'CONSTR_UNIQUE' || constraint.contype === 'CONSTR_PRIMARY';
        if (key && constraint.indexname === undefined) {
          yield {
            detail: `a key of ${table} builds its index with everybody locked out`,
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
    title: 'An exclusion constraint is made with its table',
    why: 'it cannot be built concurrently nor added NOT VALID: everybody waits while every row is compared',
    instead: 'Put it on a new table, or write in a window.',
    source: 'strong_migrations "exclusion constraint"',
    matters: 'large',
    *check(statement) {
      for (const { table, constraint } of addedConstraints(statement)) {
        if (constraint.contype !== 'CONSTR_EXCLUSION') continue;
        yield { detail: `an exclusion constraint of ${table}`, location: constraint.location, table };
      }
    },
  },
  {
    id: 'set-not-null',
    severity: 'high',
    title: 'NOT NULL is set where a validated check says so already',
    why: 'SET NOT NULL reads every row under ACCESS EXCLUSIVE, unless a validated CHECK (column IS NOT NULL) spares it that',
    instead:
      'ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID, VALIDATE it in the next migration, SET NOT NULL in the one after and drop the check.',
    source: 'squawk adding-not-nullable-field; strong_migrations "setting NOT NULL on an existing column"',
    matters: 'large',
    *check(statement, at) {
      for (const { table, command } of changes(statement)) {
        if (command.subtype !== 'AT_SetNotNull') continue;
        const checks = [...(at.schema.tables.get(table)?.notNull.values() ?? [])];
        if (checks.some(({ column, valid }) => valid && column === command.name)) continue;
        yield { detail: `${table}.${command.name} is read whole to prove that nothing is null`, table };
      }
    },
  },
  {
    id: 'added-not-null-without-default',
    severity: 'high',
    title: 'A column is added nullable, or with a default',
    why: 'NOT NULL without a default is refused as soon as the table has a row, and the running application inserts without it',
    instead: 'Add it with a default, or nullable and NOT NULL later.',
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
    title: 'The default of an added column is the same for every row',
    why: 'a volatile default is computed for each row that exists: the table is written anew under ACCESS EXCLUSIVE',
    instead:
      'Add the column without a default, set the default with ALTER COLUMN, fill the old rows in batches.',
    source: 'squawk adding-field-with-default; strong_migrations "adding a column with a volatile default"',
    matters: 'large',
    *check(statement) {
      for (const { table, column } of addedColumns(statement)) {
        const value = has(column, 'CONSTR_DEFAULT');
        for (const call of every(value?.raw_expr, 'FuncCall')) {
          const name = dotted(call.funcname).replace(/^pg_catalog\./, '');
          if (steady.has(name)) continue;
          yield {
            detail: `${table}.${column.colname} is filled by ${name}(), row by row`,
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
    title: 'No serial or identity column is added to a table that has rows',
    why: 'every row is given its number: the table is written anew under ACCESS EXCLUSIVE',
    instead: 'Add a plain column, fill it in batches, then attach a sequence; or make a new table.',
    source: 'squawk adding-serial-primary-key-field; strong_migrations "adding an auto-incrementing column"',
    matters: 'large',
    *check(statement) {
      for (const { table, column } of addedColumns(statement)) {
        if (!/serial/.test(dotted(column.typeName?.names)) && !has(column, 'CONSTR_IDENTITY')) continue;
        yield { detail: `${table}.${column.colname} numbers every row`, location: column.location, table };
      }
    },
  },
  {
    id: 'added-stored-generated-column',
    severity: 'high',
    title: 'No stored generated column is added to a table that has rows',
    why: 'it is computed for every row: the table is written anew under ACCESS EXCLUSIVE',
    instead: 'Add a plain column that a trigger keeps, and fill the old rows in batches.',
    source: 'strong_migrations "adding a stored generated column"',
    matters: 'large',
    *check(statement) {
      for (const { table, column } of addedColumns(statement)) {
        const generated = has(column, 'CONSTR_GENERATED');
        if (generated?.generated_kind !== 's') continue;
        yield {
          detail: `${table}.${column.colname} is computed for every row`,
          location: column.location,
          table,
        };
      }
    },
  },
  {
    id: 'table-rewrite',
    severity: 'high',
    title: 'No table is written anew while it is in use',
    why: 'CLUSTER, VACUUM FULL and changes of persistence, access method or tablespace copy the whole table under ACCESS EXCLUSIVE',
    instead: 'Use pg_repack or pg_squeeze, which Azure offers, or write in a window.',
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
      const copying = ['AT_SetLogged', 'AT_SetUnLogged', 'AT_SetAccessMethod', 'AT_SetTableSpace'];
      for (const { table, command } of changes(statement)) {
        if (!copying.includes(command.subtype ?? '')) continue;
        yield { detail: `${table} is copied whole (${command.subtype?.slice(3)})`, table };
      }
    },
  },
  {
    id: 'lock-table',
    severity: 'medium',
    title: 'A migration takes no lock that its statements do not need',
    why: 'everybody queues behind a LOCK TABLE until the migration ends',
    instead: 'Leave it out: each statement takes what it needs.',
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
    title: 'A materialized view is refreshed CONCURRENTLY',
    why: 'a plain REFRESH locks readers out until it is done',
    instead:
      'REFRESH MATERIALIZED VIEW CONCURRENTLY; it needs a unique index without WHERE and a view that was filled once.',
    source: 'PostgreSQL manual, REFRESH MATERIALIZED VIEW',
    matters: 'large',
    *check(statement) {
      const refresh = is(statement.node, 'RefreshMatViewStmt');
      if (!refresh || refresh.concurrent === true || refresh.skipData === true) return;
      yield {
        detail: `${nameOf(refresh.relation)} cannot be read meanwhile`,
        table: nameOf(refresh.relation),
      };
    },
  },
  {
    id: 'backfill',
    severity: 'high',
    title: 'Rows that exist are changed in batches, outside migrations',
    why: 'one UPDATE or DELETE of many rows in the migration keeps them locked to its end, leaves a table of dead rows, and fills the audit trail in one transaction',
    instead:
      'Write a function that changes a bounded batch, as llama.apply_retention does, and let it run until nothing is left.',
    source: 'strong_migrations "backfilling data"',
    matters: 'large',
    *check(statement, at) {
      const relation =
        is(statement.node, 'UpdateStmt')?.relation ?? is(statement.node, 'DeleteStmt')?.relation;
      const table = nameOf(relation);
      const hidden = at.schema.isTenants(table) && (at.role === undefined || at.role === 'llama_owner');
      if (relation !== undefined && !hidden)
        yield { detail: `rows of ${table} are changed in one transaction`, table };
    },
  },
  {
    id: 'drop-not-null-check',
    severity: 'medium',
    title: 'The check that stands in for NOT NULL is dropped after NOT NULL is set',
    why: 'dropped before, it proves nothing to SET NOT NULL, which then reads every row under ACCESS EXCLUSIVE',
    instead: 'SET NOT NULL first, DROP CONSTRAINT after it.',
    source: 'strong_migrations "setting NOT NULL on an existing column"',
    matters: 'large',
    *check(statement, at) {
      for (const { table, command } of changes(statement)) {
        const check = at.schema.tables.get(table)?.notNull.get(command.name ?? '');
        if (command.subtype !== 'AT_DropConstraint' || !check) continue;
        const position = at.statements.indexOf(statement);
        const late = at.statements
          .slice(position)
          .some((other) =>
            changes(other).some(
              (later) =>
                later.table === table &&
                later.command.subtype === 'AT_SetNotNull' &&
                later.command.name === check.column,
            ),
          );
        if (late) yield { detail: `${command.name} goes before ${table}.${check.column} is NOT NULL`, table };
      }
    },
  },
];

/** Names of a DROP, where it drops this kind of thing. */
export function dropped(statement: Parameters<Rule['check']>[0], type: string): string[] {
  const drop = is(statement.node, 'DropStmt');
  return drop?.removeType === type ? objectNames(drop.objects) : [];
}
