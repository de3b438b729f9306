import type pg from 'pg';
import { type Bounds, leafName, month, monthName, parseBounds } from '../../database/maintain/months.ts';
import { readOnly } from '../../database/transaction.ts';
import { checksOf, type Finding, type Outcome } from '../check.ts';
import { modelOf, nameOf, owner, schema } from '../model.ts';
import { counted, judge, skip, unread } from '../outcome.ts';
import { leastRetentionDays, shortRetentionLimit } from '../snapshot/maintenance.ts';
import type { RegisteredTable, Relation, Snapshot } from '../snapshot/snapshot.ts';

const day = 24 * 3600 * 1000;

/** Days into a month before its last month ahead must exist. */
const newMonthDays = 2;
/** Days that maintenance has to remove an expired partition. */
const retentionGraceDays = 7;

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

/** The end of the partitions that follow `from` without a gap; undefined if no partition contains it. */
function coveredUntil(snapshot: Snapshot, parent: Relation, from: Date): Date | undefined {
  let end: Date | undefined;
  for (const { bounds } of ranges(snapshot, parent)) {
    if (bounds.from <= (end ?? from) && bounds.to > (end ?? from)) end = bounds.to;
  }
  return end;
}

function inspected(snapshot: Snapshot): string {
  const { partitioned } = modelOf(snapshot);
  const leaves = partitioned.reduce((sum, parent) => sum + modelOf(snapshot).leavesOf(parent).length, 0);
  return `${counted(partitioned.length, 'partitioned table')}, ${counted(leaves, 'leaf', 'leaves')}`;
}

/** First month that retention keeps. Every month is kept if the registry cannot be read or does not list the table. */
function firstKeptMonth({ registry, server }: Snapshot, { name }: Relation): Date {
  const days =
    'rows' in registry ? registry.rows.find((table) => table.name === name)?.retentionDays : undefined;
  return days === undefined ? new Date(0) : month(new Date(server.now.getTime() - days * day));
}

function forEachParent(snapshot: Snapshot, find: (parent: Relation) => readonly Finding[]): Outcome {
  return judge(inspected(snapshot), modelOf(snapshot).partitioned.flatMap(find));
}

function forEachRegistered(
  snapshot: Snapshot,
  find: (table: RegisteredTable, parent: Relation) => readonly Finding[],
): Outcome {
  const { registry } = snapshot;
  if ('unreadable' in registry) return unread(registry, 'llama.partitioned_tables cannot be read');
  const model = modelOf(snapshot);
  return judge(
    inspected(snapshot),
    registry.rows.flatMap((table) => {
      const parent = model.named(`${schema}.${table.name}`);
      return parent ? find(table, parent) : [];
    }),
  );
}

/** Names of partitions that maintenance may remove now: no tenant protects their rows, and no seal a longer retention. */
async function removableLeaves(client: pg.Client): Promise<ReadonlySet<string>> {
  return readOnly(client, async () => {
    await client.query('SET LOCAL ROLE llama_owner');
    const { rows } = await client.query<{ name: string }>(
      'SELECT partition_name AS name FROM llama.partitions_past_retention() WHERE protected_by = 0',
    );
    return new Set(rows.map(({ name }) => name));
  });
}

