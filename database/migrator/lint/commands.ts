/** Parts of statements that several rules inspect. */
import type { AlterTableCmd, AlterTableStmt, ColumnDef, Constraint, RangeVar } from 'libpg-query';
import type { Statement } from './rule.ts';
import { all, is, nameOf, objectNames } from './tree.ts';

export interface Change {
  readonly table: string;
  readonly relation: RangeVar | undefined;
  readonly command: AlterTableCmd;
}

/** Commands of an ALTER TABLE, with the table. */
export function changes({ node }: Statement): Change[] {
  const alter: AlterTableStmt | undefined = is(node, 'AlterTableStmt');
  if (!alter) return [];
  const table = nameOf(alter.relation);
  return all(alter.cmds, 'AlterTableCmd').map((command) => ({ table, relation: alter.relation, command }));
}

/** Columns that an ALTER TABLE adds, with their constraints. */
export function addedColumns(statement: Statement): { readonly table: string; readonly column: ColumnDef }[] {
  return changes(statement).flatMap(({ table, command }) => {
    const column = command.subtype === 'AT_AddColumn' ? is(command.def, 'ColumnDef') : undefined;
    return column ? [{ table, column }] : [];
  });
}

/** Constraints that an ALTER TABLE adds, on their own or with a column. */
export function addedConstraints(
  statement: Statement,
): { readonly table: string; readonly constraint: Constraint; readonly column: string | undefined }[] {
  const own = changes(statement).flatMap(({ table, command }) => {
    const constraint = command.subtype === 'AT_AddConstraint' ? is(command.def, 'Constraint') : undefined;
    return constraint ? [{ table, constraint, column: undefined }] : [];
  });
  const columns = addedColumns(statement).flatMap(({ table, column }) =>
    all(column.constraints, 'Constraint').map((constraint) => ({
      table,
      constraint,
      column: column.colname,
    })),
  );
  return [...own, ...columns];
}

/** Columns of a CREATE TABLE, or of an ALTER TABLE that adds them. */
export function newColumns(statement: Statement): { readonly table: string; readonly column: ColumnDef }[] {
  const create = is(statement.node, 'CreateStmt');
  if (!create) return addedColumns(statement);
  return all(create.tableElts, 'ColumnDef').map((column) => ({ table: nameOf(create.relation), column }));
}

/** The constraint of this type on a column, if any. */
export function has({ constraints }: ColumnDef, type: Constraint['contype']): Constraint | undefined {
  return all(constraints, 'Constraint').find(({ contype }) => contype === type);
}

/** Names in a DROP of this type (`OBJECT_TABLE`); empty for any other statement. */
export function dropped({ node }: Statement, type: string): string[] {
  const drop = is(node, 'DropStmt');
  return drop?.removeType === type ? objectNames(drop.objects) : [];
}
