/** Whether all connections fit on the servers, and how long partitions are kept. */
import { reservedConnections } from '../../azure/skus.ts';
import { type Candidate, type CandidateServer, numberInForce } from '../resolved.ts';
import { check, defineRules, repeated, urls } from '../rule.ts';

/** Connections that a migration run holds at once: the one with the lock, and the one that migrates. */
export const migrationConnections = 2;

/** Months of partitions created ahead. */
const monthsAhead = { minimum: 1, maximum: 24 } as const;

/** Days that rows are kept. The summary view covers the minimum. */
const retentionDays = { minimum: 7, maximum: 3650 } as const;

/** Days that the audit trail is kept at least; llama.partitioned_tables has the same constraint. */
const auditRetentionDays = 90;

/** Connections by their holders, at full scale while a migration runs. */
export interface ClaimedConnections {
  readonly pools: number;
  readonly migrations: number;
  /** Jobs of pg_cron, which are client sessions: `cron.use_background_workers` is off. */
  readonly scheduledJobs: number;
  readonly total: number;
}

export function claimedConnections({ server, servers, database }: Candidate): ClaimedConnections {
  const pools = database.pools.reduce((sum, pool) => sum + pool.maxSize * pool.instances, 0);
  const scheduledJobs = server.extensions.includes('pg_cron')
    ? (numberInForce(servers.primary, 'cron.max_running_jobs') ?? 0)
    : 0;
  const total = pools + migrationConnections + scheduledJobs;
  return { pools, migrations: migrationConnections, scheduledJobs, total };
}

function available({ maxConnections }: CandidateServer): number | undefined {
  return maxConnections === undefined ? undefined : maxConnections - reservedConnections;
}

export const capacityRules = defineRules({
  'capacity/pool-size': {
    rule: 'a pool has at least one connection and at least one instance',
    source: 'https://node-postgres.com/apis/pool',
    remedy: 'Leave out a client that does not connect.',
    check: ({ database }) =>
      database.pools.flatMap((pool, position) =>
        (['maxSize', 'instances'] as const).flatMap((part) =>
          check(pool[part] >= 1, `database.pools.${position}.${part}`, pool[part]),
        ),
      ),
  },

  'capacity/pools-are-distinct': {
    rule: "a pool's name is used once: it distinguishes clients in pg_stat_activity",
    source: 'https://www.postgresql.org/docs/17/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW',
    check: ({ database }) =>
      repeated(database.pools, (pool) => pool.name).map(({ item, position }) => ({
        field: `database.pools.${position}.name`,
        value: item.name,
      })),
  },

  /** Readers count in full on both servers: after a switchover or the loss of a region, all of them are on one. */
  'capacity/connections-fit': {
    rule: 'pools, migrations and scheduled jobs together fit into max_connections without the slots that Azure reserves',
    source: `docs/decisions.md, 23; ${urls.limits}`,
    remedy: 'Make pools smaller or fewer, connect through PgBouncer, or choose a larger size.',
    check: (candidate) => {
      const { pools, migrations, scheduledJobs, total } = claimedConnections(candidate);
      const { primary, replica } = candidate.servers;
      // Two servers with the same limit are one finding.
      const servers =
        replica && replica.maxConnections !== primary.maxConnections ? [primary, replica] : [primary];
      return servers.flatMap((server) => {
        const free = available(server);
        return check(free === undefined || total <= free, 'database.pools', total, {
          rule: `pools (${pools}), migrations (${migrations}) and scheduled jobs (${scheduledJobs}) together fit into max_connections (${server.maxConnections}) without the ${reservedConnections} slots that Azure reserves, which leaves ${free} on the ${server.role}`,
        });
      });
    },
  },

  'capacity/pooled-connections-fit': {
    rule: 'PgBouncer opens at most as many connections as the server has: defaultPoolSize for each login and database',
    source: 'docs/decisions.md, 23; https://www.pgbouncer.org/config.html#default_pool_size',
    check: ({ server: { pgBouncer }, servers, database }) => {
      const free = available(servers.primary);
      if (!pgBouncer || free === undefined) return [];
      const logins = Math.max(1, database.logins.length);
      const taken = pgBouncer.defaultPoolSize * logins;
      return check(taken <= free, 'server.pgBouncer.defaultPoolSize', pgBouncer.defaultPoolSize, {
        rule: `PgBouncer opens defaultPoolSize connections for each login and database: ${logins} logins take ${taken}, and the server has ${free}`,
      });
    },
  },

  'capacity/partitions-ahead': {
    rule: `partitions exist for ${monthsAhead.minimum} to ${monthsAhead.maximum} months ahead: without any, the first row of a month is refused; with hundreds, every plan reads their statistics`,
    source:
      'https://www.postgresql.org/docs/17/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-BEST-PRACTICES',
    check: ({ database: { partitions } }) => {
      const months = partitions.monthsAhead;
      const holds = months >= monthsAhead.minimum && months <= monthsAhead.maximum;
      return check(holds, 'database.partitions.monthsAhead', months);
    },
  },

  'capacity/retention': {
    rule: `rows are kept for ${retentionDays.minimum} days, which the summary view covers, to ${retentionDays.maximum} days, the audit trail for at least ${auditRetentionDays} days`,
    source: 'docs/decisions.md, 14; PCI DSS 4.0, 10.5.1, for the audit trail',
    check: ({ database: { partitions } }) =>
      Object.entries(partitions.retentionDays).flatMap(([table, days]) => {
        const minimum = table === 'audit_trail' ? auditRetentionDays : retentionDays.minimum;
        const holds = days >= minimum && days <= retentionDays.maximum;
        return check(holds, `database.partitions.retentionDays.${table}`, days);
      }),
  },
});