export const checks = checksOf('partitions', [
  {
    id: 'PAR-001',
    name: 'current-month-has-partition',
    loses: 'service',
    title: 'Every partitioned table has a partition for the current month',
    inspects: 'bounds of the attached leaves against the clock of the server',
    why: 'Without a partition every insert fails with "no partition of relation found for row".',
    remedy:
      'Run SELECT llama.create_partitions_ahead() or llama-db maintain; then find out why maintenance did not run.',
    source: 'docs/decisions.md, 14',
    run: ({ snapshot }) =>
      forEachParent(snapshot, (parent) =>
        coveredUntil(snapshot, parent, snapshot.server.now)
          ? []
          : [{ object: nameOf(parent), detail: `has no partition for ${snapshot.server.now.toISOString()}` }],
      ),
  },
  {
    id: 'PAR-002',
    name: 'coming-months-have-partitions',
    loses: 'availability',
    title: 'Partitions exist for all months ahead',
    inspects: `how far the leaves reach without a gap, against months_ahead of llama.partitioned_tables; maintenance has ${newMonthDays} days to create a new month`,
    why: 'If maintenance has stopped unnoticed, an outage follows on the first day of some later month.',
    remedy: 'Run llama-db maintain; then find out why it did not run.',
    source: 'docs/decisions.md, 14; check_postgres partman_premake',
    run: ({ snapshot }) =>
      forEachRegistered(snapshot, ({ monthsAhead }, parent) => {
        const { now } = snapshot.server;
        const reaches = coveredUntil(snapshot, parent, now);
        const wanted = month(new Date(now.getTime() - newMonthDays * day), monthsAhead + 1);
        // PAR-001 reports a table without a partition for now.
        if (!reaches || reaches >= wanted) return [];
        const detail = `ends with ${monthName(month(reaches, -1))}, expected ${counted(monthsAhead, 'month')} ahead`;
        return [{ object: nameOf(parent), detail }];
      }),
  },
  {
    id: 'PAR-003',
    name: 'months-have-no-gap',
    loses: 'availability',
    title: 'Partitions cover all months without a gap',
    inspects:
      'upper bound of each leaf and lower bound of the next, from the oldest leaf to the newest; not a gap past retention, where retention has removed an empty month',
    why: 'Rows that fall into a gap are refused. A gap of hours comes from bounds that were written in another time zone.',
    remedy:
      'Run llama-db maintain, which fills months that are missing. For a gap within a month, attach a leaf with those bounds.',
    source: 'docs/decisions.md, 14; a five-hour gap reproduced with America/New_York',
    run: ({ snapshot }) =>
      forEachParent(snapshot, (parent) => {
        const all = ranges(snapshot, parent);
        return all.flatMap(({ leaf, bounds }, place): Finding[] => {
          const next = all[place + 1];
          if (!next || next.bounds.from.getTime() === bounds.to.getTime()) return [];
          if (next.bounds.from <= firstKeptMonth(snapshot, parent)) return [];
          const detail = `no partition covers ${bounds.to.toISOString()} to ${next.bounds.from.toISOString()}`;
          return [{ object: `${nameOf(parent)} after ${leaf.name}`, detail }];
        });
      }),
  },
  {
    id: 'PAR-004',
    name: 'leaves-span-one-utc-month',
    loses: 'correctness',
    title: 'Every leaf holds one month in UTC and is named after it',
    inspects: 'kinds, schemas, bounds and names of leaves',
    why: 'Bounds without an offset are read in the time zone of the session. A name of another month leads retention to the wrong rows. Maintenance and index builds do not handle a leaf that is partitioned itself, foreign or in another schema.',
    remedy: 'Detach the leaf, create the month with llama.create_monthly_partition, and move the rows.',
    source: 'docs/decisions.md, 14',
    run: ({ snapshot }) =>
      forEachParent(snapshot, (parent) =>
        modelOf(snapshot)
          .leavesOf(parent)
          .filter(({ bound }) => bound !== 'DEFAULT')
          .flatMap((leaf): Finding[] => {
            if (leaf.kind !== 'r') {
              const kind = leaf.kind === 'p' ? 'is partitioned itself' : 'is a foreign table';
              return [{ object: nameOf(leaf), detail: kind }];
            }
            if (leaf.schema !== schema)
              return [{ object: nameOf(leaf), detail: `is not in schema ${schema}` }];
            const bounds = parseBounds(leaf.bound);
            const whole =
              bounds &&
              bounds.from.getTime() === month(bounds.from).getTime() &&
              bounds.to.getTime() === month(bounds.from, 1).getTime();
            if (!whole)
              return [{ object: nameOf(leaf), detail: `does not hold one month in UTC: ${leaf.bound}` }];
            const name = leafName(parent.name, bounds.from);
            return leaf.name === name
              ? []
              : [{ object: nameOf(leaf), detail: `holds ${monthName(bounds.from)}, expected name ${name}` }];
          }),
      ),
  },
  {
    id: 'PAR-005',
    name: 'no-default-partition',
    loses: 'availability',
    title: 'No table has a default partition',
    inspects: 'leaves with bound DEFAULT',
    why: 'Creating a month scans the default partition under ACCESS EXCLUSIVE, and fails if it already holds rows of that month. DETACH CONCURRENTLY is refused while it exists.',
    remedy: 'Move its rows into the partitions of their months, then detach and drop it.',
    source: 'docs/decisions.md, 14; PostgreSQL manual, ALTER TABLE',
    run: ({ snapshot }) =>
      forEachParent(snapshot, (parent) =>
        modelOf(snapshot)
          .leavesOf(parent)
          .filter(({ bound }) => bound === 'DEFAULT')
          .map((leaf) => ({ object: nameOf(leaf), detail: `is the default partition of ${parent.name}` })),
      ),
  },
  {
    id: 'PAR-006',
    name: 'no-pending-detach',
    loses: 'correctness',
    title: 'No partition waits for the end of its detach',
    inspects: 'pg_inherits.inhdetachpending',
    why: 'After an interrupted DETACH CONCURRENTLY queries do not see the leaf, and every later detach from that table fails until this one is finalized.',
    remedy: 'Run llama-db maintain, which finalizes first, or ALTER TABLE … DETACH PARTITION … FINALIZE.',
    source: 'docs/decisions.md, 14; reproduced on PostgreSQL 17',
    run: ({ snapshot }) =>
      forEachParent(snapshot, (parent) =>
        modelOf(snapshot)
          .leavesOf(parent)
          .filter(({ detachPending }) => detachPending)
          .map((leaf) => ({ object: nameOf(leaf), detail: `is being detached from ${parent.name}` })),
      ),
  },
  {
    id: 'PAR-007',
    name: 'registry-matches-partitioned-tables',
    loses: 'availability',
    title: 'The registry lists exactly the partitioned tables',
    inspects: 'llama.partitioned_tables and the partitioned tables of schema llama, with their partition key',
    why: 'Maintenance reads the registry: a partitioned table that is not in it gets no new months.',
    remedy: 'Partition or register the table with a migration.',
    source: 'docs/decisions.md, 14',
    run: ({ snapshot }) => {
      const { registry } = snapshot;
      if ('unreadable' in registry) {
        return unread(registry, 'llama.partitioned_tables cannot be read');
      }
      const model = modelOf(snapshot);
      const registered = new Set(registry.rows.map(({ name }) => name));
      return judge(`${counted(registry.rows.length, 'registered table')}, ${inspected(snapshot)}`, [
        ...model.partitioned
          .filter(({ name }) => !registered.has(name))
          .map((parent) => ({ object: nameOf(parent), detail: 'is partitioned but not registered' })),
        ...registry.rows.flatMap(({ name }): Finding[] => {
          const key = model.named(`${schema}.${name}`)?.partitionKey;
          if (key === 'RANGE ("timestamp")') return [];
          const detail = key
            ? `is partitioned by ${key}, expected RANGE ("timestamp")`
            : 'is registered but not partitioned';
          return [{ object: `${schema}.${name}`, detail }];
        }),
      ]);
    },
  },
  {
    id: 'PAR-008',
    name: 'expired-partitions-removed',
    loses: 'promise',
    title: 'No partition outlives its retention without a reason',
    inspects: `upper bounds of leaves against retention_days plus ${retentionGraceDays} days; llama.partitions_past_retention() for rows that a tenant's own retention protects, and for a longer retention of the audit trail in its seals`,
    why: 'Data that is kept longer than promised breaks the promise and fills the storage.',
    remedy: 'Run llama-db maintain; then find out why it did not run.',
    source: 'docs/decisions.md, 14',
    run: async ({ snapshot, client }) => {
      const { registry } = snapshot;
      if ('unreadable' in registry) {
        return unread(registry, 'llama.partitioned_tables cannot be read');
      }
      const retention = new Map(registry.rows.map(({ name, retentionDays }) => [name, retentionDays]));
      const late = modelOf(snapshot).partitioned.flatMap((parent) => {
        const days = retention.get(parent.name);
        if (days === undefined) return [];
        const limit = snapshot.server.now.getTime() - (days + retentionGraceDays) * day;
        return ranges(snapshot, parent)
          .filter(({ bounds }) => bounds.to.getTime() < limit)
          .map(({ leaf, bounds }) => ({ leaf, days, ended: bounds.to }));
      });
      if (late.length === 0) return judge(inspected(snapshot), []);
      const removable = await removableLeaves(client);
      return judge(
        inspected(snapshot),
        late
          .filter(({ leaf }) => removable.has(leaf.name))
          .map(({ leaf, days, ended }) => ({
            object: nameOf(leaf),
            detail: `ended ${ended.toISOString().slice(0, 10)}, retention is ${counted(days, 'day')}`,
          })),
      );
    },
  },
  {
    id: 'PAR-009',
    name: 'partitioned-tables-analyzed',
    loses: 'time',
    title: 'Partitioned tables have statistics',
    inspects: 'pg_class.reltuples of parents whose leaves have rows',
    why: 'Autovacuum analyzes leaves but never the parent, whose statistics the planner uses for queries over several months.',
    remedy: 'SELECT llama.analyze_partitioned_tables(), or run llama-db maintain.',
    source:
      'PostgreSQL manual, Routine Vacuuming (updating planner statistics); reproduced on PostgreSQL 15 and 18',
    run: ({ snapshot }) =>
      forEachParent(snapshot, (parent) => {
        const rows = modelOf(snapshot)
          .leavesOf(parent)
          .reduce((sum, { tuples }) => sum + Math.max(tuples, 0), 0);
        return parent.tuples < 0 && rows > 0
          ? [
              {
                object: nameOf(parent),
                detail: `was never analyzed, its leaves have about ${counted(rows, 'row')}`,
              },
            ]
          : [];
      }),
  },
  {
    id: 'PAR-010',
    name: 'leaves-owned-like-parent',
    loses: 'availability',
    title: 'Leaves have the owner of their parent',
    inspects: 'pg_class.relowner of leaves; SCM-013 inspects whether they are logged',
    why: 'Maintenance cannot detach a leaf of another owner.',
    remedy: `ALTER TABLE … OWNER TO ${owner}.`,
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) =>
      forEachParent(snapshot, (parent) =>
        modelOf(snapshot)
          .leavesOf(parent)
          .filter((leaf) => leaf.owner !== parent.owner)
          .map((leaf) => ({
            object: nameOf(leaf),
            detail: `is owned by ${leaf.owner}, its parent by ${parent.owner}`,
          })),
      ),
  },
  {
    id: 'PAR-011',
    name: 'no-forgotten-detached-partition',
    loses: 'upkeep',
    title: 'No detached partition is left behind',
    inspects: 'tables of schema llama that are named like a leaf but not attached',
    why: 'Nobody queries, exports or erases its rows, and its name prevents a new leaf of that month.',
    remedy: 'Archive and drop it, or attach it again.',
    source: 'docs/decisions.md, 14',
    run: ({ snapshot }) =>
      judge(
        inspected(snapshot),
        modelOf(snapshot).detached.map((table) => ({
          object: nameOf(table),
          detail: 'is detached',
        })),
      ),
  },
  {
    id: 'PAR-012',
    name: 'partition-policy-matches-settings',
    loses: 'promise',
    title: 'Months ahead and retention match the environment',
    inspects: 'llama.partitioned_tables against the settings of the deployment',
    why: 'Maintenance reads the table: a retention that was changed only in the settings is not in force.',
    remedy:
      'Run llama-db maintain with the environment, which writes them; the post-deploy step writes them too.',
    source: 'docs/decisions.md, 14',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      const { monthsAhead, retentionDays } = deployment.partitions;
      return forEachRegistered(snapshot, (table, parent) => {
        const days = retentionDays[table.name];
        return [
          ...(table.monthsAhead === monthsAhead
            ? []
            : [
                {
                  object: nameOf(parent),
                  detail: `months_ahead is ${table.monthsAhead}, expected ${monthsAhead}`,
                },
              ]),
          ...(days === undefined || table.retentionDays === days
            ? []
            : [
                {
                  object: nameOf(parent),
                  detail: `retention_days is ${table.retentionDays}, expected ${days}`,
                },
              ]),
        ];
      });
    },
  },
  {
    id: 'PAR-013',
    name: 'no-tenant-erases-at-once',
    loses: 'data',
    title: `No tenant keeps its records for less than ${leastRetentionDays} days`,
    inspects: 'storage_retention_days of llama.tenant_configs; negative numbers and NULL keep records',
    why: 'With 0 days the next run of llama.apply_retention() erases every record of the tenant, and no backup of the database brings back a single tenant.',
    remedy:
      'Ask the tenant. UPDATE llama.tenant_configs SET storage_retention_days = … stops the erasure; the audit trail names who set the number.',
    source: 'migrations/0011_maintenance.sql; environments/rules/capacity.ts',
    run: ({ snapshot: { shortRetention } }) => {
      if ('unreadable' in shortRetention) {
        return unread(shortRetention, 'llama.tenant_configs cannot be read');
      }
      const more = shortRetention.length > shortRetentionLimit ? ' (and of further tenants)' : '';
      return judge(
        'llama.tenant_configs',
        shortRetention.slice(0, shortRetentionLimit).map(({ tenant, days }) => ({
          object: `tenant ${JSON.stringify(tenant)}`,
          detail: `erases its records after ${counted(days, 'day')}${more}`,
        })),
      );
    },
  },
]);
