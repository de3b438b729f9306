/** Changes that break the application version still running, or that lose data. */

import { groupRoles } from '../../../schema/roles.ts';
import { changes, dropped } from '../commands.ts';
import { typeWithModifiers } from '../known-table.ts';
import { type Family, type Rule, standIn } from '../rule.ts';
import { all, is, nameOf, objectNames, roleName } from '../tree.ts';

const expandContract =
  'Add the new object beside the old one, release an application version that uses it, and remove the old one in a later release.';
const running = 'the application version that is still running uses the old name';

/** Whether a type holds every value of another one in the same bytes, so that PostgreSQL rewrites and checks no row. */
function isLonger(before: string, after: string): boolean {
  const [, from = '', limits = ''] = /^(\w+)(?:\((.*)\))?$/.exec(before) ?? [];
  const [, to = '', wider = ''] = /^(\w+)(?:\((.*)\))?$/.exec(after) ?? [];
  const [precision = 0, scale = 0] = limits.split(',').map(Number);
  const [newPrecision = 0, newScale = 0] = wider.split(',').map(Number);
  if (from === 'varchar' && (to === 'text' || (to === 'varchar' && wider === ''))) return true;
  if (from === 'text') return to === 'varchar' && wider === '';
  if (from !== to || limits === '') return false;
  if (from === 'varchar' || from === 'varbit') return wider === '' || newPrecision >= precision;
  return from === 'numeric' && (wider === '' || (newPrecision >= precision && newScale === scale));
}

const releaseFirst =
  'Release a version that does not use it first. Then drop it with an allowance that names that release.';

