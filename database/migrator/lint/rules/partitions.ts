/** Creation and removal of partitions beside a running application. */
import type { PartitionBoundSpec } from 'libpg-query';
import { changes } from '../commands.ts';
import type { Family, Rule, Statement } from '../rule.ts';
import { occurrences } from '../section.ts';
import { all, is, nameOf, textOf } from '../tree.ts';

const creator =
  'Use llama.create_monthly_partition, which combines LIKE, CHECK and ATTACH, with bounds in UTC.';

const registry = 'llama.partitioned_tables';
const monthly = 'RANGE (timestamp)';

/** CREATE_TABLE_LIKE_IDENTITY of parsenodes.h. */
const likeIdentity = 1 << 5;

/** ADD CONSTRAINT … CHECK, by its table. */
const checkAdded = occurrences((statement) =>
  changes(statement)
    .filter(
      ({ command }) =>
        command.subtype === 'AT_AddConstraint' && is(command.def, 'Constraint')?.contype === 'CONSTR_CHECK',
    )
    .map(({ table }) => table),
);

const rules: readonly Rule[] = [
  {
    id: 'partition-of',
    severity: 'high',
    title: 'Partitions are created with LIKE and ATTACH',
    why: 'CREATE TABLE … PARTITION OF takes ACCESS EXCLUSIVE on the parent, so all readers and writers queue behind it; ATTACH does not block them',
    remedy: creator,
    source: 'reproduced on 15 and 18; decision 14',
    matters: 'existing',
    places: ['migration', 'block', 'function'],
    *check({ node }) {
      const create = is(node, 'CreateStmt');
      if (create?.partbound === undefined) return;
      const parent = nameOf(all(create.inhRelations, 'RangeVar')[0]);
      yield { detail: `${nameOf(create.relation)} locks ${parent} exclusively`, table: parent };
    },
  },
  {
    id: 'detach-not-concurrent',
    severity: 'high',
    title: 'Partitions are detached CONCURRENTLY, outside migrations',
    why: 'DETACH PARTITION takes ACCESS EXCLUSIVE on the parent, and PostgreSQL refuses CONCURRENTLY in transactions and functions',
    remedy:
      'Use llama-db maintain, which detaches partitions past retention and finalizes interrupted detaches.',
    source: 'squawk require-concurrent-partition-detach; decision 14',
    matters: 'existing',
    places: ['migration', 'block', 'function'],
    sections: ['up', 'down'],
    *check(statement) {
      for (const { table, command } of changes(statement)) {
        const detach = is(command.def, 'PartitionCmd');
        if (command.subtype !== 'AT_DetachPartition' || detach?.concurrent === true) continue;
        yield { detail: `the detach of ${nameOf(detach?.name)} locks ${table} exclusively`, table };
      }
    },
  },
  {
    id: 'partition-bound-without-offset',
    severity: 'high',
    title: 'Bounds of partitions include a time zone',
    why: 'PostgreSQL reads a bound in the time zone of the session, so partitions of two sessions overlap or leave a gap of hours, in which inserts fail',
    remedy: `Write bounds like '2027-01-01 00:00:00+00'. ${creator}`,
    source: 'reproduced on 15 and 18 with UTC, America/New_York and Europe/Berlin',
    places: ['migration', 'block', 'function'],
    *check(statement) {
      for (const { bound, name } of bounds(statement)) {
        for (const datum of [...(bound.lowerdatums ?? []), ...(bound.upperdatums ?? [])]) {
          const value = textOf(datum) ?? '';
          if (!/^\s*\d{4}-\d\d?-\d\d?/.test(value) || /([+-]\d\d(:?\d\d)?|Z|UTC)\s*$/i.test(value.slice(10)))
            continue;
          yield { detail: `'${value}' of ${name} has no time zone`, location: bound.location };
        }
      }
    },
  },
  {
    id: 'default-partition',
    severity: 'high',
    title: 'Tables have no default partition',
    why: 'each later partition locks and scans it, PostgreSQL refuses DETACH … CONCURRENTLY while it exists, and its rows prevent the partition of their month',
    remedy:
      'Create partitions in advance (llama.create_partitions_ahead), and alert on the number of months ahead.',
    source: 'reproduced on 15 and 18; pg_partman issues 359 and 387; decision 14',
    places: ['migration', 'block', 'function'],
    *check(statement) {
      for (const { bound, name } of bounds(statement)) {
        if (bound.is_default === true) yield { detail: `${name} is a default partition` };
      }
    },
  },
  {
    id: 'attach-without-check',
    severity: 'high',
    title: 'An attached table has a CHECK of its range',
    why: 'without it, ATTACH reads the whole table while it holds its locks',
    remedy:
      'Use ADD CONSTRAINT … CHECK ("timestamp" >= … AND "timestamp" < …) NOT VALID, then VALIDATE CONSTRAINT, then ATTACH. Drop the check afterwards.',
    source: 'PostgreSQL manual, Table Partitioning, Partition Maintenance',
    matters: 'existing',
    *check(statement, at) {
      for (const { table, command } of changes(statement)) {
        const attached = nameOf(is(command.def, 'PartitionCmd')?.name);
        if (command.subtype !== 'AT_AttachPartition') continue;
        if (!checkAdded.anywhere(at, attached))
          yield { detail: `all rows of ${attached} are read before it joins ${table}`, table: attached };
      }
    },
  },
  {
    id: 'like-copies-identity',
    severity: 'medium',
    title: 'Tables created for ATTACH have no identity column',
    why: 'since version 18, LIKE … INCLUDING ALL copies identity columns, and ATTACH fails with "may not contain an identity column"',
    remedy: 'Use LIKE … INCLUDING ALL EXCLUDING IDENTITY.',
    source: 'reproduced on 18; accepted on 15',
    places: ['migration', 'block', 'function'],
    *check({ node }, at) {
      for (const { relation, options = 0 } of all(is(node, 'CreateStmt')?.tableElts, 'TableLikeClause')) {
        if (at.schema.isPartitioned(nameOf(relation)) && (options & likeIdentity) !== 0) {
          yield { detail: `LIKE ${nameOf(relation)} copies identity columns` };
        }
      }
    },
  },
  {
    id: 'partitioned-table-unregistered',
    severity: 'high',
    title: 'Tables of schema llama are partitioned by RANGE ("timestamp") and registered, or neither',
    why: 'maintenance creates and removes partitions of registered tables only, so inserts fail when the last month is over',
    remedy: `PARTITION BY RANGE ("timestamp"), and INSERT INTO ${registry} (table_name, retention_days) VALUES (…).`,
    source: 'decision 14; check PAR-007',
    *atEnd(schema) {
      for (const [table, { partitionKey, partition }] of schema.tables) {
        if (!table.startsWith('llama.') || partitionKey === undefined || partition) continue;
        const parts = [
          ...(schema.registered.has(table) ? [] : [`is not in ${registry}`]),
          ...(partitionKey === monthly ? [] : [`is partitioned by ${partitionKey}`]),
        ];
        yield { table, detail: table, parts };
      }
      for (const table of schema.registered.keys()) {
        const known = schema.tables.get(table);
        const parts = known?.partitionKey === undefined ? [`is in ${registry} and not partitioned`] : [];
        yield { table, detail: table, parts };
      }
    },
  },
  {
    id: 'partitions-missing',
    severity: 'critical',
    title: 'The file that registers a partitioned table creates its months',
    why: 'an insert without a partition for its month fails, and the next maintenance runs only hours later',
    remedy:
      'Add SELECT llama.create_partitions_ahead(); after the registration, the policies and the triggers.',
    source: 'reproduced on 17; checks PAR-001 and PAR-002',
    *atEnd(schema) {
      for (const [table, months] of schema.registered) {
        if (!schema.tables.has(table)) continue;
        const lacks = { none: ['no partition'], one: ['one month only'], all: [] }[months];
        yield { table, detail: `the files create for ${table}`, parts: lacks };
      }
    },
  },
];

export const family: Family = { title: 'Partitions', rules };

function bounds({ node }: Statement): { readonly bound: PartitionBoundSpec; readonly name: string }[] {
  const create = is(node, 'CreateStmt');
  if (create?.partbound) return [{ bound: create.partbound, name: nameOf(create.relation) }];
  return all(is(node, 'AlterTableStmt')?.cmds, 'AlterTableCmd').flatMap(({ def }) => {
    const attach = is(def, 'PartitionCmd');
    return attach?.bound ? [{ bound: attach.bound, name: nameOf(attach.name) }] : [];
  });
}
