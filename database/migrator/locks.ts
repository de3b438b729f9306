/**
 * The strongest lock that each statement of a migration takes, and on what.
 * https://www.postgresql.org/docs/17/explicit-locking.html, and the page of each command
 */
import type { AlterTableCmd, Node } from 'libpg-query';
import { addedConstraints, changes } from './lint/commands.ts';
import type { Statement } from './lint/rule.ts';
import { all, is, nameOf, objectNames, option } from './lint/tree.ts';

/** Weakest first, without ACCESS SHARE and ROW SHARE, which block no ordinary statement. */
export const lockModes = [
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const;
export type LockMode = (typeof lockModes)[number];

/** The effect of a lock on other sessions. */
export const lockBlocks: Readonly<Record<LockMode, string>> = {
  'ROW EXCLUSIVE': 'no ordinary statement',
  'SHARE UPDATE EXCLUSIVE': 'changes of the schema and vacuum, no reads or writes',
  SHARE: 'writes',
  'SHARE ROW EXCLUSIVE': 'writes',
  EXCLUSIVE: 'writes',
  'ACCESS EXCLUSIVE': 'reads and writes',
};

export interface TakenLock {
  /** Table or index. */
  readonly on: string;
  readonly mode: LockMode;
}

/** The locks of a list of statements, the strongest per object; tables that they create themselves are left out. */
export function locksOf(statements: readonly Statement[]): TakenLock[] {
  const strongest = new Map<string, LockMode>();
  const created = new Set<string>();
  for (const statement of statements) {
    if (statement.place === 'function') continue;
    for (const { on, mode } of locksOfStatement(statement)) {
      if (on === '' || created.has(on)) continue;
      const known = strongest.get(on);
      if (known === undefined || lockModes.indexOf(mode) > lockModes.indexOf(known)) strongest.set(on, mode);
    }
    for (const name of createdBy(statement.node)) created.add(name);
  }
  return [...strongest]
    .map(([on, mode]) => ({ on, mode }))
    .sort((a, b) => lockModes.indexOf(b.mode) - lockModes.indexOf(a.mode) || (a.on < b.on ? -1 : 1));
}

function createdBy(node: Node): string[] {
  const into = is(node, 'CreateTableAsStmt')?.into?.rel;
  const index = is(node, 'IndexStmt');
  const names = [is(node, 'CreateStmt')?.relation, into, is(node, 'ViewStmt')?.view].map(nameOf);
  return [...names, index?.idxname ?? ''].filter((name) => name !== '');
}

export function locksOfStatement(statement: Statement): TakenLock[] {
  const { node } = statement;
  const written = [
    is(node, 'InsertStmt'),
    is(node, 'UpdateStmt'),
    is(node, 'DeleteStmt'),
    is(node, 'MergeStmt'),
  ].find((one) => one !== undefined);
  if (written) return [{ on: nameOf(written.relation), mode: 'ROW EXCLUSIVE' }];
  return [...ofTable(statement), ...ofIndex(node), ...ofDrop(node), ...ofOthers(node)];
}

/** Subcommands of ALTER TABLE with a lock below ACCESS EXCLUSIVE. */
const weaker: Readonly<Record<string, LockMode>> = {
  AT_SetStatistics: 'SHARE UPDATE EXCLUSIVE',
  AT_SetOptions: 'SHARE UPDATE EXCLUSIVE',
  AT_ResetOptions: 'SHARE UPDATE EXCLUSIVE',
  AT_SetRelOptions: 'SHARE UPDATE EXCLUSIVE',
  AT_ResetRelOptions: 'SHARE UPDATE EXCLUSIVE',
  AT_ClusterOn: 'SHARE UPDATE EXCLUSIVE',
  AT_DropCluster: 'SHARE UPDATE EXCLUSIVE',
  AT_ValidateConstraint: 'SHARE UPDATE EXCLUSIVE',
  AT_AttachPartition: 'SHARE UPDATE EXCLUSIVE',
  AT_EnableTrig: 'SHARE ROW EXCLUSIVE',
  AT_EnableAlwaysTrig: 'SHARE ROW EXCLUSIVE',
  AT_EnableReplicaTrig: 'SHARE ROW EXCLUSIVE',
  AT_EnableTrigAll: 'SHARE ROW EXCLUSIVE',
  AT_EnableTrigUser: 'SHARE ROW EXCLUSIVE',
  AT_DisableTrig: 'SHARE ROW EXCLUSIVE',
  AT_DisableTrigAll: 'SHARE ROW EXCLUSIVE',
  AT_DisableTrigUser: 'SHARE ROW EXCLUSIVE',
};

function ofTable(statement: Statement): TakenLock[] {
  const found = changes(statement).flatMap(({ table, command }): TakenLock[] => {
    const partition = is(command.def, 'PartitionCmd');
    if (command.subtype === 'AT_DetachPartition' && partition)
      return [
        { on: table, mode: partition.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE' },
        { on: nameOf(partition.name), mode: 'ACCESS EXCLUSIVE' },
      ];
    if (command.subtype === 'AT_DetachPartitionFinalize' && partition)
      return [
        { on: table, mode: 'SHARE UPDATE EXCLUSIVE' },
        { on: nameOf(partition.name), mode: 'ACCESS EXCLUSIVE' },
      ];
    const child = command.subtype === 'AT_AttachPartition' && partition ? nameOf(partition.name) : '';
    return [
      { on: table, mode: modeOf(command) },
      ...(child === '' ? [] : [{ on: child, mode: 'ACCESS EXCLUSIVE' } as const]),
    ];
  });
  const referenced = addedConstraints(statement).flatMap(({ constraint }): TakenLock[] =>
    constraint.contype === 'CONSTR_FOREIGN'
      ? [{ on: nameOf(constraint.pktable), mode: 'SHARE ROW EXCLUSIVE' }]
      : [],
  );
  const create = is(statement.node, 'CreateStmt');
  const parents = all(create?.inhRelations, 'RangeVar').map(
    (parent): TakenLock => ({
      on: nameOf(parent),
      mode: create?.partbound ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE',
    }),
  );
  const keys = [
    ...all(create?.tableElts, 'Constraint'),
    ...all(create?.tableElts, 'ColumnDef').flatMap(({ constraints }) => all(constraints, 'Constraint')),
  ].flatMap((constraint): TakenLock[] =>
    constraint.contype === 'CONSTR_FOREIGN'
      ? [{ on: nameOf(constraint.pktable), mode: 'SHARE ROW EXCLUSIVE' }]
      : [],
  );
  return [...found, ...referenced, ...parents, ...keys];
}

function modeOf(command: AlterTableCmd): LockMode {
  const constraint = command.subtype === 'AT_AddConstraint' ? is(command.def, 'Constraint') : undefined;
  if (constraint?.contype === 'CONSTR_FOREIGN') return 'SHARE ROW EXCLUSIVE';
  return weaker[command.subtype ?? ''] ?? 'ACCESS EXCLUSIVE';
}

function ofIndex(node: Node): TakenLock[] {
  const index = is(node, 'IndexStmt');
  if (index)
    return [{ on: nameOf(index.relation), mode: index.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE' }];
  const reindex = is(node, 'ReindexStmt');
  if (!reindex?.relation) return [];
  const concurrent = option(reindex.params, 'concurrently') !== undefined;
  const isIndex = reindex.kind === 'REINDEX_OBJECT_INDEX';
  return [
    {
      on: nameOf(reindex.relation),
      mode: concurrent ? 'SHARE UPDATE EXCLUSIVE' : isIndex ? 'ACCESS EXCLUSIVE' : 'SHARE',
    },
  ];
}

/** Kinds of objects whose removal locks them, or the table before the last name. */
const removedRelations = ['OBJECT_TABLE', 'OBJECT_INDEX', 'OBJECT_VIEW', 'OBJECT_MATVIEW', 'OBJECT_SEQUENCE'];
const removedOfTable = ['OBJECT_TRIGGER', 'OBJECT_POLICY', 'OBJECT_RULE'];

function ofDrop(node: Node): TakenLock[] {
  const drop = is(node, 'DropStmt');
  const kind = drop?.removeType ?? '';
  if (!drop) return [];
  const mode = drop.concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE';
  const names = objectNames(drop.objects);
  if (removedRelations.includes(kind)) return names.map((on) => ({ on, mode }));
  return removedOfTable.includes(kind)
    ? names.map((name) => ({ on: name.slice(0, Math.max(0, name.lastIndexOf('.'))), mode }))
    : [];
}

/** LOCK TABLE has its mode as a number; 1 and 2 block no ordinary statement. */
const firstNumber = 3;

function ofOthers(node: Node): TakenLock[] {
  const lock = is(node, 'LockStmt');
  const locked = lockModes[(lock?.mode ?? 0) - firstNumber];
  if (lock && locked)
    return all(lock.relations, 'RangeVar').map((one) => ({ on: nameOf(one), mode: locked }));
  const trigger = is(node, 'CreateTrigStmt');
  if (trigger) return [{ on: nameOf(trigger.relation), mode: 'SHARE ROW EXCLUSIVE' }];
  const policy = is(node, 'CreatePolicyStmt') ?? is(node, 'AlterPolicyStmt');
  if (policy) return [{ on: nameOf(policy.table), mode: 'ACCESS EXCLUSIVE' }];
  const rename = is(node, 'RenameStmt') ?? is(node, 'AlterObjectSchemaStmt');
  if (rename?.relation) {
    const index = 'renameType' in rename && rename.renameType === 'OBJECT_INDEX';
    return [{ on: nameOf(rename.relation), mode: index ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE' }];
  }
  const truncate = is(node, 'TruncateStmt');
  if (truncate)
    return all(truncate.relations, 'RangeVar').map((one) => ({ on: nameOf(one), mode: 'ACCESS EXCLUSIVE' }));
  const refresh = is(node, 'RefreshMatViewStmt');
  if (refresh)
    return [{ on: nameOf(refresh.relation), mode: refresh.concurrent ? 'EXCLUSIVE' : 'ACCESS EXCLUSIVE' }];
  const vacuum = is(node, 'VacuumStmt');
  if (vacuum) {
    const mode = option(vacuum.options, 'full') ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE';
    return all(vacuum.rels, 'VacuumRelation').map(({ relation }) => ({ on: nameOf(relation), mode }));
  }
  const cluster = is(node, 'ClusterStmt');
  if (cluster?.relation) return [{ on: nameOf(cluster.relation), mode: 'ACCESS EXCLUSIVE' }];
  const comment = is(node, 'CommentStmt');
  if (comment && (comment.objtype === 'OBJECT_TABLE' || comment.objtype === 'OBJECT_COLUMN')) {
    const name = objectNames(comment.object === undefined ? [] : [comment.object])[0] ?? '';
    const table =
      comment.objtype === 'OBJECT_TABLE' ? name : name.slice(0, Math.max(0, name.lastIndexOf('.')));
    return [{ on: table, mode: 'SHARE UPDATE EXCLUSIVE' }];
  }
  return [];
}
