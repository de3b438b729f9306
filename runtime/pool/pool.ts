/** The connections to one server. */
import { DatabaseFailure, sqlStateOf } from '../errors.ts';
import { isConnectionFailure } from '../failures/classify.ts';
import { onAbort } from './abort.ts';
import { Connection, type OpenOptions } from './connection.ts';

export interface PoolLimits {
  readonly max: number;
  readonly min: number;
  readonly idleMs: number;
  readonly lifetimeMs: number;
  readonly acquireMs: number;
}

export interface PoolGauges {
  readonly total: number;
  readonly idle: number;
  readonly inUse: number;
  readonly opening: number;
  readonly waiting: number;
}

interface Waiter {
  give(connection: Connection): void;
  refuse(error: Error): void;
}

/** Checks a new connection before anyone gets it. */
export type Admit = (connection: Connection) => Promise<void>;

/**
 * Lends connections of which no transaction is open. A connection that breaks, or that comes back in a transaction, is
 * destroyed and never lent again.
 */
export class ConnectionPool {
  readonly #open: () => Promise<Connection>;
  readonly #limits: PoolLimits;
  readonly #name: string;
  readonly #all = new Set<Connection>();
  readonly #idle: Connection[] = [];
  readonly #waiting = new Set<Waiter>();
  #opening = 0;
  #generation = 0;
  readonly #closing = new AbortController();
  readonly #canceling = new Set<Promise<void>>();
  #whenEmpty: (() => void) | undefined;
  #reaper: NodeJS.Timeout | undefined;

