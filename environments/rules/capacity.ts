/** Whether everybody who connects fits, and how long what they leave is kept. */
import { reservedConnections } from '../../azure/skus.ts';
import type { ServerRole } from '../../azure/vocabulary.ts';
import { claimedConnections, cronConnections, maxConnections, migrationConnections } from '../connections.ts';
import { check, finding, type Rule, repeated, urls } from './rule.ts';

const poolSizes: Rule = ({ database }) => [
  ...database.pools.flatMap((pool, position) =>
    (['maxSize', 'instances'] as const).flatMap((part) =>
      check(pool[part] >= 1, `database.pools.${position}.${part}`, pool[part], {
        rule: 'a pool has one connection or more, and one instance or more',
        source: 'https://node-postgres.com/apis/pool',
        remedy: 'A client that is not there is left out.',
      }),
    ),
  ),
  ...repeated(database.pools, (pool) => pool.name).map(({ item, position }) =>
    finding(`database.pools.${position}.name`, item.name, {
      rule: 'a pool’s name is used once: it tells clients apart in pg_stat_activity',
      source: 'https://www.postgresql.org/docs/17/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW',
    }),
  ),
];

/**
 * Readers count in full on both servers: after a switchover, or while one region is gone, all of them are on one.
 */
const connections: Rule = (settings) => {
  const claimed = claimedConnections(settings);
  const servers: readonly ServerRole[] = settings.replica ? ['primary', 'replica'] : ['primary'];
  return servers.flatMap((role) => {
    const all = maxConnections(settings, role);
    if (all === undefined || claimed <= all - reservedConnections) return [];
    // Said once where both have the same limit.
    if (role === 'replica' && all === maxConnections(settings, 'primary')) return [];
    const pools = claimed - migrationConnections - cronConnections(settings);
    return [
      finding('database.pools', claimed, {
        rule: `pools (${pools}), migrations (${migrationConnections}) and scheduled jobs (${cronConnections(settings)}) together take at most max_connections (${all}) less the ${reservedConnections} that Azure reserves, which is ${all - reservedConnections} on the ${role}`,
        source: urls.limits,
        remedy: 'Make pools smaller or fewer, connect through PgBouncer, or take a larger size.',
      }),
    ];
  });
};

/** Each login has server connections of its own in the pooler. */
const pooledConnections: Rule = (settings) => {
  const { pgBouncer } = settings.server;
  const all = maxConnections(settings);
  if (!pgBouncer || all === undefined) return [];
  const logins = Math.max(1, settings.database.logins.length);
  const taken = pgBouncer.defaultPoolSize * logins;
  return check(
    taken <= all - reservedConnections,
    'server.pgBouncer.defaultPoolSize',
    pgBouncer.defaultPoolSize,
    {
      rule: `PgBouncer opens defaultPoolSize connections for each login and database: ${logins} logins take ${taken}, and ${all - reservedConnections} are there`,
      source: 'https://www.pgbouncer.org/config.html#default_pool_size',
    },
  );
};

const partitions: Rule = ({ database: { partitions: kept } }) => [
  ...check(
    kept.monthsAhead >= 1 && kept.monthsAhead <= 24,
    'database.partitions.monthsAhead',
    kept.monthsAhead,
    {
      rule: 'partitions are kept ready for 1 to 24 months: with none, the first row of a month is refused; with hundreds, every plan reads their statistics',
      source:
        'https://www.postgresql.org/docs/17/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-BEST-PRACTICES',
    },
  ),
  ...Object.entries(kept.retentionDays).flatMap(([table, days]) =>
    check(days >= 7 && days <= 3650, `database.partitions.retentionDays.${table}`, days, {
      rule: 'rows are kept 7 days, which the summary view covers, to 3650',
      source: 'docs/decisions.md, 14',
    }),
  ),
];

export const capacityRules: readonly Rule[] = [poolSizes, connections, pooledConnections, partitions];
