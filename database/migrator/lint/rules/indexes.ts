/** How indexes are built and dropped beside a running application. */
import type { Rule } from '../rule.ts';
import { all, is, isOn, nameOf } from '../tree.ts';
import { changes } from './common.ts';
import { dropped } from './locks.ts';

const builder = 'In a TypeScript migration: pgm.noTransaction(); await buildPartitionedIndex(pgm, { … }).';

export const indexes: readonly Rule[] = [
  {
    id: 'index-not-concurrent',
    severity: 'high',
    title: 'An index is built without locking writers out',
    why: 'CREATE INDEX locks writers out until it is done; on a partitioned table it does so for all partitions at once',
    instead: builder,
    source: 'squawk require-concurrent-index-creation; strong_migrations "adding an index non-concurrently"',
    matters: 'large',
    *check({ node }) {
      const index = is(node, 'IndexStmt');
      if (!index || index.concurrent === true) return;
      // ON ONLY a partitioned table builds nothing.
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
    title: 'CONCURRENTLY is not asked of a partitioned table',
    why: 'PostgreSQL refuses CREATE INDEX CONCURRENTLY on a partitioned table and DROP INDEX CONCURRENTLY of its index',
    instead: `${builder} To drop one: dropPartitionedIndex.`,
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
    title: 'An index that a broken build left is built again',
    why: 'IF NOT EXISTS looks at the name only: an invalid leftover, or an index of another definition, is taken for the finished one',
    instead: `${builder} It drops an invalid leftover and compares the definition.`,
    source: 'reproduced on 15 and 18; squawk prefer-robust-stmts recommends this form',
    *check({ node }) {
      const index = is(node, 'IndexStmt');
      if (index?.concurrent === true && index.if_not_exists === true) {
        yield { detail: `index ${index.idxname} may be there and invalid` };
      }
    },
  },
  {
    id: 'concurrent-index-by-hand',
    severity: 'medium',
    title: 'A concurrent build can be repeated after a kill',
    why: 'a build that was killed leaves an invalid index, and the next run of the migration fails on its name',
    instead: builder,
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
    title: 'An index is dropped without locking anybody out for long',
    why: 'DROP INDEX takes ACCESS EXCLUSIVE on the table, and everybody queues behind its wait',
    instead:
      'In a TypeScript migration: pgm.noTransaction(); await dropPartitionedIndex(pgm, { table, name }), which steps back from a busy lock.',
    source:
      'squawk require-concurrent-index-deletion; strong_migrations "removing an index non-concurrently"',
    matters: 'large',
    *check(statement, at) {
      if (is(statement.node, 'DropStmt')?.concurrent === true) return;
      for (const name of dropped(statement, 'OBJECT_INDEX')) {
        yield {
          detail: `everybody waits for the drop of ${name}`,
          table: at.schema.indexes.get(name) ?? name,
        };
      }
    },
  },
  {
    id: 'reindex-not-concurrent',
    severity: 'high',
    title: 'An index is rebuilt CONCURRENTLY',
    why: 'REINDEX locks writers out, and readers that would use the index',
    instead: 'REINDEX … CONCURRENTLY, outside a transaction.',
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
    title: 'CONCURRENTLY stands in a migration without a transaction',
    why: 'PostgreSQL refuses CONCURRENTLY inside a transaction, and an .sql migration is always one',
    instead:
      'A TypeScript migration with pgm.noTransaction(), one statement a step. DETACH … CONCURRENTLY is what llama-db maintain does.',
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
    title: 'An index that is not unique has three key columns at most',
    why: 'a fourth column costs every write and seldom helps a read',
    instead: 'Keep what queries filter by; INCLUDE what they only read.',
    source: 'strong_migrations "keeping non-unique indexes to three columns or less"',
    *check({ node }) {
      const index = is(node, 'IndexStmt');
      const columns = all(index?.indexParams, 'IndexElem').length;
      if (index && index.unique !== true && columns > 3)
        yield { detail: `index ${index.idxname ?? ''} has ${columns} columns` };
    },
  },
];
