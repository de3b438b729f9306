import type pg from 'pg';
import { type Bounds, leafName, month, monthName, parseBounds } from '../../database/maintain/months.ts';
import { readOnly } from '../../database/transaction.ts';
import { checksOf, type Finding, type Outcome } from '../check.ts';
import { modelOf, nameOf, owner, schema } from '../model.ts';
import { counted, judge, skip } from '../outcome.ts';
import type { RegisteredTable, Relation, Snapshot } from '../snapshot/facts.ts';

const day = 24 * 3600 * 1000;

interface BoundLeaf {
  readonly leaf: Relation;
  readonly bounds: Bounds;
}

/** Attached leaves with a range, oldest first. */
function ranges(snapshot: Snapshot, parent: Relation): readonly BoundLeaf[] {
  return modelOf(snapshot)
    .leavesOf(parent)
    .filter(({ detachPending }) => !detachPending)
    .flatMap((leaf) => {
      const bounds = parseBounds(leaf.bound);
      return bounds ? [{ leaf, bounds }] : [];
    })
    .sort((a, b) => a.bounds.from.getTime() - b.bounds.from.getTime());
}

/** First instant from which on, without a gap before it, there is no partition; undefined when now has none. */
function covered(snapshot: Snapshot, parent: Relation, from: Date): Date | undefined {
  let end: Date | undefined;
  for (const { bounds } of ranges(snapshot, parent)) {
    if (bounds.from <= (end ?? from) && bounds.to > (end ?? from)) end = bounds.to;
  }
  return end;
}

function look(snapshot: Snapshot): string {
  const { partitioned } = modelOf(snapshot);
  const leaves = partitioned.reduce((sum, parent) => sum + modelOf(snapshot).leavesOf(parent).length, 0);
  return `${counted(partitioned.length, 'partitioned table')}, ${counted(leaves, 'leaf', 'leaves')}`;
}

/** Judges every partitioned table, or every leaf of one. */
function overParents(snapshot: Snapshot, find: (parent: Relation) => readonly Finding[]): Outcome {
  return judge(look(snapshot), modelOf(snapshot).partitioned.flatMap(find));
}

function overRegistry(
  snapshot: Snapshot,
  find: (table: RegisteredTable, parent: Relation) => readonly Finding[],
): Outcome {
  const { registry } = snapshot;
  if ('unreadable' in registry)
    return skip(`llama.partitioned_tables cannot be read: ${registry.unreadable}`);
  const model = modelOf(snapshot);
  return judge(
    look(snapshot),
    registry.rows.flatMap((table) => {
      const parent = model.named(`${schema}.${table.name}`);
      return parent ? find(table, parent) : [];
    }),
  );
}

/** Names of partitions past their retention in which a tenant's own retention still protects rows. */
async function protectedLeaves(client: pg.Client): Promise<ReadonlySet<string>> {
  return readOnly(client, async () => {
    await client.query('SET LOCAL ROLE llama_owner');
    const { rows } = await client.query<{ name: string }>(
      'SELECT partition_name AS name FROM llama.partitions_past_retention() WHERE protected_by > 0',
    );
    return new Set(rows.map(({ name }) => name));
  });
}

