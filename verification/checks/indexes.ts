import { checksOf, type Finding } from '../check.ts';
import { modelOf, nameOf, schema, tenantColumn } from '../model.ts';
import { counted, judge, skip } from '../outcome.ts';
import type { Index, Snapshot } from '../snapshot/snapshot.ts';

/** Days of statistics after which an index without a read counts as unused. */
const unusedDays = 30;
/** Reads of a table below which its statistics prove nothing. */
const leastTableReads = 1000;

const inspected = ({ indexes }: Snapshot) => counted(indexes.length, 'index', 'indexes');

function objectOf(snapshot: Snapshot, index: Index): string {
  const table = modelOf(snapshot).relation(index.relation);
  return `${index.name} on ${table ? nameOf(table) : index.relation}`;
}

/** The index of a partitioned table holds no entries and is valid once every leaf has an attached one. */
function isPartitioned(snapshot: Snapshot, index: Index): boolean {
  return modelOf(snapshot).relation(index.relation)?.kind === 'p';
}

export const checks = checksOf('indexes', [
  {
    id: 'IDX-001',
    name: 'indexes-valid',
    loses: 'correctness',
    title: 'Every index is valid',
    inspects: 'pg_index.indisvalid, indisready and indislive of every index that holds entries',
    why: 'A failed CREATE INDEX CONCURRENTLY leaves an index that every write maintains and no query uses. IF NOT EXISTS accepts it.',
    remedy:
      'REINDEX INDEX CONCURRENTLY …, or drop it and run the migration again, which replaces invalid indexes.',
    source: 'docs/decisions.md, 13; postgresai H001; pgdoctor indexes/invalid',
    run: ({ snapshot }) =>
      judge(
        inspected(snapshot),
        snapshot.indexes
          .filter((index) => !isPartitioned(snapshot, index) && !(index.valid && index.ready))
          .map((index) => ({
            object: objectOf(snapshot, index),
            detail: index.ready
              ? 'is invalid'
              : 'is not ready: its build or its removal was interrupted or is running',
          })),
      ),
  },
  {
    id: 'IDX-002',
    name: 'leaves-have-parent-indexes',
    loses: 'availability',
    title: 'Every leaf has every index of its parent',
    inspects: 'indexes of partitioned tables, and the index of each leaf that is attached to them',
    why: 'The index of a partitioned table stays invalid until every leaf has an attached one. Queries scan the leaves without it.',
    remedy:
      'Run the migration that builds it again (the build resumes), or CREATE INDEX CONCURRENTLY on the leaf and ALTER INDEX … ATTACH PARTITION.',
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
            return [
              { object: objectOf(snapshot, index), detail: `is missing on ${names.join(', ')}${more}` },
            ];
          }
          // All leaves are attached and valid, but the last attach did not mark the parent valid.
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
    loses: 'time',
    title: 'No table has two equal indexes',
    inspects: 'method, columns, operator classes, order and condition of indexes of one table',
    why: 'Every write maintains both, and queries use only one.',
    remedy: 'DROP INDEX CONCURRENTLY on the one that no constraint needs.',
    source: 'splinter 0009; postgresai H004',
    run: ({ snapshot }) => {
      const seen = new Map<string, Index>();
      return judge(
        inspected(snapshot),
        snapshot.indexes.flatMap((index): Finding[] => {
          if (index.likeness === null) return [];
          const key = `${index.relation} ${index.likeness}`;
          const twin = seen.get(key);
          if (!twin) seen.set(key, index);
          return twin ? [{ object: objectOf(snapshot, index), detail: `equals ${twin.name}` }] : [];
        }),
      );
    },
  },
  {
    id: 'IDX-005',
    name: 'foreign-keys-indexed',
    loses: 'time',
    title: 'Every foreign key has an index on its referencing side',
    inspects: 'foreign keys of schema llama, and indexes that start with their columns',
    why: 'Deleting or updating a referenced row scans the whole referencing table under a lock.',
    remedy: 'CREATE INDEX on the columns of the key (buildPartitionedIndex for a partitioned table).',
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
                  detail: `has no index that starts with (${key.columns.join(', ')})`,
                },
              ];
        }),
      );
    },
  },
  {
    id: 'IDX-006',
    name: 'tables-have-primary-key',
    loses: 'traces',
    title: 'Every table has a primary key',
    inspects: 'tables of schema llama except leaves',
    why: 'Without one, logical replication refuses updates, and the audit trail has no key to record.',
    remedy: 'ALTER TABLE … ADD PRIMARY KEY (with the partition column if the table is partitioned).',
    source: 'splinter 0004',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const detached = new Set(model.detached.map(({ oid }) => oid));
      const tables = snapshot.relations.filter(
        (relation) =>
          relation.schema === schema &&
          (relation.kind === 'r' || relation.kind === 'p') &&
          relation.parent === null &&
          !detached.has(relation.oid),
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
    loses: 'time',
    title: 'Every tenant table has an index that starts with the tenant',
    inspects: 'valid indexes of tenant tables whose first column is tenant_id, without a condition',
    why: 'Every query of the application role filters by tenant. Without such an index each query reads the rows of all tenants.',
    remedy: 'Create an index on (tenant_id, …).',
    source: 'pgrls PERF003; measured: 0.5 ms with, 80-450 ms without, over two million rows',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      return judge(
        counted(model.tenantTables.length, 'tenant table'),
        model.tenantTables
          .filter(
            (table) =>
              !model.indexesOf(table).some(({ columns, partial }) => columns[0] === tenantColumn && !partial),
          )
          .map((table) => ({
            object: nameOf(table),
            detail: `has no index that starts with ${tenantColumn}`,
          })),
      );
    },
  },
  {
    id: 'IDX-008',
    name: 'materialized-views-refresh-concurrently',
    loses: 'availability',
    title: 'Every materialized view can be refreshed concurrently',
    inspects: 'unique indexes without a condition or expression on materialized views',
    why: 'REFRESH … CONCURRENTLY needs one. Without it every refresh fails or blocks readers.',
    remedy: 'CREATE UNIQUE INDEX on the columns that identify a row of the view.',
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
    loses: 'time',
    title: `Every index was used within ${unusedDays} days`,
    inspects: `pg_stat_user_indexes.idx_scan of indexes that enforce nothing, leaves counted with their parent, once the statistics cover ${unusedDays} days and the table was read`,
    why: 'Every write maintains the index, even if no query reads it.',
    remedy: 'Check the replica too, which counts its own reads; then drop it in a migration.',
    source: 'splinter 0005; postgresai H002',
    run: ({ snapshot: { activity } }) => {
      const days = Math.floor(activity.statisticsDays);
      if (days < unusedDays) return skip(`the statistics cover ${counted(days, 'day')}, too few to judge`);
      return judge(
        `${counted(activity.indexUse.length, 'index', 'indexes')} over ${days} days`,
        activity.indexUse
          .filter(({ scans, tableReads }) => scans === 0 && tableReads > leastTableReads)
          .map(({ name }) => ({
            object: `index ${name}`,
            detail: `was not used in ${counted(days, 'day')}`,
          })),
      );
    },
  },
  {
    id: 'IDX-010',
    name: 'collations-current',
    loses: 'correctness',
    title: 'Indexes on text were built with the collation version of the server',
    inspects:
      'recorded and actual collation version of the database, and of every collation that something depends on',
    why: 'After an upgrade or a restore, the library may sort text in another order. A search in an index then misses rows, and a unique key accepts duplicates.',
    remedy:
      'As llama_owner REINDEX SCHEMA CONCURRENTLY llama, then ALTER DATABASE … (ALTER COLLATION …) REFRESH COLLATION VERSION.',
    source: 'PostgreSQL manual, ALTER COLLATION, Notes; docs/restoring.md',
    run: ({ snapshot: { collations } }) =>
      judge(
        counted(collations.length, 'collation'),
        collations
          .filter(({ recorded, actual }) => recorded !== actual)
          .map(({ object, recorded, actual }) => ({
            object,
            detail: `has version ${recorded ?? 'none'} recorded, and the server has ${actual ?? 'none'}`,
          })),
      ),
  },
]);
