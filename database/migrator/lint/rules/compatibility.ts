/** What breaks the application that is still running, or loses data. */
import { type Rule, standIn } from '../rule.ts';
import { all, is, nameOf } from '../tree.ts';
import { changes } from './common.ts';
import { dropped } from './locks.ts';

const expandContract =
  'Expand first: add the new beside the old, let the application move, take the old away in a later release.';
const running = 'the version of the application that is still running asks for the old one';

export const compatibility: readonly Rule[] = [
  {
    id: 'rename-column',
    severity: 'high',
    title: 'A column keeps its name',
    why: running,
    instead: expandContract,
    source: 'squawk renaming-column; strong_migrations "renaming a column"',
    matters: 'existing',
    *check({ node }) {
      const rename = is(node, 'RenameStmt');
      if (rename?.renameType !== 'OBJECT_COLUMN') return;
      const table = nameOf(rename.relation);
      yield { detail: `${table}.${rename.subname} becomes ${rename.newname}`, table };
    },
  },
  {
    id: 'rename-table',
    severity: 'high',
    title: 'A table or view keeps its name and schema',
    why: running,
    instead: expandContract,
    source: 'squawk renaming-table; strong_migrations "renaming a table"',
    matters: 'existing',
    *check({ node }) {
      const rename = is(node, 'RenameStmt');
      const types = ['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW'];
      if (rename && types.includes(rename.renameType ?? '')) {
        yield {
          detail: `${nameOf(rename.relation)} becomes ${rename.newname}`,
          table: nameOf(rename.relation),
        };
      }
      const move = is(node, 'AlterObjectSchemaStmt');
      if (move && types.includes(move.objectType ?? '')) {
        yield {
          detail: `${nameOf(move.relation)} moves to schema ${move.newschema}`,
          table: nameOf(move.relation),
        };
      }
    },
  },
  {
    id: 'rename-schema',
    severity: 'high',
    title: 'A schema keeps its name',
    why: `${running}, in every query`,
    instead: expandContract,
    source: 'strong_migrations "renaming a schema"',
    *check({ node }) {
      const rename = is(node, 'RenameStmt');
      if (rename?.renameType === 'OBJECT_SCHEMA')
        yield { detail: `${rename.subname} becomes ${rename.newname}` };
    },
  },
  {
    id: 'rename-enum-value',
    severity: 'high',
    title: 'A value of an enum keeps its name',
    why: 'the running application writes and compares the old one',
    instead: expandContract,
    source: 'strong_migrations "renaming an enum value"',
    *check({ node }) {
      const alter = is(node, 'AlterEnumStmt');
      if (alter?.oldVal !== undefined) yield { detail: `'${alter.oldVal}' becomes '${alter.newVal}'` };
    },
  },
  {
    id: 'column-type-change',
    severity: 'high',
    title: 'A column keeps its type',
    why: 'most changes write the table anew under ACCESS EXCLUSIVE, and the running application binds the old type',
    instead: `${expandContract} A longer varchar is harmless: say so with an allowance.`,
    source: 'squawk changing-column-type; strong_migrations "changing the type of a column"',
    matters: 'existing',
    *check(statement) {
      for (const { table, command } of changes(statement)) {
        if (command.subtype === 'AT_AlterColumnType')
          yield { detail: `${table}.${command.name} gets another type`, table };
      }
    },
  },
  {
    id: 'drop-column',
    severity: 'high',
    title: 'No column is dropped that the running application may read',
    why: 'its data is gone, and a version that is still running names it',
    instead:
      'Release a version that does not use it first; then drop it with an allowance that names that release.',
    source: 'squawk ban-drop-column; strong_migrations "removing a column"',
    matters: 'existing',
    *check(statement) {
      for (const { table, command } of changes(statement)) {
        if (command.subtype === 'AT_DropColumn')
          yield { detail: `${table}.${command.name} and its data go`, table };
      }
    },
  },
  {
    id: 'drop-table',
    severity: 'high',
    title: 'No table or view is dropped that the running application may read',
    why: 'its data is gone; a partition leaves by llama-db maintain, which looks whether a tenant still protects its rows',
    instead:
      'Release a version that does not use it first; then drop it with an allowance that names that release.',
    source: 'squawk ban-drop-table; strong_migrations "force option on create_table"',
    matters: 'existing',
    *check(statement) {
      for (const type of ['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW']) {
        for (const name of dropped(statement, type)) yield { detail: `${name} goes`, table: name };
      }
    },
  },
  {
    id: 'drop-schema',
    severity: 'critical',
    title: 'No schema is dropped',
    why: 'everything that anybody put into it goes with it',
    instead: 'Drop what is meant by name.',
    source: 'squawk ban-drop-database, one level down',
    *check(statement) {
      for (const name of dropped(statement, 'OBJECT_SCHEMA')) yield { detail: `schema ${name} goes` };
    },
  },
  {
    id: 'drop-database',
    severity: 'critical',
    title: 'No database is dropped',
    why: 'nothing brings it back but a restore of the whole server',
    instead: 'Leave that to a person.',
    source: 'squawk ban-drop-database',
    sections: ['up', 'down'],
    *check({ node }) {
      const drop = is(node, 'DropdbStmt');
      if (drop) yield { detail: `database ${drop.dbname} goes` };
    },
  },
  {
    id: 'drop-cascade',
    severity: 'high',
    title: 'A DROP says everything that goes',
    why: 'CASCADE takes views, policies and foreign keys along that nobody has looked at, others on each server',
    instead: 'Name what depends on it and drop it first.',
    source: 'PostgreSQL manual, Dependency Tracking',
    sections: ['up', 'down'],
    *check(statement) {
      const drop = is(statement.node, 'DropStmt');
      const column = changes(statement).some(
        ({ command }) => /^AT_Drop/.test(command.subtype ?? '') && command.behavior === 'DROP_CASCADE',
      );
      if (drop?.behavior === 'DROP_CASCADE' || column) yield { detail: 'CASCADE' };
    },
  },
  {
    id: 'drop-not-null',
    severity: 'medium',
    title: 'A column that is never null stays so',
    why: 'the running application does not expect a null there',
    instead: 'Release a version that does first; then drop it with an allowance that names that release.',
    source: 'squawk ban-drop-not-null',
    matters: 'existing',
    *check(statement) {
      for (const { table, command } of changes(statement)) {
        if (command.subtype === 'AT_DropNotNull')
          yield { detail: `${table}.${command.name} may be null`, table };
      }
    },
  },
  {
    id: 'truncate',
    severity: 'critical',
    title: 'No table is truncated',
    why: 'it passes row-level security and the audit trail by, and with CASCADE empties tables that are not named',
    instead: 'Delete rows with a condition, in batches.',
    source: 'squawk ban-truncate-cascade; PostgreSQL manual, Row Security Policies',
    sections: ['up', 'down'],
    places: ['migration', 'block', 'function'],
    *check({ node }) {
      const truncate = is(node, 'TruncateStmt');
      if (truncate)
        yield { detail: `TRUNCATE ${all(truncate.relations, 'RangeVar').map(nameOf).join(', ')}` };
    },
  },
  {
    id: 'undeclared-data-loss',
    severity: 'high',
    title: 'A rollback says of which tables it destroys rows',
    why: 'llama-db rollback asks before it destroys rows only where the head of the file names the table',
    instead: 'Add "-- loses data of: <table>" above "-- Up Migration".',
    source: 'decision 24',
    sections: ['down'],
    *check(statement, at) {
      for (const name of dropped(statement, 'OBJECT_TABLE')) {
        if (name.includes(standIn)) continue;
        if (!at.file.losesDataOf.includes(name.replace(/^llama\./, '')))
          yield { detail: `${name} is dropped and not named` };
      }
    },
  },
];
