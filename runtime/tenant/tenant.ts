/** Work for one tenant. */
import type { RetryOptions } from '../configuration/options.ts';
import { DatabaseFailure, isDatabaseFailure } from '../errors.ts';
import { repeated } from '../failures/repeat.ts';
import { type Trace, traced } from '../monitoring/telemetry.ts';
import type { Target } from '../pool/target.ts';
import type { Cell } from '../replicas/cell.ts';
import { type Lsn, reaches } from '../replicas/lsn.ts';
import type { TenantClient } from './client.ts';
import { surrounding } from './scope.ts';
import { type Actor, AttemptFailed, attempt, type Isolation } from './transaction.ts';

export interface TransactionOptions {
  /** Ends the transaction, on the server too. A COMMIT that has begun is not ended. @default - nothing ends it */
  readonly signal?: AbortSignal;
  /**
   * Whether the work may be done twice without harm, for example because it inserts a given id. Then it is also repeated if
   * nobody knows whether it was committed. @default false
   */
  readonly idempotent?: boolean;
  /** Data keys are only made or erased at READ COMMITTED. @default 'read committed' */
  readonly isolation?: Isolation;
}

export interface ReadOptions {
  /** As in `TransactionOptions`. */
  readonly signal?: AbortSignal;
  /** Milliseconds for which a commit may be missing in the answer; 0 reads from the primary. @default 10000 */
  readonly maxLagMs?: number;
  /** Position of the log that the answer must include: `lsn` of a tenant, also of another process. @default - `lsn` of this one */
  readonly atLeast?: Lsn;
}

const usualLagMs = 10_000;

/** Work in the transactions of one tenant. It is cheap: make one per request. */
export class Tenant {
  readonly id: string;
  readonly #actor: Actor;
  readonly #cell: () => Promise<Cell>;
  readonly #retry: RetryOptions;
  #lsn: Lsn | undefined;

  constructor(id: string, actor: Actor, cell: () => Promise<Cell>, retry: RetryOptions) {
    this.id = id;
    this.#actor = actor;
    this.#cell = cell;
    this.#retry = retry;
  }

  /**
   * Position of the log that includes what this object has committed; undefined before. It is a text and can travel in a message:
   * `read(work, { atLeast })` of another process then sees the commit.
   */
  get lsn(): Lsn | undefined {
    return this.#lsn;
  }

  /**
   * Commits what `work` does, or nothing. It begins again, with `work`, after a failure that passes and left nothing behind.
   * Inside of another transaction of the same tenant it joins that one, whose options apply.
   *
   * @throws DatabaseFailure; the errors of `work` and of its statements pass unchanged
   */
  async transaction<Result>(
    work: (client: TenantClient) => Promise<Result>,
    { signal, idempotent = false, isolation = 'read committed' }: TransactionOptions = {},
  ): Promise<Result> {
    const cell = await this.#cell();
    const joined = this.#joined(cell, false, work);
    if (joined) return joined;
    const options = this.#attemptOptions(cell, { signal, isolation, target: cell.writer });
    let unknown: unknown;
    const once = async (trace: Trace) => {
      trace.attempt(cell.writer.server);
      try {
        return await attempt({ ...options, isReadOnly: false, atLeast: undefined }, work);
      } catch (error) {
        if (!idempotent || !(error instanceof AttemptFailed)) throw error;
        const isRepeatable = error.isRepeatable || isUnknown(error.cause);
        if (isUnknown(error.cause)) unknown = error.cause;
        // A later attempt that failed says nothing about the earlier one. An error of the work still passes.
        const isOwn = error.isRepeatable || isDatabaseFailure(error.cause);
        throw unknown && isOwn ? new AttemptFailed(unknown, isRepeatable) : error;
      }
    };
    const { result, lsn } = await traced({ tenant: this.id, isReadOnly: false, cell: cell.name }, (trace) =>
      repeated(this.#retry, signal, () => once(trace)),
    );
    if (lsn !== undefined && (this.#lsn === undefined || reaches(lsn, this.#lsn))) this.#lsn = lsn;
    return result;
  }

  /**
   * Reads in a read-only transaction, on a replica that is current enough, else on the primary. Inside of another transaction of
   * the same tenant it joins that one.
   *
   * @throws DatabaseFailure; the errors of `work` and of its statements pass unchanged
   */
  async read<Result>(
    work: (client: TenantClient) => Promise<Result>,
    { signal, maxLagMs = usualLagMs, atLeast = this.#lsn }: ReadOptions = {},
  ): Promise<Result> {
    const cell = await this.#cell();
    const joined = this.#joined(cell, true, work);
    if (joined) return joined;
    if (atLeast !== undefined) reaches(atLeast, atLeast);
    return traced({ tenant: this.id, isReadOnly: true, cell: cell.name }, (trace) =>
      repeated(this.#retry, signal, () => this.#readOnce(cell, work, { signal, maxLagMs, atLeast, trace })),
    );
  }

  /** Tries the replicas that fit, then the primary. */
  async #readOnce<Result>(
    cell: Cell,
    work: (client: TenantClient) => Promise<Result>,
    {
      signal,
      maxLagMs,
      atLeast,
      trace,
    }: { signal: AbortSignal | undefined; maxLagMs: number; atLeast: Lsn | undefined; trace: Trace },
  ): Promise<Result> {
    const excluded = new Set<Target>();
    for (;;) {
      const target = await cell.reader({ maxLagMs, atLeast }, excluded);
      trace.attempt(target.server);
      try {
        const options = this.#attemptOptions(cell, { signal, isolation: 'read committed', target });
        return (await attempt({ ...options, isReadOnly: true, atLeast }, work)).result;
      } catch (error) {
        const isReplicas = error instanceof AttemptFailed && (error.isRepeatable || isOfReplica(error.cause));
        if (target === cell.writer || !isReplicas) throw error;
        excluded.add(target);
      }
    }
  }

  #attemptOptions(
    cell: Cell,
    given: { signal: AbortSignal | undefined; isolation: Isolation; target: Target },
  ) {
    return { ...given, key: cell.key, tenant: this.id, actor: this.#actor };
  }

  /** The work of a transaction inside of another one of the same database; undefined outside. */
  #joined<Result>(
    { key }: Cell,
    isReadOnly: boolean,
    work: (client: TenantClient) => Promise<Result>,
  ): Promise<Result> | undefined {
    const outer = surrounding(key);
    if (!outer) return undefined;
    if (outer.tenant !== this.id) throw otherTenant();
    if (outer.isReadOnly && !isReadOnly) throw insideRead();
    return work(outer.client).catch((reason: unknown) => {
      // Half of the work may be done, so the whole must not be committed.
      outer.failure ??= { reason };
      throw reason;
    });
  }
}

function isUnknown(error: unknown): boolean {
  return isDatabaseFailure(error) && error.outcome === 'unknown';
}

function isOfReplica(error: unknown): boolean {
  return isDatabaseFailure(error) && error.code.startsWith('replica/');
}

function otherTenant(): DatabaseFailure {
  return new DatabaseFailure(
    'tenant/inside-another',
    'A transaction of another tenant surrounds this one',
    'one transaction belongs to one tenant, and two at once could block each other',
    'Begin it after the surrounding transaction has ended.',
  );
}

function insideRead(): DatabaseFailure {
  return new DatabaseFailure(
    'tenant/inside-read',
    'A transaction that writes cannot join one that only reads',
    'read() has begun a read-only transaction, perhaps on a replica',
    'Begin with transaction(), or write after read() has ended.',
  );
}
