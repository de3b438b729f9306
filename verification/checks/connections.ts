import { checksOf, type Finding } from '../check.ts';
import { counted, judge, skip } from '../outcome.ts';
import type { Session, Snapshot } from '../snapshot/facts.ts';

const hidden = 'the login may not see the sessions of others';

function limit(snapshot: Snapshot): { readonly usable: number; readonly text: string } {
  const value = (name: string) => Number(snapshot.settings.get(name)?.value ?? 0);
  const reserved = value('superuser_reserved_connections') + value('reserved_connections');
  return {
    usable: value('max_connections') - reserved,
    text: `max_connections ${value('max_connections')} less ${reserved} reserved`,
  };
}

/** `backend 4711 (app, application_role login)`. */
function who({ pid, application, user }: Session): string {
  return `backend ${pid} (${application || 'unnamed'}, ${user ?? 'no login'})`;
}

const minutes = (seconds: number) => `${Math.round(seconds / 60)} min`;

export const checks = checksOf('connections', [
  {
    id: 'CON-001',
    name: 'pools-fit-server',
    severity: 'high',
    title: 'All pools at full size fit into the server',
    inspects:
      'pools of the deployment (size times instances), plus four for deployments, maintenance and pg_cron, against max_connections less what is reserved',
    why: 'It works until every instance is busy at once, and then new connections are refused: during the peak, or after a failover when all reconnect.',
    remedy: 'Fewer or smaller pools in the environment file, PgBouncer, or a larger size.',
    source: 'docs/decisions.md, 23; Microsoft Learn, Limits (connections)',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      if (!snapshot.server.isAzure)
        return skip("the server is not Azure's: its max_connections are not the deployment's");
      const pools = deployment.pools.reduce((sum, { maxSize, instances }) => sum + maxSize * instances, 0);
      const { usable, text } = limit(snapshot);
      return judge(
        `${counted(deployment.pools.length, 'pool')}, ${text}`,
        pools + 4 > usable
          ? [
              {
                object: 'pools',
                detail: `may open ${pools} connections and 4 are kept, ${text} are ${usable}`,
              },
            ]
          : [],
      );
    },
  },
  {
    id: 'CON-002',
    name: 'connections-available',
    severity: 'medium',
    title: 'Connections are not nearly used up',
    inspects: 'sessions in pg_stat_activity against max_connections less what is reserved',
    why: 'The next instance that starts is refused.',
    remedy: 'Look for a pool that leaks (pg_stat_activity by application_name), or enlarge.',
    source: 'postgresai; pgdoctor connection-health',
    run: ({ snapshot }) => {
      const { usable, text } = limit(snapshot);
      const used = snapshot.activity.sessions.length + 1;
      return judge(
        `${used} of ${usable}`,
        used > usable * 0.8 ? [{ object: 'server', detail: `${used} sessions, ${text} are ${usable}` }] : [],
      );
    },
  },
  {
    id: 'CON-003',
    name: 'no-long-transaction',
    severity: 'medium',
    title: 'No transaction has been open for an hour',
    inspects: 'pg_stat_activity.xact_start',
    why: 'Vacuum removes nothing that is newer than the oldest transaction, and an index build waits for it.',
    remedy: 'Find out what it does; SELECT pg_terminate_backend(pid).',
    source: 'pgdoctor connection-health; supabase inspect (locks)',
    run: ({ snapshot: { activity } }) => {
      if (!activity.complete) return skip(hidden);
      return judge(
        counted(activity.sessions.length, 'other session'),
        activity.sessions
          .filter(({ transactionAge }) => (transactionAge ?? 0) > 3600)
          .map((session) => ({
            object: who(session),
            detail: `in a transaction for ${minutes(session.transactionAge ?? 0)}`,
          })),
      );
    },
  },
  {
    id: 'CON-004',
    name: 'no-idle-transaction',
    severity: 'medium',
    title: 'No session sits idle in a transaction',
    inspects: 'sessions in state "idle in transaction" for more than ten minutes',
    why: 'It holds its locks and its snapshot and does nothing: an application that forgot to commit.',
    remedy: 'Mend the application; idle_in_transaction_session_timeout ends such sessions.',
    source: 'postgresai G003',
    run: ({ snapshot: { activity } }) => {
      if (!activity.complete) return skip(hidden);
      return judge(
        counted(activity.sessions.length, 'other session'),
        activity.sessions
          .filter(({ state, stateAge }) => /^idle in transaction/.test(state ?? '') && (stateAge ?? 0) > 600)
          .map((session) => ({ object: who(session), detail: `idle for ${minutes(session.stateAge ?? 0)}` })),
      );
    },
  },
  {
    id: 'CON-005',
    name: 'no-forgotten-prepared-transaction',
    severity: 'high',
    title: 'No prepared transaction is forgotten',
    inspects: 'pg_prepared_xacts older than ten minutes',
    why: 'It survives restarts and failovers with all its locks, and nobody is connected to end it.',
    remedy: "ROLLBACK PREPARED '…' (or COMMIT PREPARED), after asking whoever coordinates it.",
    source: 'PostgreSQL manual, PREPARE TRANSACTION',
    run: ({ snapshot: { activity } }) =>
      judge(
        counted(activity.prepared.length, 'prepared transaction'),
        activity.prepared
          .filter(({ age }) => age > 600)
          .map(({ gid, age }) => ({ object: `prepared transaction ${gid}`, detail: `for ${minutes(age)}` })),
      ),
  },
  {
    id: 'CON-006',
    name: 'sessions-encrypted',
    severity: 'high',
    title: 'Everybody who is connected is encrypted',
    inspects: 'pg_stat_ssl of every session from another machine',
    why: 'A client that was allowed in without TLS sends its login and rows in the clear, whatever this connection uses.',
    remedy: 'require_secure_transport on; sslmode=verify-full in the client.',
    source: 'Microsoft Learn, TLS in Azure Database for PostgreSQL',
    run: ({ snapshot: { activity } }) => {
      if (!activity.complete) return skip(hidden);
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
    severity: 'medium',
    title: 'Nobody has been waiting for a lock for a minute',
    inspects: 'pg_locks.waitstart of sessions that wait for a lock',
    why: 'Behind whoever waits for a strong lock everybody else waits too: this is what an outage looks like in its first minutes.',
    remedy: 'SELECT pg_blocking_pids(pid) shows who holds it.',
    source: 'supabase inspect (locks over two minutes); pg_gather',
    run: ({ snapshot: { activity } }) => {
      if (!activity.complete) return skip(hidden);
      return judge(
        counted(activity.sessions.length, 'other session'),
        activity.sessions.flatMap((session): Finding[] =>
          (session.lockWait ?? 0) > 60
            ? [{ object: who(session), detail: `waits for ${Math.round(session.lockWait ?? 0)} s` }]
            : [],
        ),
      );
    },
  },
  {
    id: 'CON-008',
    name: 'pooler-fits-server',
    severity: 'high',
    title: 'What the pooler may open fits into the server',
    inspects:
      'pgbouncer.default_pool_size for each login of the environment, against max_connections less what is reserved',
    why: 'PgBouncer opens a pool for every login and database: together they can ask for more than there is, and the last ones wait.',
    remedy: 'A smaller server.pgBouncer.defaultPoolSize, or fewer logins.',
    source: 'Microsoft Learn, PgBouncer in Azure Database for PostgreSQL',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      if (deployment.parameters['pgbouncer.enabled'] !== 'true') return skip('the settings have no pooler');
      if (!snapshot.server.isAzure)
        return skip("the server is not Azure's: its max_connections are not the deployment's");
      const size = Number(deployment.parameters['pgbouncer.default_pool_size'] ?? 50);
      const { usable, text } = limit(snapshot);
      const opened = size * deployment.logins.length;
      return judge(
        `${size} for each of ${counted(deployment.logins.length, 'login')}, ${text}`,
        opened > usable
          ? [{ object: 'PgBouncer', detail: `may open ${opened} connections, ${text} are ${usable}` }]
          : [],
      );
    },
  },
]);
