/**
 * Limits a database to one deployment at a time: a session-level advisory lock with a bounded wait that names the holder.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { duration } from '../../core/text.ts';
import type { Connection } from '../connection.ts';

/**
 * Key of the lock. node-pg-migrate uses the same key, so its own command line is locked out too.
 */
export const deploymentLock = 7241865325823964n;

/** Milliseconds between two attempts to get the lock. */
const pollInterval = 250;
/** Milliseconds between two lines about the holder. */
const reportInterval = 10_000;

export interface LockOptions {
  /** @default - the lock of deployments */
  readonly key?: bigint;
  /** Seconds to wait for the holder; 0 means no wait. @default 60 */
  readonly waitSeconds?: number;
  readonly reporter: Reporter;
}

/**
 * Runs `work` under the lock. The lock belongs to the session. If this process dies, its backend notices within a second
 * (`client_connection_check_interval`) and releases the lock.
 *
 * @throws Fault naming the holder if the lock is not free in time
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
  const timeout = (options.waitSeconds ?? 60) * 1000;
  const start = performance.now();
  let reported = Number.NEGATIVE_INFINITY;
  for (;;) {
    // Polled: a statement that waits in the server holds a snapshot, and the holder may be building an index
    // CONCURRENTLY, which waits for all snapshots.
    if (await tryLock(connection, key)) return;
    const waited = performance.now() - start;
    const holder = await describeHolder(connection, key);
    if (waited >= timeout) {
      throw new Fault(
        'lock/held-by-another',
        `Another run works on ${connection.circumstances.target}`,
        `${holder}; waited ${duration(waited)}`,
        'Run the command again after the other run has finished, or wait longer with --lock-wait <seconds>.',
      );
    }
    if (waited - reported >= reportInterval) {
      options.reporter.line(`Waiting for another run to finish: ${holder}`);
      reported = waited;
    }
    await sleep(Math.min(pollInterval, Math.max(timeout - waited, 1)));
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
  if (!holder) return 'the lock has just been released';
  const since = holder.since ? `, connected since ${holder.since.toISOString()}` : '';
  return `the lock is held by backend ${holder.pid}, ${holder.application || 'unnamed application'}, login ${holder.login}${since}`;
}
