/** One attempt of a tenant transaction on one server. */
import { DatabaseFailure, reasonOf } from '../errors.ts';
import { isConnectionFailure, isNotWritable, isSerializationFailure } from '../failures/classify.ts';
import { onAbort } from '../pool/abort.ts';
import { type Connection, notWritable } from '../pool/connection.ts';
import { within } from '../pool/deadline.ts';
import { aborted } from '../pool/pool.ts';
import type { Target } from '../pool/target.ts';
import { type Lsn, reaches } from '../replicas/lsn.ts';
import { type TenantClient, TransactionClient } from './client.ts';
import { untilNotCanceled } from './on-client.ts';
import { innermost, inside, type OpenTransaction } from './scope.ts';

/** The acting user, for the audit trail. */
export interface Actor {
  /** @default - none */
  readonly user?: string;
  /** A uuid. @default - none */
  readonly correlationId?: string;
  /** IP address of the client. @default - none */
  readonly address?: string;
  /** @default - none */
  readonly userAgent?: string;
}

export type Isolation = 'read committed' | 'repeatable read' | 'serializable';

export interface AttemptOptions {
  readonly target: Target;
  readonly key: string;
  readonly tenant: string;
  readonly actor: Actor;
  readonly isReadOnly: boolean;
  readonly isolation: Isolation;
  readonly signal: AbortSignal | undefined;
  /** Position that a replica must have replayed. */
  readonly atLeast: Lsn | undefined;
}

export interface Done<Result> {
  readonly result: Result;
  /** Position of the log after the commit; undefined for a read. */
  readonly lsn: Lsn | undefined;
}

/** Milliseconds that the client waits longer than the server's own limit, whose error keeps the connection. */
const graceMs = 1000;

/** A failed attempt: `cause` is the error for the caller. */
export class AttemptFailed extends Error {
  constructor(
    override readonly cause: unknown,
    /** Whether the transaction was certainly not committed, and failed for a reason that passes. */
    readonly isRepeatable: boolean,
  ) {
    super('attempt failed');
  }
}

/** @throws AttemptFailed */
export async function attempt<Result>(
  options: AttemptOptions,
  work: (client: TenantClient) => Promise<Result>,
): Promise<Done<Result>> {
  const { target, signal } = options;
  let connection: Connection;
  try {
    connection = await target.acquire(signal);
  } catch (error) {
    throw new AttemptFailed(error, isConnectionFailure(error));
  }
  const client = new TransactionClient({ ...options, connection, deadlineMs: target.statementMs + graceMs });
  let forget = () => {};
  let isInWork = false;
  try {
    if (signal?.aborted) throw aborted(signal);
    forget = onAbort(signal, () => connection.abandon(aborted(signal)));
    await start(connection, options);
    isInWork = true;
    const result = await worked(client, options, work);
    isInWork = false;
    forget();
    if (signal?.aborted) throw aborted(signal);
    return { result, lsn: await commit(connection, options) };
  } catch (error) {
    client.close();
    throw await failed(error, isInWork, client, connection, options);
  } finally {
    forget();
    client.close();
    target.release(connection);
  }
}

async function worked<Result>(
  client: TransactionClient,
  { key, tenant, isReadOnly }: AttemptOptions,
  work: (client: TenantClient) => Promise<Result>,
): Promise<Result> {
  const outer = innermost();
  const open: OpenTransaction = { key, tenant, isReadOnly, client: client.public, isOpen: true, outer };
  try {
    const result = await inside(open, () => work(client.public));
    await client.settled();
    if (open.failure) throw rollbackOnly(open.failure.reason);
    return result;
  } finally {
    open.isOpen = false;
    client.close();
  }
}

/**
 * The first statement commits RESET ALL, because a rollback would bring back what an earlier tenant set (docs/isolation.md). The
 * second sets the tenant for this transaction only, then this library's limits, and reads the tenant back. Both hold through
 * PgBouncer, because they end with the transaction.
 */
async function start(connection: Connection, options: AttemptOptions): Promise<void> {
  const { target, tenant, actor, isReadOnly, isolation } = options;
  const { client } = connection;
  const limit = target.statementMs + graceMs;
  const access = isReadOnly ? 'READ ONLY' : 'READ WRITE';
  const begin = `BEGIN ISOLATION LEVEL ${isolation.toUpperCase()} ${access} NOT DEFERRABLE`;
  await untilNotCanceled(
    { query: ((sql: string) => connection.run(limit, () => client.query(sql))) as never },
    `BEGIN; RESET ALL; COMMIT; ${begin}`,
  ).catch((error: unknown) => {
    // A pooler does not pass on that the server is in recovery.
    throw !isReadOnly && isNotWritable(error) ? notWritable(target.server, error) : error;
  });
  const { rows } = await connection.run(limit, () =>
    // Without a name, because a session can replace a named statement.
    client.query<{ tenant: string | null; replayed: string | null; recovering: boolean }>(context, [
      ...[tenant, actor.user, actor.correlationId, actor.address, actor.userAgent],
      ...[String(target.statementMs), String(target.idleInTransactionMs), target.applicationName],
    ]),
  );
  const [row] = rows;
  if (row?.tenant !== tenant) {
    throw new DatabaseFailure(
      'tenant/not-in-force',
      'The tenant of the transaction is not the one that was set',
      'app.current_tenant_id was read back and differs; something between this library and the server changed it',
      'Check the pooler and the function llama.set_tenant_context of the database.',
    );
  }
  if (target.kind === 'replica') requireReplica(row, options);
}

