/** What several rules look for. */
import type { AlterTableCmd, AlterTableStmt, ColumnDef, Constraint, RangeVar } from 'libpg-query';
import type { Statement } from '../rule.ts';
import { all, is, nameOf } from '../tree.ts';

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

/** Columns that are added to a table, with their constraints. */
export function addedColumns(statement: Statement): { readonly table: string; readonly column: ColumnDef }[] {
  return changes(statement).flatMap(({ table, command }) => {
    const column = command.subtype === 'AT_AddColumn' ? is(command.def, 'ColumnDef') : undefined;
    return column ? [{ table, column }] : [];
  });
}

/** Constraints that are added to a table, on their own or with a column. */
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

/** Columns of a CREATE TABLE, or added by an ALTER TABLE. */
export function newColumns(statement: Statement): { readonly table: string; readonly column: ColumnDef }[] {
  const create = is(statement.node, 'CreateStmt');
  if (!create) return addedColumns(statement);
  return all(create.tableElts, 'ColumnDef').map((column) => ({ table: nameOf(create.relation), column }));
}

/** Whether a column carries a constraint of this type. */
export function has({ constraints }: ColumnDef, type: Constraint['contype']): Constraint | undefined {
  return all(constraints, 'Constraint').find(({ contype }) => contype === type);
}
