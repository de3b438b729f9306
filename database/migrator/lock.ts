/**
 * One deployment at a time: a session-level advisory lock with a bounded wait that says whom it waits for.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { duration } from '../../core/text.ts';
import type { Connection } from '../connection.ts';

/**
 * The number node-pg-migrate itself locks, so that its own command line, run by hand on the same database, is
 * kept out too.
 */
export const deploymentLock = 7241865325823964n;

export interface LockOptions {
  /** @default - the lock of deployments */
  readonly key?: bigint;
  /** Seconds to wait for whoever holds it; 0 does not wait. @default 60 */
  readonly waitSeconds?: number;
  readonly reporter: Reporter;
}

/**
 * Runs work under the lock. The lock belongs to the session: if this process dies, it ends with the backend,
 * which notices within a second (`client_connection_check_interval`).
 *
 * @throws Fault naming the holder when the wait is over.
 */
export async function withLock<Result>(
  connection: Connection,
  options: LockOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  const key = options.key ?? deploymentLock;
  await acquire(connection, key, options);
  try {
    return await work();
  } finally {
    // A lost connection has released it already.
    await connection.client
      .query('SELECT pg_catalog.pg_advisory_unlock($1)', [key.toString()])
      .catch(() => undefined);
  }
}

async function acquire(connection: Connection, key: bigint, options: LockOptions): Promise<void> {
  const patience = (options.waitSeconds ?? 60) * 1000;
  const start = performance.now();
  let told = Number.NEGATIVE_INFINITY;
  for (;;) {
    // Asked again and again instead of waited for in the server: a waiting statement holds a snapshot, and the
    // holder may be building an index CONCURRENTLY, which waits for every snapshot.
    if (await tryLock(connection, key)) return;
    const waited = performance.now() - start;
    const holder = await describeHolder(connection, key);
    if (waited >= patience) {
      throw new Fault(
        'lock/1',
        `Another run works on ${connection.circumstances.target}`,
        `${holder}; waited ${duration(waited)}`,
        'Wait until it has finished and run the command again, or wait longer with --lock-wait <seconds>.',
      );
    }
    if (waited - told >= 10_000) {
      options.reporter.line(`Waiting for another run to finish: ${holder}`);
      told = waited;
    }
    await sleep(Math.min(250, Math.max(patience - waited, 1)));
  }
}

async function tryLock({ client }: Connection, key: bigint): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    'SELECT pg_catalog.pg_try_advisory_lock($1) AS locked',
    [key.toString()],
  );
  return rows[0]?.locked === true;
}

async function describeHolder({ client }: Connection, key: bigint): Promise<string> {
  const { rows } = await client.query<{
    pid: number;
    login: string;
    application: string;
    since: Date | null;
  }>(
    `SELECT l.pid, a.usename AS login, a.application_name AS application, a.backend_start AS since
       FROM pg_catalog.pg_locks AS l
       LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
        AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
        AND l.classid::bigint = ($1::bigint >> 32) AND l.objid::bigint = ($1::bigint & 4294967295)`,
    [key.toString()],
  );
  const [holder] = rows;
  if (!holder) return 'it let go of its lock this moment';
  const since = holder.since ? `, connected since ${holder.since.toISOString()}` : '';
  return `the lock is held by backend ${holder.pid}, ${holder.application || 'unnamed application'}, login ${holder.login}${since}`;
}
