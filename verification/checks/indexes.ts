import { checksOf, type Finding } from '../check.ts';
import { modelOf, nameOf, schema, tenantColumn } from '../model.ts';
import { counted, judge, skip } from '../outcome.ts';
import type { Index, Snapshot } from '../snapshot/facts.ts';

const look = ({ indexes }: Snapshot) => counted(indexes.length, 'index', 'indexes');

function objectOf(snapshot: Snapshot, index: Index): string {
  const table = modelOf(snapshot).relation(index.relation);
  return `${index.name} on ${table ? nameOf(table) : index.relation}`;
}

/** Indexes of partitioned tables: they hold nothing themselves and are valid once every leaf has one attached. */
function isPartitioned(snapshot: Snapshot, index: Index): boolean {
  return modelOf(snapshot).relation(index.relation)?.kind === 'p';
}

export const checks = checksOf('indexes', [
  {
    id: 'IDX-001',
    name: 'indexes-valid',
    severity: 'high',
    title: 'Every index is valid',
    inspects: 'pg_index.indisvalid and indisready of every index that holds entries',
    why: 'CREATE INDEX CONCURRENTLY that failed leaves an index that every write maintains and no query uses; IF NOT EXISTS takes it for done.',
    remedy:
      'REINDEX INDEX CONCURRENTLY …, or drop it and run the migration again: the builder replaces invalid leftovers.',
    source: 'docs/decisions.md, 13; postgresai H001; pgdoctor indexes/invalid',
    run: ({ snapshot }) =>
      judge(
        look(snapshot),
        snapshot.indexes
          .filter((index) => !isPartitioned(snapshot, index) && !(index.valid && index.ready))
          .map((index) => ({
            object: objectOf(snapshot, index),
            detail: index.ready ? 'is invalid' : 'is not ready: a build was cut off or is running',
          })),
      ),
  },
  {
    id: 'IDX-002',
    name: 'leaves-have-parent-indexes',
    severity: 'high',
    title: 'Every leaf has every index of its table',
    inspects: 'indexes of partitioned tables, and for each leaf the index that is attached to them',
    why: 'The index of a partitioned table stays invalid until the last leaf has its own attached; until then queries over the leaves without one scan them.',
    remedy:
      'Run the migration that builds it again (the builder resumes), or CREATE INDEX CONCURRENTLY on the leaf and ALTER INDEX … ATTACH PARTITION.',
    source: 'docs/decisions.md, 13',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const attached = new Map<number, Set<number>>();
      for (const { parent, relation } of snapshot.indexes) {
        if (parent === null) continue;
        const leaves = attached.get(parent) ?? new Set();
        attached.set(parent, leaves.add(relation));
      }
      const parents = model.partitioned.flatMap((table) =>
        model.indexesOf(table).map((index) => ({ table, index })),
      );
      return judge(
        counted(parents.length, 'partitioned index', 'partitioned indexes'),
        parents.flatMap(({ table, index }): Finding[] => {
          const leaves = model.leavesOf(table).filter(({ detachPending }) => !detachPending);
          const lacking = leaves.filter(({ oid }) => !attached.get(index.oid)?.has(oid));
          if (lacking.length > 0) {
            const names = lacking.slice(0, 3).map(({ name }) => name);
            const more = lacking.length > 3 ? ` and ${lacking.length - 3} more` : '';
            return [{ object: objectOf(snapshot, index), detail: `not on ${names.join(', ')}${more}` }];
          }
          // Valid leaves below an invalid parent: attached, and the last attach never told the parent.
          const whole = leaves.every(({ oid }) =>
            model.indexesOf({ ...table, oid }).every((leaf) => leaf.parent !== index.oid || leaf.valid),
          );
          return !index.valid && whole ? [{ object: objectOf(snapshot, index), detail: 'is not valid' }] : [];
        }),
      );
    },
  },
  {
    id: 'IDX-004',
    name: 'no-duplicate-index',
    severity: 'low',
    title: 'No two indexes of a table do the same work',
    inspects: 'method, columns, operator classes, order and condition of indexes of one table',
    why: 'Each costs every write and disk, and one of them is never used.',
    remedy: 'DROP INDEX CONCURRENTLY the one that no constraint needs.',
    source: 'splinter 0009; postgresai H004',
    run: ({ snapshot }) => {
      const seen = new Map<string, Index>();
      return judge(
        look(snapshot),
        snapshot.indexes.flatMap((index): Finding[] => {
          if (index.likeness === null) return [];
          const key = `${index.relation} ${index.likeness}`;
          const twin = seen.get(key);
          if (!twin) seen.set(key, index);
          return twin ? [{ object: objectOf(snapshot, index), detail: `does what ${twin.name} does` }] : [];
        }),
      );
    },
  },
  {
    id: 'IDX-005',
    name: 'foreign-keys-indexed',
    severity: 'medium',
    title: 'Every foreign key has an index on its own side',
    inspects: 'foreign keys of schema llama, and indexes that start with their columns',
    why: 'Deleting or updating a referenced row scans the whole referring table, under a lock.',
    remedy: "CREATE INDEX on the key's columns (buildPartitionedIndex for a partitioned table).",
    source: 'splinter 0001',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const keys = snapshot.constraints.filter(
        ({ type, relation }) => type === 'f' && model.relation(relation)?.schema === schema,
      );
      return judge(
        counted(keys.length, 'foreign key'),
        keys.flatMap((key): Finding[] => {
          const table = model.relation(key.relation);
          if (!table) return [];
          const served = model.indexesOf(table).some(({ columns, partial }) => {
            const head = new Set(columns.slice(0, key.columns.length));
            return !partial && key.columns.every((column) => head.has(column));
          });
          return served
            ? []
            : [
                {
                  object: `${key.name} on ${nameOf(table)}`,
                  detail: `no index starts with (${key.columns.join(', ')})`,
                },
              ];
        }),
      );
    },
  },
  {
    id: 'IDX-006',
    name: 'tables-have-primary-key',
    severity: 'medium',
    title: 'Every table has a primary key',
    inspects: 'tables of schema llama that are no leaves',
    why: 'Without one a row cannot be named: logical replication refuses updates, and the audit trail has no key to keep.',
    remedy: 'ALTER TABLE … ADD PRIMARY KEY (with the partition column where the table is partitioned).',
    source: 'splinter 0004',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const closed = new Set(model.detached.map(({ oid }) => oid));
      const tables = snapshot.relations.filter(
        (relation) =>
          relation.schema === schema &&
          (relation.kind === 'r' || relation.kind === 'p') &&
          relation.parent === null &&
          !closed.has(relation.oid),
      );
      return judge(
        counted(tables.length, 'table'),
        tables
          .filter((table) => !model.indexesOf(table).some(({ primary }) => primary))
          .map((table) => ({ object: nameOf(table), detail: 'has no primary key' })),
      );
    },
  },
  {
    id: 'IDX-007',
    name: 'tenant-tables-indexed-by-tenant',
    severity: 'medium',
    title: "Every tenants' table has an index that starts with the tenant",
    inspects: "valid indexes of tenants' tables whose first column is tenant_id, without a condition",
    why: "The tenant is a condition of every query of the application role. Without such an index each of them reads all tenants' rows.",
    remedy: 'An index on (tenant_id, …).',
    source: 'pgrls PERF003; measured: 0.5 ms with, 80-450 ms without, over two million rows',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      return judge(
        counted(model.tenantTables.length, "tenants' table"),
        model.tenantTables
          .filter(
            (table) =>
              !model.indexesOf(table).some(({ columns, partial }) => columns[0] === tenantColumn && !partial),
          )
          .map((table) => ({ object: nameOf(table), detail: `no index starts with ${tenantColumn}` })),
      );
    },
  },
  {
    id: 'IDX-008',
    name: 'materialized-views-refresh-concurrently',
    severity: 'high',
    title: 'Every materialized view can be refreshed without stopping its readers',
    inspects: 'unique indexes without a condition or expression on materialized views',
    why: 'REFRESH … CONCURRENTLY needs one; without it every refresh fails, or locks readers out.',
    remedy: 'CREATE UNIQUE INDEX on the columns that identify a row of it.',
    source: 'PostgreSQL manual, REFRESH MATERIALIZED VIEW',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const views = snapshot.relations.filter(
        ({ kind, schema: within }) => kind === 'm' && within === schema,
      );
      return judge(
        counted(views.length, 'materialized view'),
        views
          .filter(
            (view) =>
              !model
                .indexesOf(view)
                .some(
                  ({ unique, partial, valid, columns }) =>
                    unique && !partial && valid && !columns.includes('?'),
                ),
          )
          .map((view) => ({
            object: nameOf(view),
            detail: 'has no unique index that REFRESH CONCURRENTLY can use',
          })),
      );
    },
  },
  {
    id: 'IDX-009',
    name: 'indexes-used',
    severity: 'low',
    title: 'No index has gone unused for a month',
    inspects:
      'pg_stat_user_indexes.idx_scan of indexes that enforce nothing, leaves counted with their parent, once the statistics cover 30 days and the table was read',
    why: 'Every write pays for an index, whether anybody reads it or not.',
    remedy: 'Drop it in a migration, after looking at the replica too: its reads are counted there.',
    source: 'splinter 0005; postgresai H002',
    run: ({ snapshot: { activity } }) => {
      const days = Math.floor(activity.statisticsDays);
      if (days < 30) return skip(`the statistics cover ${counted(days, 'day')}, which is too short to tell`);
      return judge(
        `${counted(activity.indexUse.length, 'index', 'indexes')} over ${days} days`,
        activity.indexUse
          .filter(({ scans, tableReads }) => scans === 0 && tableReads > 1000)
          .map(({ name }) => ({ object: `index ${name}`, detail: `was not read in ${days} days` })),
      );
    },
  },
]);
