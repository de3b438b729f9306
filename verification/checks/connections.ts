import { checksOf, type Finding } from '../check.ts';
import { blind, counted, judge, skip } from '../outcome.ts';
import type { Session, Snapshot } from '../snapshot/snapshot.ts';

/** Connections kept for deployments, maintenance and pg_cron. */
const keptConnections = 4;
/** Share of the connections beyond which the next instances risk a refusal. */
const usedShare = 0.8;
const longTransactionSeconds = 3600;
const idleTransactionSeconds = 600;
const preparedTransactionSeconds = 600;
const lockWaitSeconds = 60;
/** Azure's default of pgbouncer.default_pool_size. */
const defaultPoolSize = 50;

const hidden = 'the login may not see the sessions of other roles';
const local = "the server is not Azure's: its max_connections are not the deployment's";

function limit(snapshot: Snapshot): { readonly usable: number; readonly text: string } {
  const value = (name: string) => Number(snapshot.settings.get(name)?.value ?? 0);
  const reserved = value('superuser_reserved_connections') + value('reserved_connections');
  return {
    usable: value('max_connections') - reserved,
    text: `max_connections ${value('max_connections')} minus ${reserved} reserved`,
  };
}

/** One session, for a finding: `backend 4711 (app, application_role login)`. */
function who({ pid, application, user }: Session): string {
  return `backend ${pid} (${application || 'unnamed'}, ${user ?? 'no login'})`;
}

const minutes = (seconds: number) => `${Math.round(seconds / 60)} min`;