export const checks = checksOf('partitions', [
  {
    id: 'PAR-001',
    name: 'current-month-has-partition',
    severity: 'critical',
    title: 'Every partitioned table has a partition for now',
    inspects: 'bounds of the attached leaves against the clock of the server',
    why: 'A missing partition is no slow path: every insert fails with "no partition of relation found for row".',
    remedy:
      'SELECT llama.create_partitions_ahead(), or llama-db maintain; then find out why maintenance did not run.',
    source: 'docs/decisions.md, 14',
    run: ({ snapshot }) =>
      overParents(snapshot, (parent) =>
        covered(snapshot, parent, snapshot.server.now)
          ? []
          : [{ object: nameOf(parent), detail: `no partition holds ${snapshot.server.now.toISOString()}` }],
      ),
  },
  {
    id: 'PAR-002',
    name: 'coming-months-have-partitions',
    severity: 'high',
    title: 'Partitions are ready for the months ahead',
    inspects:
      'how far the leaves reach from now without a gap, against months_ahead of llama.partitioned_tables; a new month has two days to be noticed',
    why: 'Maintenance that stopped unnoticed is an outage on the first of some month to come.',
    remedy: 'llama-db maintain; then find out why it did not run.',
    source: 'docs/decisions.md, 14; check_postgres partman_premake',
    run: ({ snapshot }) =>
      overRegistry(snapshot, ({ monthsAhead }, parent) => {
        const { now } = snapshot.server;
        const reaches = covered(snapshot, parent, now);
        const wanted = month(new Date(now.getTime() - 2 * day), monthsAhead + 1);
        // Not even now: that is PAR-001's to say.
        if (!reaches || reaches >= wanted) return [];
        const detail = `reaches to ${monthName(month(reaches, -1))}, ${monthsAhead} months ahead are asked for`;
        return [{ object: nameOf(parent), detail }];
      }),
  },
  {
    id: 'PAR-003',
    name: 'months-have-no-gap',
    severity: 'high',
    title: 'Months follow each other without a hole',
    inspects: 'upper bound of each leaf and lower bound of the next, from the oldest leaf to the newest',
    why: 'Rows that fall into a hole are refused; a hole of hours comes from bounds written in another time zone.',
    remedy:
      'SELECT llama.create_monthly_partition(table, first day of the month); for a hole inside a month attach a leaf of those bounds.',
    source: 'docs/decisions.md, 14; a five-hour hole reproduced with America/New_York',
    run: ({ snapshot }) =>
      overParents(snapshot, (parent) => {
        const all = ranges(snapshot, parent);
        return all.flatMap(({ leaf, bounds }, place): Finding[] => {
          const next = all[place + 1];
          if (!next || next.bounds.from.getTime() === bounds.to.getTime()) return [];
          const detail = `nothing holds ${bounds.to.toISOString()} to ${next.bounds.from.toISOString()}`;
          return [{ object: `${nameOf(parent)} after ${leaf.name}`, detail }];
        });
      }),
  },
  {
    id: 'PAR-004',
    name: 'leaves-span-one-utc-month',
    severity: 'high',
    title: 'Every leaf is one month of UTC and is named after it',
    inspects: 'kinds, schemas, bounds and names of leaves',
    why: "Bounds without an offset are read in the session's time zone; a name that lies about its month leads retention to the wrong rows; a leaf that is partitioned itself, or lies in another schema or on another server, is one that neither maintenance nor index builds know.",
    remedy: 'Detach the leaf, make the month with llama.create_monthly_partition, and move the rows.',
    source: 'docs/decisions.md, 14',
    run: ({ snapshot }) =>
      overParents(snapshot, (parent) =>
        modelOf(snapshot)
          .leavesOf(parent)
          .filter(({ bound }) => bound !== 'DEFAULT')
          .flatMap((leaf): Finding[] => {
            if (leaf.kind !== 'r') {
              const kind = leaf.kind === 'p' ? 'is partitioned itself' : 'is a foreign table';
              return [{ object: nameOf(leaf), detail: kind }];
            }
            if (leaf.schema !== schema)
              return [{ object: nameOf(leaf), detail: `lies outside schema ${schema}` }];
            const bounds = parseBounds(leaf.bound);
            const whole =
              bounds &&
              bounds.from.getTime() === month(bounds.from).getTime() &&
              bounds.to.getTime() === month(bounds.from, 1).getTime();
            if (!whole) return [{ object: nameOf(leaf), detail: `is no month of UTC: ${leaf.bound}` }];
            const name = leafName(parent.name, bounds.from);
            return leaf.name === name
              ? []
              : [{ object: nameOf(leaf), detail: `holds ${monthName(bounds.from)}, whose name is ${name}` }];
          }),
      ),
  },
  {
    id: 'PAR-005',
    name: 'no-default-partition',
    severity: 'high',
    title: 'No table has a default partition',
    inspects: 'leaves with bound DEFAULT',
    why: 'Each new month would scan it under ACCESS EXCLUSIVE and fail when it already holds rows of that month; DETACH CONCURRENTLY is refused while it exists.',
    remedy: 'Move its rows into partitions of their months, then detach and drop it.',
    source: 'docs/decisions.md, 14; PostgreSQL manual, ALTER TABLE',
    run: ({ snapshot }) =>
      overParents(snapshot, (parent) =>
        modelOf(snapshot)
          .leavesOf(parent)
          .filter(({ bound }) => bound === 'DEFAULT')
          .map((leaf) => ({ object: nameOf(leaf), detail: `is the default partition of ${parent.name}` })),
      ),
  },
  {
    id: 'PAR-006',
    name: 'no-pending-detach',
    severity: 'high',
    title: 'No detach is half done',
    inspects: 'pg_inherits.inhdetachpending',
    why: 'A DETACH CONCURRENTLY that was cut off leaves the leaf invisible to queries, and every later detach of that table fails until it is finalized.',
    remedy: 'llama-db maintain, which finalizes first; or ALTER TABLE … DETACH PARTITION … FINALIZE.',
    source: 'docs/decisions.md, 14; reproduced on PostgreSQL 17',
    run: ({ snapshot }) =>
      overParents(snapshot, (parent) =>
        modelOf(snapshot)
          .leavesOf(parent)
          .filter(({ detachPending }) => detachPending)
          .map((leaf) => ({ object: nameOf(leaf), detail: `is being detached from ${parent.name}` })),
      ),
  },
  {
    id: 'PAR-007',
    name: 'registry-matches-partitioned-tables',
    severity: 'high',
    title: 'The registry names exactly the tables that are partitioned',
    inspects: 'llama.partitioned_tables and the partitioned tables of schema llama, with their partition key',
    why: 'Maintenance works through the registry: a partitioned table that it does not name gets no new month.',
    remedy: 'A migration that partitions or registers the table.',
    source: 'docs/decisions.md, 14',
    run: ({ snapshot }) => {
      const { registry } = snapshot;
      if ('unreadable' in registry) {
        return skip(`llama.partitioned_tables cannot be read: ${registry.unreadable}`);
      }
      const model = modelOf(snapshot);
      const registered = new Set(registry.rows.map(({ name }) => name));
      return judge(`${counted(registry.rows.length, 'registered table')}, ${look(snapshot)}`, [
        ...model.partitioned
          .filter(({ name }) => !registered.has(name))
          .map((parent) => ({ object: nameOf(parent), detail: 'is partitioned and not registered' })),
        ...registry.rows.flatMap(({ name }): Finding[] => {
          const key = model.named(`${schema}.${name}`)?.partitionKey;
          if (key === 'RANGE ("timestamp")') return [];
          const detail = key
            ? `is partitioned by ${key}, not by RANGE ("timestamp")`
            : 'is registered and not partitioned';
          return [{ object: `${schema}.${name}`, detail }];
        }),
      ]);
    },
  },
  {
    id: 'PAR-008',
    name: 'expired-partitions-removed',
    severity: 'medium',
    title: 'No partition outlives its retention without a reason',
    inspects:
      'upper bounds of leaves against retention_days, with seven days for maintenance to come by; llama.partitions_past_retention() for what a tenant still protects',
    why: 'Data kept longer than promised is a breach of the promise, and storage nobody planned for.',
    remedy: 'llama-db maintain; then find out why it did not run.',
    source: 'docs/decisions.md, 14',
    run: async ({ snapshot, client }) => {
      const { registry } = snapshot;
      if ('unreadable' in registry) {
        return skip(`llama.partitioned_tables cannot be read: ${registry.unreadable}`);
      }
      const retention = new Map(registry.rows.map(({ name, retentionDays }) => [name, retentionDays]));
      const late = modelOf(snapshot).partitioned.flatMap((parent) => {
        const days = retention.get(parent.name);
        if (days === undefined) return [];
        const limit = snapshot.server.now.getTime() - (days + 7) * day;
        return ranges(snapshot, parent)
          .filter(({ bounds }) => bounds.to.getTime() < limit)
          .map(({ leaf, bounds }) => ({ leaf, days, ended: bounds.to }));
      });
      if (late.length === 0) return judge(look(snapshot), []);
      const kept = await protectedLeaves(client);
      return judge(
        look(snapshot),
        late
          .filter(({ leaf }) => !kept.has(leaf.name))
          .map(({ leaf, days, ended }) => ({
            object: nameOf(leaf),
            detail: `ended ${ended.toISOString().slice(0, 10)}, ${days} days are kept`,
          })),
      );
    },
  },
  {
    id: 'PAR-009',
    name: 'partitioned-tables-analyzed',
    severity: 'medium',
    title: 'The planner knows the size of partitioned tables',
    inspects: 'pg_class.reltuples of parents whose leaves have rows',
    why: 'Autovacuum analyses leaves and never the parent, whose statistics are what queries over several months are planned with.',
    remedy: 'SELECT llama.analyze_partitioned_tables(), or llama-db maintain.',
    source:
      'PostgreSQL manual, Routine Vacuuming (updating planner statistics); reproduced on PostgreSQL 15 and 18',
    run: ({ snapshot }) =>
      overParents(snapshot, (parent) => {
        const rows = modelOf(snapshot)
          .leavesOf(parent)
          .reduce((sum, { tuples }) => sum + Math.max(tuples, 0), 0);
        return parent.tuples < 0 && rows > 0
          ? [{ object: nameOf(parent), detail: `never analysed, its leaves have about ${rows} rows` }]
          : [];
      }),
  },
  {
    id: 'PAR-010',
    name: 'leaves-logged-and-owned',
    severity: 'high',
    title: 'Leaves survive a crash and belong to the owner of their table',
    inspects: 'pg_class.relpersistence and relowner of leaves',
    why: 'An unlogged leaf is empty after a crash or failover, and never reaches a replica; a leaf of another owner cannot be detached by maintenance.',
    remedy: `ALTER TABLE … SET LOGGED; ALTER TABLE … OWNER TO ${owner}.`,
    source: 'PostgreSQL manual, CREATE TABLE (UNLOGGED); docs/decisions.md, 11a',
    run: ({ snapshot }) =>
      overParents(snapshot, (parent) =>
        modelOf(snapshot)
          .leavesOf(parent)
          .flatMap((leaf): Finding[] => [
            ...(leaf.persistence === 'p' ? [] : [{ object: nameOf(leaf), detail: 'is unlogged' }]),
            ...(leaf.owner === parent.owner
              ? []
              : [{ object: nameOf(leaf), detail: `belongs to ${leaf.owner}, its table to ${parent.owner}` }]),
          ]),
      ),
  },
  {
    id: 'PAR-011',
    name: 'no-forgotten-detached-partition',
    severity: 'low',
    title: 'No detached partition is forgotten',
    inspects: 'tables of schema llama that are named like a leaf and attached to nothing',
    why: 'It holds rows that nobody queries, exports or erases; an insert of its month creates no new leaf beside it.',
    remedy: 'Archive and drop it, or attach it again.',
    source: 'docs/decisions.md, 14',
    run: ({ snapshot }) =>
      judge(
        look(snapshot),
        modelOf(snapshot).detached.map((table) => ({
          object: nameOf(table),
          detail: 'is attached to nothing',
        })),
      ),
  },
  {
    id: 'PAR-012',
    name: 'partition-policy-matches-settings',
    severity: 'high',
    title: "Months ahead and retention are the environment's",
    inspects: 'llama.partitioned_tables against the settings of the deployment',
    why: 'Maintenance follows the table: a retention that was changed in the settings alone is not in force.',
    remedy: 'llama-db maintain with the environment named writes them; the post-deploy step does too.',
    source: 'docs/decisions.md, 14',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      const { monthsAhead, retentionDays } = deployment.partitions;
      return overRegistry(snapshot, (table, parent) => {
        const days = retentionDays[table.name];
        return [
          ...(table.monthsAhead === monthsAhead
            ? []
            : [
                {
                  object: nameOf(parent),
                  detail: `months_ahead is ${table.monthsAhead}, settings say ${monthsAhead}`,
                },
              ]),
          ...(days === undefined || table.retentionDays === days
            ? []
            : [
                {
                  object: nameOf(parent),
                  detail: `retention_days is ${table.retentionDays}, settings say ${days}`,
                },
              ]),
        ];
      });
    },
  },
]);