const rules: readonly Rule[] = [
  {
    id: 'rename-column',
    severity: 'high',
    title: 'Columns keep their names',
    why: running,
    remedy: expandContract,
    source: 'squawk renaming-column; strong_migrations "renaming a column"',
    matters: 'existing',
    *check({ node }) {
      const rename = is(node, 'RenameStmt');
      if (rename?.renameType !== 'OBJECT_COLUMN') return;
      const table = nameOf(rename.relation);
      yield { detail: `${table}.${rename.subname} is renamed to ${rename.newname}`, table };
    },
  },
  {
    id: 'rename-table',
    severity: 'high',
    title: 'Tables and views keep their name and schema',
    why: running,
    remedy: expandContract,
    source: 'squawk renaming-table; strong_migrations "renaming a table"',
    matters: 'existing',
    *check({ node }) {
      const rename = is(node, 'RenameStmt');
      const types = ['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW'];
      if (rename && types.includes(rename.renameType ?? '')) {
        yield {
          detail: `${nameOf(rename.relation)} is renamed to ${rename.newname}`,
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
    title: 'Schemas keep their names',
    why: `${running}, in every query`,
    remedy: expandContract,
    source: 'strong_migrations "renaming a schema"',
    *check({ node }) {
      const rename = is(node, 'RenameStmt');
      if (rename?.renameType === 'OBJECT_SCHEMA')
        yield { detail: `${rename.subname} is renamed to ${rename.newname}` };
    },
  },
  {
    id: 'rename-enum-value',
    severity: 'high',
    title: 'Enum values keep their names',
    why: 'the application version that is still running writes and compares the old value',
    remedy: expandContract,
    source: 'strong_migrations "renaming an enum value"',
    *check({ node }) {
      const alter = is(node, 'AlterEnumStmt');
      if (alter?.oldVal !== undefined) yield { detail: `'${alter.oldVal}' is renamed to '${alter.newVal}'` };
    },
  },
  {
    id: 'column-type-change',
    severity: 'high',
    title: 'Columns keep their types',
    why: 'most changes rewrite the table under ACCESS EXCLUSIVE, and the running application binds the old type',
    remedy: `${expandContract} A longer varchar that no policy, view, trigger or check reads is harmless: with --url the lint sees it; otherwise accept it with an allowance.`,
    source: 'squawk changing-column-type; strong_migrations "changing the type of a column"',
    matters: 'existing',
    *check(statement, at) {
      for (const { table, command } of changes(statement)) {
        if (command.subtype !== 'AT_AlterColumnType') continue;
        const column = is(command.def, 'ColumnDef');
        const live = at.column?.(table, command.name ?? '');
        const longer =
          live &&
          column &&
          column.raw_default === undefined &&
          isLonger(live.type, typeWithModifiers(column));
        if (longer && live.usedBy.length === 0) continue;
        const used = longer ? `, which ${live.usedBy.join(', ')} reads` : '';
        yield { detail: `${table}.${command.name} changes its type${used}`, table };
      }
    },
  },
  {
    id: 'drop-column',
    severity: 'high',
    title: 'No column is dropped that the running application may read',
    why: 'its data is lost, and statements of the running application that name it fail',
    remedy: releaseFirst,
    source: 'squawk ban-drop-column; strong_migrations "removing a column"',
    matters: 'existing',
    *check(statement) {
      for (const { table, command } of changes(statement)) {
        if (command.subtype === 'AT_DropColumn')
          yield { detail: `${table}.${command.name} and its data are dropped`, table };
      }
    },
  },
  {
    id: 'drop-table',
    severity: 'high',
    title: 'No table or view is dropped that the running application may read',
    why: 'its data is lost; partitions are removed by llama-db maintain, which checks whether a tenant still protects their rows',
    remedy: releaseFirst,
    source: 'squawk ban-drop-table; strong_migrations "force option on create_table"',
    matters: 'existing',
    *check(statement) {
      for (const type of ['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW']) {
        for (const name of dropped(statement, type)) yield { detail: `${name} is dropped`, table: name };
      }
    },
  },
  {
    id: 'drop-schema',
    severity: 'critical',
    title: 'No schema is dropped',
    why: 'the drop can include objects that the migration does not name',
    remedy: 'Drop the objects by name.',
    source: 'squawk ban-drop-database, one level down',
    *check(statement) {
      for (const name of dropped(statement, 'OBJECT_SCHEMA')) yield { detail: `schema ${name} is dropped` };
    },
  },
  {
    id: 'drop-database',
    severity: 'critical',
    title: 'No database is dropped',
    why: 'only a restore of the whole server recovers it',
    remedy: 'Drop databases by hand, outside migrations.',
    source: 'squawk ban-drop-database',
    sections: ['up', 'down'],
    *check({ node }) {
      const drop = is(node, 'DropdbStmt');
      if (drop) yield { detail: `database ${drop.dbname} is dropped` };
    },
  },
  {
    id: 'drop-cascade',
    severity: 'high',
    title: 'A DROP names all dropped objects',
    why: 'CASCADE also drops dependent views, policies and foreign keys that no review has seen, and they can differ per server',
    remedy: 'Drop the dependent objects by name first.',
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
    title: 'NOT NULL columns stay NOT NULL',
    why: 'the application version that is still running does not expect nulls in the column',
    remedy:
      'Release a version that handles nulls first. Then drop the constraint with an allowance that names that release.',
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
    why: 'TRUNCATE bypasses row-level security and the audit trail, and with CASCADE also empties tables that it does not name',
    remedy: 'Delete rows in batches, with a condition.',
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
    title: 'A rollback declares the tables whose rows it destroys',
    why: 'llama-db rollback protects only the rows of tables that the head of the file names',
    remedy: 'Add "-- loses data of: <table>" above "-- Up Migration".',
    source: 'decision 24',
    sections: ['down'],
    *check(statement, at) {
      for (const name of dropped(statement, 'OBJECT_TABLE')) {
        if (name.includes(standIn)) continue;
        if (!at.file.losesDataOf.includes(name.replace(/^llama\./, '')))
          yield { detail: `${name} is dropped and not declared` };
      }
    },
  },
  {
    id: 'revoke-in-use',
    severity: 'high',
    title: 'No role loses a privilege that it may use',
    why: 'the next statement of the running application or of maintenance that needs it fails with "permission denied"',
    remedy:
      'Release a version that does not need it first. Then revoke it with an allowance that names that release.',
    source: 'check ISO-050; PostgreSQL manual, REVOKE',
    *check({ node }, at) {
      const revoke = is(node, 'GrantStmt');
      if (!revoke || revoke.is_grant === true || revoke.objtype === 'OBJECT_SCHEMA') return;
      const roles = all(revoke.grantees, 'RoleSpec')
        .map(roleName)
        .filter((role) => groupRoles.includes(role));
      const relations = all(revoke.objects, 'RangeVar').map(nameOf);
      const names = relations
        .filter((name) => at.size(name) !== 'new')
        .concat(
          revoke.objtype === 'OBJECT_FUNCTION'
            ? objectNames(revoke.objects).filter((name) => at.schema.functions.has(name))
            : [],
        );
      for (const name of names) {
        for (const role of roles) {
          const holds =
            revoke.objtype !== 'OBJECT_TABLE' ||
            [...(at.schema.tables.get(name)?.grants.keys() ?? [])].some((key) => key.startsWith(`${role} `));
          if (holds) yield { detail: `${role} loses privileges on ${name}` };
        }
      }
    },
  },
];

export const family: Family = { title: 'The running application, and data', rules };