  constructor(
    name: string,
    limits: PoolLimits,
    options: Omit<OpenOptions, 'onLost' | 'onCancel'>,
    admit: Admit = async () => undefined,
  ) {
    this.#name = name;
    this.#limits = limits;
    const onLost = (connection: Connection, reason: Error) => {
      this.#forget(connection);
      if (isConnectionFailure(reason)) this.dropIdle();
    };
    const onCancel = (canceling: Promise<void>) => {
      this.#canceling.add(canceling);
      void canceling.finally(() => this.#canceling.delete(canceling));
    };
    this.#open = async () => {
      const connection = await Connection.open({ ...options, onLost, onCancel }, this.#closing.signal);
      try {
        await admit(connection);
        return connection;
      } catch (error) {
        connection.destroy();
        throw error;
      }
    };
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  get gauges(): PoolGauges {
    const [total, idle] = [this.#all.size, this.#idle.length];
    return { total, idle, inUse: total - idle, opening: this.#opening, waiting: this.#waiting.size };
  }

  /** Connections that are lent now. */
  get lent(): readonly Connection[] {
    const idle = new Set(this.#idle);
    return [...this.#all].filter((connection) => !idle.has(connection));
  }

  /**
   * Lends a connection; `release` takes it back.
   *
   * @throws DatabaseFailure `pool/exhausted` after `acquireMs`, `pool/closed`, `transaction/aborted` by the signal; or the
   * reason why no connection can be opened
   */
  async acquire(signal?: AbortSignal): Promise<Connection> {
    if (this.#isClosed) throw closed(this.#name);
    if (signal?.aborted) throw aborted(signal);
    return this.takeIdle() ?? this.#wait(signal);
  }

  /** Lends an idle connection, if there is one. */
  takeIdle(): Connection | undefined {
    for (let one = this.#idle.pop(); one; one = this.#idle.pop()) {
      if (this.#isFit(one)) return one;
      this.#retire(one);
    }
    return undefined;
  }

  #wait(signal: AbortSignal | undefined): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        forget();
        this.#waiting.delete(waiter);
      };
      const waiter: Waiter = {
        give: (connection) => {
          done();
          resolve(connection);
        },
        refuse: (error) => {
          done();
          reject(error);
        },
      };
      const timer = setTimeout(() => waiter.refuse(this.exhausted()), this.#limits.acquireMs);
      const forget = onAbort(signal, () => waiter.refuse(aborted(signal)));
      this.#waiting.add(waiter);
      this.#openForWaiting();
    });
  }

  /** The failure of a call that waited longer than `acquireMs`. */
  exhausted(): DatabaseFailure {
    const { total, opening } = this.gauges;
    return new DatabaseFailure(
      'pool/exhausted',
      `No connection of the pool ${this.#name} became free`,
      `${total} of ${this.#limits.max} are in use and ${opening} are being opened; waited ${this.#limits.acquireMs} ms`,
      'Shorten the transactions, or raise pool.max within max_connections of the server.',
    );
  }

  /** Opens as many connections as are waited for and allowed. */
  #openForWaiting(): void {
    while (
      !this.#isClosed &&
      this.#opening < this.#waiting.size &&
      this.#all.size + this.#opening < this.#limits.max
    ) {
      void this.#add();
    }
  }

  async #add(): Promise<void> {
    const generation = this.#generation;
    this.#opening += 1;
    try {
      const connection = await this.#open();
      connection.generation = generation;
      this.#opening -= 1;
      if (!connection.isUsable) throw connection.lost(new Error('it ended while it was opened'));
      this.#all.add(connection);
      this.#offer(connection);
    } catch (error) {
      if (this.#opening > 0) this.#opening -= 1;
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#reportEmpty();
    }
  }

  /** One failed attempt answers everyone who waits, so that not each of them begins another one against a server in trouble. */
  #fail(error: Error): void {
    if (isConnectionFailure(error)) this.dropIdle();
    const cause = sqlStateOf(error) ?? sqlStateOf(error.cause);
    // The server has no room for another connection; those that are lent come back.
    if (cause === '53300' && this.#all.size > 0) return;
    for (const waiter of [...this.#waiting]) waiter.refuse(error);
  }

  /** Takes a connection back. It is lent again if it is usable and in no transaction. */
  release(connection: Connection): void {
    if (!this.#all.has(connection)) return;
    if (this.#isFit(connection)) this.#offer(connection);
    else this.#retire(connection);
    this.#openForWaiting();
  }

  #isFit(connection: Connection): boolean {
    return (
      !this.#isClosed &&
      connection.isIdle &&
      connection.generation === this.#generation &&
      performance.now() - connection.openedAt < this.#limits.lifetimeMs
    );
  }

  #offer(connection: Connection): void {
    const [first] = this.#waiting;
    if (this.#isClosed) this.#retire(connection);
    else if (first) first.give(connection);
    else {
      connection.idleSince = performance.now();
      this.#idle.push(connection);
      this.#reapLater();
    }
  }

  /** Ends a connection that is not lent. */
  #retire(connection: Connection): void {
    this.#all.delete(connection);
    if (connection.isIdle) void connection.end();
    else connection.destroy();
    this.#reportEmpty();
  }

  /** Forgets a connection that broke. */
  #forget(connection: Connection): void {
    this.#all.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#reportEmpty();
    this.#openForWaiting();
  }

  /** Ends every idle connection, and each lent one when it comes back: all lead to a server that is gone. */
  dropIdle(): void {
    this.#generation += 1;
    for (const connection of this.#idle.splice(0)) this.#retire(connection);
  }

  /** Closes idle connections after their time; the newest are lent first, so the oldest are at the front. */
  #reapLater(): void {
    if (this.#reaper || this.#isClosed) return;
    this.#reaper = setTimeout(() => {
      this.#reaper = undefined;
      const before = performance.now() - this.#limits.idleMs;
      while (this.#all.size > this.#limits.min && (this.#idle[0]?.idleSince ?? Infinity) <= before) {
        const oldest = this.#idle.shift();
        if (oldest) this.#retire(oldest);
      }
      if (this.#idle.length > 0) this.#reapLater();
    }, this.#limits.idleMs);
    this.#reaper.unref();
  }

  /** Ends all connections. Those that are lent get `graceMs` to come back, and are then destroyed. */
  async close(graceMs: number): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#reaper);
    for (const waiter of [...this.#waiting]) waiter.refuse(closed(this.#name));
    const ending = this.#idle.splice(0).map((connection) => {
      this.#all.delete(connection);
      return connection.end();
    });
    await Promise.all([...ending, this.#untilEmpty(graceMs)]);
    for (const connection of this.#all) connection.abandon(closed(this.#name));
    this.#all.clear();
    await Promise.all(this.#canceling);
  }

  #untilEmpty(graceMs: number): Promise<void> {
    if (this.#all.size + this.#opening === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#whenEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #reportEmpty(): void {
    if (this.#all.size + this.#opening === 0) this.#whenEmpty?.();
  }
}

/** The failure of a call after close(). */
export function closed(name: string): DatabaseFailure {
  return new DatabaseFailure(
    'pool/closed',
    `The pool ${name} is closed`,
    'close() was called',
    'Begin no work after close().',
  );
}

/** The failure of a call that its signal ended. */
export function aborted(signal: AbortSignal | undefined): DatabaseFailure {
  return new DatabaseFailure(
    'transaction/aborted',
    'The transaction was aborted',
    'its AbortSignal ended it; nothing was committed',
    'Repeat it if its result is still wanted.',
    { cause: signal?.reason },
  );
}