const context = `
  SELECT llama.set_tenant_context($1, $2, $3::uuid, $4::inet, $5),
         pg_catalog.set_config('statement_timeout', $6, true),
         pg_catalog.set_config('idle_in_transaction_session_timeout', $7, true),
         pg_catalog.set_config('application_name', $8, true),
         pg_catalog.set_config('TimeZone', 'UTC', true),
         pg_catalog.current_setting('app.current_tenant_id') AS tenant,
         pg_catalog.pg_is_in_recovery() AS recovering,
         pg_catalog.pg_last_wal_replay_lsn()::text AS replayed`;

/** A replica that was promoted follows nobody, and one that is behind would hide what the caller has written. */
function requireReplica(
  row: { readonly replayed: string | null; readonly recovering: boolean },
  { target, atLeast }: AttemptOptions,
): void {
  if (!row.recovering) {
    throw new DatabaseFailure(
      'replica/promoted',
      `${target.name} is no replica any more`,
      'it is not in recovery, so it follows no primary',
      'Configure it as the writer, or remove it from the replicas.',
    );
  }
  if (atLeast !== undefined && !(row.replayed !== null && reaches(row.replayed, atLeast))) {
    throw new DatabaseFailure(
      'replica/behind',
      `${target.name} has not replayed ${atLeast}`,
      `it is at ${row.replayed}`,
      'Read again later, or from the primary.',
    );
  }
}

/**
 * COMMIT and the position of the log in one message. The server never gets a cancellation of a COMMIT: while it waits for a
 * synchronous standby, it would report success for a transaction that the standby does not have.
 */
async function commit(
  connection: Connection,
  { target, isReadOnly }: AttemptOptions,
): Promise<Lsn | undefined> {
  const { client } = connection;
  // Nothing was sent yet, so the outcome is known.
  connection.requireUsable();
  let isUnreplicated = false;
  const watch = (notice: { readonly routine?: string | undefined }) => {
    isUnreplicated ||= notice.routine === 'SyncRepWaitForLSN';
  };
  client.on('notice', watch);
  try {
    const text = isReadOnly ? 'COMMIT' : 'COMMIT; SELECT pg_catalog.pg_current_wal_insert_lsn()::text AS lsn';
    const answer = await connection.run(target.statementMs + graceMs, () => client.query(text), true);
    const results = [answer].flat();
    if (results[0]?.command !== 'COMMIT') throw notCommitted();
    if (isUnreplicated) throw new Error('the wait for the synchronous standby was canceled');
    const lsn: unknown = results[1]?.rows[0]?.lsn;
    return typeof lsn === 'string' ? lsn : undefined;
  } catch (error) {
    if (isReadOnly || isRolledBack(error, connection, isUnreplicated)) throw error;
    throw unknownOutcome(error);
  } finally {
    client.off('notice', watch);
  }
}

/** An error that the server sent and outlived ended the transaction with a rollback. */
function isRolledBack(error: unknown, connection: Connection, isUnreplicated: boolean): boolean {
  if (isUnreplicated) return false;
  return connection.isIdle && !isConnectionFailure(error);
}

function notCommitted(): DatabaseFailure {
  return new DatabaseFailure(
    'transaction/rolled-back',
    'The transaction was rolled back at its end',
    'a statement had failed, and the function returned as if it had not',
    'Let the error of the statement pass, or enclose the statement in SAVEPOINT and ROLLBACK TO.',
  );
}

function rollbackOnly(cause: unknown): DatabaseFailure {
  return new DatabaseFailure(
    'transaction/nested-failed',
    'The transaction was rolled back at its end',
    `a nested transaction that had joined it failed: ${reasonOf(cause)}`,
    'Let the error of the nested transaction pass.',
    { cause },
  );
}

function unknownOutcome(cause: unknown): DatabaseFailure {
  return new DatabaseFailure(
    'transaction/outcome-unknown',
    'Nobody knows whether the transaction was committed',
    `the answer to COMMIT is missing: ${reasonOf(cause)}`,
    'Read whether the work is done before repeating it, or mark it as idempotent.',
    { cause, outcome: 'unknown' },
  );
}

async function failed(
  error: unknown,
  isInWork: boolean,
  client: TransactionClient,
  connection: Connection,
  { target, signal }: AttemptOptions,
): Promise<AttemptFailed> {
  // The work may have wrapped the error of a statement, or failed because of an earlier one. An error of its own, such as of a
  // request to another service, says nothing about this connection.
  const reason = client.curable ?? (isInWork ? undefined : error);
  target.failed(reason, connection);
  // A statement that the work did not await goes on.
  if (connection.isUsable)
    await within(graceMs, client.settled(), () => aborted(signal)).catch(() => connection.destroy());
  if (connection.isUsable && !connection.isIdle) {
    await connection
      .run(graceMs, () => connection.client.query('ROLLBACK'))
      .catch(() => connection.destroy());
  }
  if (signal?.aborted) return new AttemptFailed(aborted(signal), false);
  const isUnknown = error instanceof DatabaseFailure && error.outcome === 'unknown';
  return new AttemptFailed(
    error,
    !isUnknown && (isConnectionFailure(reason) || isSerializationFailure(reason)),
  );
}
