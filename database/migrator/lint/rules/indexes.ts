/** Builds and drops of indexes beside a running application. */

import { changes, dropped } from '../commands.ts';
import type { Family, Rule } from '../rule.ts';
import { all, is, isOn, nameOf } from '../tree.ts';

const builder =
  'In a TypeScript migration, call pgm.noTransaction() and await buildPartitionedIndex(pgm, { … }).';

/** Key columns of an index beyond which a further column seldom helps. */
const usefulKeyColumns = 3;

const rules: readonly Rule[] = [
  {
    id: 'index-not-concurrent',
    severity: 'high',
    title: 'Index builds do not block writers',
    why: 'CREATE INDEX blocks writers for its whole duration; on a partitioned table it blocks all partitions at once',
    remedy: builder,
    source: 'squawk require-concurrent-index-creation; strong_migrations "adding an index non-concurrently"',
    matters: 'large',
    *check({ node }) {
      const index = is(node, 'IndexStmt');
      if (!index || index.concurrent === true) return;
      // With ON ONLY on a partitioned table, nothing is built.
      if (index.relation?.inh !== true) return;
      yield {
        detail: `writers of ${nameOf(index.relation)} wait for index ${index.idxname ?? ''}`.trim(),
        table: nameOf(index.relation),
      };
    },
  },
  {
    id: 'concurrently-on-partitioned',
    severity: 'high',
    title: 'CONCURRENTLY is not used on partitioned tables',
    why: 'PostgreSQL refuses CREATE INDEX CONCURRENTLY on a partitioned table and DROP INDEX CONCURRENTLY of its index',
    remedy: `${builder} Drop an index with dropPartitionedIndex.`,
    source: 'reproduced on 15 and 18; squawk and strong_migrations ask for exactly this',
    *check(statement, at) {
      const index = is(statement.node, 'IndexStmt');
      if (index?.concurrent === true && at.schema.isPartitioned(nameOf(index.relation))) {
        yield { detail: `${nameOf(index.relation)} is partitioned` };
      }
      if (is(statement.node, 'DropStmt')?.concurrent !== true) return;
      for (const name of dropped(statement, 'OBJECT_INDEX')) {
        const table = at.schema.indexes.get(name) ?? '';
        if (at.schema.isPartitioned(table))
          yield { detail: `${name} is an index of ${table}, which is partitioned` };
      }
    },
  },
  {
    id: 'concurrent-if-not-exists',
    severity: 'high',
    title: 'A failed index build is repeated',
    why: 'IF NOT EXISTS compares only the name, so it accepts an invalid index or one with another definition',
    remedy: `${builder} It drops an invalid index and compares the definition.`,
    source: 'reproduced on 15 and 18; squawk prefer-robust-stmts recommends this form',
    *check({ node }) {
      const index = is(node, 'IndexStmt');
      if (index?.concurrent === true && index.if_not_exists === true) {
        yield { detail: `index ${index.idxname} may exist and be invalid` };
      }
    },
  },
  {
    id: 'concurrent-index-by-hand',
    severity: 'medium',
    title: 'A concurrent index build can be repeated after a kill',
    why: 'a killed build leaves an invalid index, and the next run of the migration fails because the name exists',
    remedy: builder,
    source:
      'node-pg-migrate 8.0.4, a no-transaction migration that failed half-way could not be repeated; strong_migrations remove_invalid_indexes',
    *check({ node }, at) {
      const index = is(node, 'IndexStmt');
      if (index?.concurrent !== true || index.if_not_exists === true) return;
      if (at.transactional || at.schema.isPartitioned(nameOf(index.relation))) return;
      yield { detail: `index ${index.idxname ?? ''} of ${nameOf(index.relation)}` };
    },
  },
  {
    id: 'index-drop-not-concurrent',
    severity: 'medium',
    title: 'Index drops do not block the application for long',
    why: 'DROP INDEX takes ACCESS EXCLUSIVE on the table, and all other sessions queue behind its wait',
    remedy:
      'In a TypeScript migration, call pgm.noTransaction() and await dropPartitionedIndex(pgm, { table, name }), which gives up a busy lock and retries.',
    source:
      'squawk require-concurrent-index-deletion; strong_migrations "removing an index non-concurrently"',
    matters: 'large',
    *check(statement, at) {
      if (is(statement.node, 'DropStmt')?.concurrent === true) return;
      for (const name of dropped(statement, 'OBJECT_INDEX')) {
        yield {
          detail: `all sessions wait for the drop of ${name}`,
          table: at.schema.indexes.get(name) ?? name,
        };
      }
    },
  },
  {
    id: 'reindex-not-concurrent',
    severity: 'high',
    title: 'Indexes are rebuilt CONCURRENTLY',
    why: 'REINDEX blocks writers, and readers that would use the index',
    remedy: 'Use REINDEX … CONCURRENTLY, outside a transaction.',
    source: 'squawk require-concurrent-reindex',
    *check({ node }) {
      const reindex = is(node, 'ReindexStmt');
      if (reindex && !isOn(reindex.params, 'concurrently')) {
        yield { detail: `REINDEX ${nameOf(reindex.relation) || (reindex.name ?? '')}` };
      }
    },
  },
  {
    id: 'concurrently-in-transaction',
    severity: 'high',
    title: 'CONCURRENTLY is used only in migrations without a transaction',
    why: 'PostgreSQL refuses CONCURRENTLY inside a transaction, and .sql migrations always run in one',
    remedy:
      'Write a TypeScript migration with pgm.noTransaction() and one statement per step. For DETACH … CONCURRENTLY, use llama-db maintain.',
    source: 'squawk ban-concurrent-index-creation-in-transaction; PR 915 of node-pg-migrate, closed unmerged',
    sections: ['up', 'down'],
    *check(statement, at) {
      if (!at.transactional && statement.place === 'migration') return;
      const { node } = statement;
      const reindex = is(node, 'ReindexStmt');
      const detach = changes(statement).some(
        ({ command }) =>
          command.subtype === 'AT_DetachPartition' && is(command.def, 'PartitionCmd')?.concurrent === true,
      );
      const concurrent =
        is(node, 'IndexStmt')?.concurrent === true ||
        is(node, 'DropStmt')?.concurrent === true ||
        (reindex !== undefined && isOn(reindex.params, 'concurrently')) ||
        detach;
      if (concurrent) yield { detail: 'this file runs in a transaction' };
    },
  },
  {
    id: 'wide-index',
    severity: 'low',
    title: 'Non-unique indexes have at most three key columns',
    why: 'a fourth column slows every write and seldom speeds up a read',
    remedy: 'Keep the columns that queries filter by as keys, and INCLUDE those that they only read.',
    source: 'strong_migrations "keeping non-unique indexes to three columns or less"',
    *check({ node }) {
      const index = is(node, 'IndexStmt');
      const columns = all(index?.indexParams, 'IndexElem').length;
      if (index && index.unique !== true && columns > usefulKeyColumns)
        yield { detail: `index ${index.idxname ?? ''} has ${columns} columns` };
    },
  },
  {
    id: 'index-on-only',
    severity: 'high',
    title: 'An index of a partitioned table covers its partitions',
    why: 'ON ONLY makes an invalid index, which no query uses and which enforces nothing, until an index of each partition is attached',
    remedy: builder,
    source: 'PostgreSQL manual, CREATE INDEX; check IDX-002',
    *check({ node, builder: whole }, at) {
      const index = is(node, 'IndexStmt');
      const table = nameOf(index?.relation);
      if (!index || whole === true || index.relation?.inh === true || !at.schema.isPartitioned(table)) return;
      const empty = at.size(table) === 'new' && (at.schema.registered.get(table) ?? 'none') === 'none';
      if (!empty) yield { detail: `${index.idxname ?? 'an index'} of ${table} stays invalid` };
    },
  },
  {
    id: 'materialized-view-without-key',
    severity: 'high',
    title: 'Materialized views have a unique index without a condition',
    why: 'REFRESH … CONCURRENTLY requires it, and every other refresh blocks readers',
    remedy: 'CREATE UNIQUE INDEX … ON the view (columns), in the same file.',
    source: 'PostgreSQL manual, REFRESH MATERIALIZED VIEW; check IDX-008',
    *atEnd(schema) {
      for (const [table, { kind, uniqueIndexes }] of schema.tables) {
        const lacks = kind === 'materialized view' && uniqueIndexes.size === 0;
        yield { table, detail: table, parts: lacks ? ['has no unique index'] : [] };
      }
    },
  },
];

export const family: Family = { title: 'Indexes', rules };