export const checks = checksOf('connections', [
  {
    id: 'CON-001',
    name: 'pools-fit-server',
    loses: 'availability',
    title: 'All pools at full size fit into max_connections',
    inspects: `pools of the deployment (size times instances) plus ${keptConnections} for deployments, maintenance and pg_cron, against max_connections minus the reserved connections`,
    why: 'The limit shows only when every instance is busy at once: at the peak, or when all clients reconnect after a failover.',
    remedy: 'Use fewer or smaller pools in the environment file, PgBouncer, or a larger server.',
    source: 'docs/decisions.md, 23; Microsoft Learn, Limits (connections)',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      if (!snapshot.server.isAzure) return skip(local);
      const pools = deployment.pools.reduce((sum, { maxSize, instances }) => sum + maxSize * instances, 0);
      const { usable, text } = limit(snapshot);
      return judge(
        `${counted(deployment.pools.length, 'pool')}, ${text}`,
        pools + keptConnections > usable
          ? [
              {
                object: 'pools',
                detail: `may open ${pools} connections beside ${keptConnections} others, ${text} leave ${usable}`,
              },
            ]
          : [],
      );
    },
  },
  {
    id: 'CON-002',
    name: 'connections-available',
    loses: 'availability',
    title: `At most ${usedShare * 100} % of the connections are in use`,
    inspects: 'sessions in pg_stat_activity, against max_connections minus the reserved connections',
    why: 'The next instance that starts gets no connection.',
    remedy:
      'Look for a pool that leaks connections (pg_stat_activity by application_name), or use a larger server.',
    source: 'postgresai; pgdoctor connection-health',
    run: ({ snapshot }) => {
      if (!snapshot.activity.complete) return blind(hidden);
      const { usable, text } = limit(snapshot);
      const used = snapshot.activity.sessions.length + 1;
      return judge(
        `${used} of ${usable}`,
        used > usable * usedShare
          ? [{ object: 'server', detail: `${counted(used, 'session')}, ${text} leave ${usable}` }]
          : [],
      );
    },
  },
  {
    id: 'CON-003',
    name: 'no-long-transaction',
    loses: 'time',
    title: 'No transaction is older than an hour',
    inspects: 'pg_stat_activity.xact_start',
    why: 'Vacuum cannot remove rows that are newer than the oldest transaction, and an index build waits for it.',
    remedy: 'Find out what it does, then SELECT pg_terminate_backend(pid).',
    source: 'pgdoctor connection-health; supabase inspect (locks)',
    run: ({ snapshot: { activity } }) => {
      if (!activity.complete) return blind(hidden);
      return judge(
        counted(activity.sessions.length, 'other session'),
        activity.sessions
          .filter(({ transactionAge }) => (transactionAge ?? 0) > longTransactionSeconds)
          .map((session) => ({
            object: who(session),
            detail: `has been in a transaction for ${minutes(session.transactionAge ?? 0)}`,
          })),
      );
    },
  },
  {
    id: 'CON-004',
    name: 'no-idle-transaction',
    loses: 'time',
    title: 'No session is idle in a transaction for more than ten minutes',
    inspects: 'sessions in state "idle in transaction"',
    why: 'It holds its locks and its snapshot without working: the application forgot to commit.',
    remedy: 'Fix the application; idle_in_transaction_session_timeout ends such sessions.',
    source: 'postgresai G003',
    run: ({ snapshot: { activity } }) => {
      if (!activity.complete) return blind(hidden);
      return judge(
        counted(activity.sessions.length, 'other session'),
        activity.sessions
          .filter(
            ({ state, stateAge }) =>
              /^idle in transaction/.test(state ?? '') && (stateAge ?? 0) > idleTransactionSeconds,
          )
          .map((session) => ({
            object: who(session),
            detail: `has been idle for ${minutes(session.stateAge ?? 0)}`,
          })),
      );
    },
  },
  {
    id: 'CON-005',
    name: 'no-forgotten-prepared-transaction',
    loses: 'availability',
    title: 'No prepared transaction is older than ten minutes',
    inspects: 'pg_prepared_xacts',
    why: 'It survives restarts and failovers with all its locks, and no client is connected to end it.',
    remedy: "Ask its coordinator, then ROLLBACK PREPARED '…' (or COMMIT PREPARED).",
    source: 'PostgreSQL manual, PREPARE TRANSACTION',
    run: ({ snapshot: { activity } }) =>
      judge(
        counted(activity.prepared.length, 'prepared transaction'),
        activity.prepared
          .filter(({ age }) => age > preparedTransactionSeconds)
          .map(({ gid, age }) => ({
            object: `prepared transaction ${gid}`,
            detail: `has been prepared for ${minutes(age)}`,
          })),
      ),
  },
  {
    id: 'CON-006',
    name: 'sessions-encrypted',
    loses: 'barrier',
    title: 'Every remote session is encrypted',
    inspects: 'pg_stat_ssl of every session from another machine',
    why: 'A client without TLS sends its login and rows in clear, even if this connection is encrypted.',
    remedy: 'Set require_secure_transport to on, and sslmode=verify-full in the client.',
    source: 'Microsoft Learn, TLS in Azure Database for PostgreSQL',
    run: ({ snapshot: { activity } }) => {
      if (!activity.complete) return blind(hidden);
      const remote = activity.sessions.filter((session) => session.remote);
      return judge(
        counted(remote.length, 'other session'),
        remote
          .filter(({ tls }) => tls === false)
          .map((session) => ({ object: who(session), detail: 'is not encrypted' })),
      );
    },
  },
  {
    id: 'CON-007',
    name: 'no-long-lock-wait',
    loses: 'time',
    title: 'No session waits for a lock for more than a minute',
    inspects: 'pg_locks.waitstart of sessions that wait for a lock',
    why: 'Every later session queues behind one that waits for a strong lock: an outage begins like this.',
    remedy: 'SELECT pg_blocking_pids(pid) returns the sessions that hold the lock.',
    source: 'supabase inspect (locks over two minutes); pg_gather',
    run: ({ snapshot: { activity } }) => {
      if (!activity.complete) return blind(hidden);
      return judge(
        counted(activity.sessions.length, 'other session'),
        activity.sessions.flatMap((session): Finding[] =>
          (session.lockWait ?? 0) > lockWaitSeconds
            ? [{ object: who(session), detail: `has waited for ${Math.round(session.lockWait ?? 0)} s` }]
            : [],
        ),
      );
    },
  },
  {
    id: 'CON-008',
    name: 'pooler-fits-server',
    loses: 'availability',
    title: 'All PgBouncer pools at full size fit into max_connections',
    inspects:
      'pgbouncer.default_pool_size times the logins of the environment, against max_connections minus the reserved connections',
    why: 'PgBouncer opens a pool per login and database. Together they can request more connections than the server has, and the last clients wait.',
    remedy: 'Lower server.pgBouncer.defaultPoolSize, or use fewer logins.',
    source: 'Microsoft Learn, PgBouncer in Azure Database for PostgreSQL',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      if (deployment.parameters['pgbouncer.enabled'] !== 'true') return skip('the settings have no pooler');
      if (!snapshot.server.isAzure) return skip(local);
      const size = Number(deployment.parameters['pgbouncer.default_pool_size'] ?? defaultPoolSize);
      const { usable, text } = limit(snapshot);
      const opened = size * deployment.logins.length;
      return judge(
        `${size} per login of ${counted(deployment.logins.length, 'login')}, ${text}`,
        opened > usable
          ? [{ object: 'PgBouncer', detail: `may open ${opened} connections, ${text} leave ${usable}` }]
          : [],
      );
    },
  },
]);
