/** How partitions come and go beside a running application. */
import type { PartitionBoundSpec } from 'libpg-query';
import type { Rule, Statement } from '../rule.ts';
import { all, is, nameOf, textOf } from '../tree.ts';
import { changes } from './common.ts';

const maker = 'llama.create_monthly_partition: LIKE, CHECK and ATTACH, with bounds in UTC.';

export const partitions: readonly Rule[] = [
  {
    id: 'partition-of',
    severity: 'high',
    title: 'A partition is made with LIKE and ATTACH',
    why: 'CREATE TABLE … PARTITION OF takes ACCESS EXCLUSIVE on the parent: every reader and writer queues behind it; ATTACH lets them pass',
    instead: maker,
    source: 'reproduced on 15 and 18; decision 14',
    matters: 'existing',
    places: ['migration', 'block', 'function'],
    *check({ node }) {
      const create = is(node, 'CreateStmt');
      if (create?.partbound === undefined) return;
      const parent = nameOf(all(create.inhRelations, 'RangeVar')[0]);
      yield { detail: `${nameOf(create.relation)} locks ${parent} against everybody`, table: parent };
    },
  },
  {
    id: 'detach-not-concurrent',
    severity: 'high',
    title: 'A partition is detached CONCURRENTLY, from the client',
    why: 'DETACH PARTITION takes ACCESS EXCLUSIVE on the parent, and CONCURRENTLY is refused in transactions and functions',
    instead: 'llama-db maintain detaches what is past its retention, and finalises what was interrupted.',
    source: 'squawk require-concurrent-partition-detach; decision 14',
    matters: 'existing',
    places: ['migration', 'block', 'function'],
    sections: ['up', 'down'],
    *check(statement) {
      for (const { table, command } of changes(statement)) {
        const detach = is(command.def, 'PartitionCmd');
        if (command.subtype !== 'AT_DetachPartition' || detach?.concurrent === true) continue;
        yield { detail: `${nameOf(detach?.name)} leaves ${table} with everybody locked out`, table };
      }
    },
  },
  {
    id: 'partition-bound-without-offset',
    severity: 'high',
    title: 'Bounds of a partition say their time zone',
    why: "a bound is read in the session's time zone: two sessions leave a hole of hours, in which inserts fail, or overlap",
    instead: `Write '2027-01-01 00:00:00+00', or use ${maker}`,
    source: 'reproduced on 15 and 18 with UTC, America/New_York and Europe/Berlin',
    places: ['migration', 'block', 'function'],
    *check(statement) {
      for (const { bound, name } of bounds(statement)) {
        for (const datum of [...(bound.lowerdatums ?? []), ...(bound.upperdatums ?? [])]) {
          const value = textOf(datum) ?? '';
          if (!/^\s*\d{4}-\d\d?-\d\d?/.test(value) || /([+-]\d\d(:?\d\d)?|Z|UTC)\s*$/i.test(value.slice(10)))
            continue;
          yield { detail: `'${value}' of ${name}`, location: bound.location };
        }
      }
    },
  },
  {
    id: 'default-partition',
    severity: 'high',
    title: 'There is no default partition',
    why: 'each later partition locks and scans it, DETACH … CONCURRENTLY is refused while it exists, and rows in it make their month impossible',
    instead: 'Make partitions ahead of need (llama.create_partitions_ahead) and alert on the runway.',
    source: 'reproduced on 15 and 18; pg_partman issues 359 and 387; decision 14',
    places: ['migration', 'block', 'function'],
    *check(statement) {
      for (const { bound, name } of bounds(statement)) {
        if (bound.is_default === true) yield { detail: `${name} takes every row that no partition is for` };
      }
    },
  },
  {
    id: 'attach-without-check',
    severity: 'high',
    title: 'What is attached has been proven to fit',
    why: 'without a CHECK of its range, ATTACH reads the whole table while it holds its locks',
    instead:
      'ADD CONSTRAINT … CHECK ("timestamp" >= … AND "timestamp" < …) NOT VALID, VALIDATE it, then ATTACH and drop the check.',
    source: 'PostgreSQL manual, Table Partitioning, Partition Maintenance',
    matters: 'existing',
    *check(statement, at) {
      for (const { table, command } of changes(statement)) {
        const attached = nameOf(is(command.def, 'PartitionCmd')?.name);
        if (command.subtype !== 'AT_AttachPartition') continue;
        const checked = at.statements.some((other) =>
          changes(other).some(
            (change) =>
              change.table === attached &&
              change.command.subtype === 'AT_AddConstraint' &&
              is(change.command.def, 'Constraint')?.contype === 'CONSTR_CHECK',
          ),
        );
        if (!checked)
          yield { detail: `${attached} is read whole to see whether it fits ${table}`, table: attached };
      }
    },
  },
  {
    id: 'like-copies-identity',
    severity: 'medium',
    title: 'A table made to be attached has no identity column',
    why: 'from version 18 on LIKE … INCLUDING ALL copies identity, and ATTACH then fails: "may not contain an identity column"',
    instead: 'LIKE … INCLUDING ALL EXCLUDING IDENTITY.',
    source: 'reproduced on 18; accepted on 15',
    places: ['migration', 'block', 'function'],
    *check({ node }, at) {
      for (const { relation, options = 0 } of all(is(node, 'CreateStmt')?.tableElts, 'TableLikeClause')) {
        // CREATE_TABLE_LIKE_IDENTITY of parsenodes.h.
        if (at.schema.isPartitioned(nameOf(relation)) && (options & (1 << 5)) !== 0) {
          yield { detail: `LIKE ${nameOf(relation)} copies identity columns` };
        }
      }
    },
  },
];

function bounds({ node }: Statement): { readonly bound: PartitionBoundSpec; readonly name: string }[] {
  const create = is(node, 'CreateStmt');
  if (create?.partbound) return [{ bound: create.partbound, name: nameOf(create.relation) }];
  return all(is(node, 'AlterTableStmt')?.cmds, 'AlterTableCmd').flatMap(({ def }) => {
    const attach = is(def, 'PartitionCmd');
    return attach?.bound ? [{ bound: attach.bound, name: nameOf(attach.name) }] : [];
  });
}
