/** A server that work is sent to: its pool, behind a circuit breaker. */
import {
  BrokenCircuitError,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleWhen,
  type IPolicy,
} from 'cockatiel';
import type { BreakerOptions, PoolOptions, TimeoutOptions } from '../configuration/options.ts';
import { describeServer, poolerPort, type Server } from '../configuration/server.ts';
import { ConfigurationError, DatabaseFailure, isDatabaseFailure } from '../errors.ts';
import { isConnectionFailure } from '../failures/classify.ts';
import { type Connection, notWritable } from './connection.ts';
import { within } from './deadline.ts';
import { aborted, ConnectionPool, type PoolGauges } from './pool.ts';
import { SilenceWatch } from './silence-watch.ts';

export type TargetKind = 'writer' | 'replica';

export interface TargetOptions {
  readonly server: Server;
  readonly kind: TargetKind;
  readonly name: string;
  readonly applicationName: string;
  readonly pool: PoolOptions;
  readonly timeouts: TimeoutOptions;
  readonly breaker: BreakerOptions;
}

/** State of the circuit breaker: `open` refuses, `half-open` probes the server with one connection. */
export type BreakerState = 'closed' | 'open' | 'half-open';

export interface TargetGauges extends PoolGauges {
  readonly breaker: BreakerState;
}

export class Target {
  readonly server: Server;
  readonly kind: TargetKind;
  readonly name: string;
  /** Value for the server's statement_timeout, in milliseconds. */
  readonly statementMs: number;
  readonly idleInTransactionMs: number;
  /** Whether a pooler stands before the server and sets parameters of its sessions. */
  readonly isPooled: boolean;
  readonly applicationName: string;
  readonly #pool: ConnectionPool;
  readonly #breaker: IPolicy & { readonly state: CircuitState };
  readonly #watch: SilenceWatch;
  readonly #acquireMs: number;
  #isSizeChecked = false;

  constructor({ server, kind, name, applicationName, pool, timeouts, breaker }: TargetOptions) {
    const isWriter = kind === 'writer';
    this.server = server;
    this.kind = kind;
    this.name = name;
    this.isPooled = server.port === poolerPort;
    this.statementMs = timeouts.statement ?? (isWriter ? 60_000 : 30_000);
    this.idleInTransactionMs = timeouts.idleInTransaction ?? 60_000;
    this.applicationName = applicationName;
    const pingMs = timeouts.ping ?? 2000;
    this.#acquireMs = timeouts.acquire ?? 15_000;
    const max = pool.max ?? (isWriter ? 20 : 40);
    this.#pool = new ConnectionPool(
      name,
      {
        max,
        min: pool.min ?? 0,
        idleMs: pool.idleMs ?? 60_000,
        lifetimeMs: pool.lifetimeMs ?? 30 * 60_000,
        acquireMs: this.#acquireMs,
      },
      { server, applicationName, connectMs: timeouts.connect ?? 10_000, cancelMs: pingMs },
      (connection) => this.#admit(connection, max),
    );
    this.#breaker = circuitBreaker(handleWhen(isConnectionFailure), {
      breaker: new ConsecutiveBreaker(breaker.failures ?? 5),
      halfOpenAfter: new ExponentialBackoff({
        initialDelay: breaker.probeAfterMs ?? 200,
        maxDelay: breaker.longestProbeAfterMs ?? 1000,
      }),
    });
    this.#watch = new SilenceWatch({ server, pool: this.#pool, pingMs });
  }

  get gauges(): TargetGauges {
    return { ...this.#pool.gauges, breaker: stateNames[this.#breaker.state] ?? 'closed' };
  }

  /**
   * Lends a connection.
   *
   * @throws DatabaseFailure `connection/circuit-open` while the server is considered gone; else see `ConnectionPool.acquire`
   */
  async acquire(signal?: AbortSignal): Promise<Connection> {
    try {
      // An idle connection says nothing about whether another one could be opened, so the breaker does not count it.
      const idle =
        this.#breaker.state === CircuitState.Closed && !signal?.aborted ? this.#pool.takeIdle() : undefined;
      const connection = idle ?? (await this.#acquireBehindBreaker(signal));
      this.#watch.begin();
      return connection;
    } catch (error) {
      if (error instanceof BrokenCircuitError) throw this.#circuitOpen(error);
      throw error;
    }
  }

  /** While the breaker probes the server, it lets others wait for the probe, without their signal and beyond their deadline. */
  async #acquireBehindBreaker(signal: AbortSignal | undefined): Promise<Connection> {
    const acquiring = this.#breaker.execute(() => this.#pool.acquire(signal));
    const isLate = () => (signal?.aborted ? aborted(signal) : this.#pool.exhausted());
    try {
      // The pool keeps the deadline itself; this one is for the probe.
      return await within(this.#acquireMs + 100, acquiring, isLate, signal);
    } catch (error) {
      acquiring.then((late) => this.#pool.release(late)).catch(() => undefined);
      throw error;
    }
  }

  release(connection: Connection): void {
    this.#pool.release(connection);
  }

  /** Takes note of a failure of work: after one of a connection, no idle connection is trusted any more. */
  failed(error: unknown, { address }: Connection): void {
    if (isConnectionFailure(error)) this.#pool.dropIdle();
    else if (isDatabaseFailure(error) && error.code === 'statement/unanswered')
      void this.#watch.suspect(address);
  }

  async close(graceMs: number): Promise<void> {
    this.#watch.end();
    await this.#pool.close(graceMs);
  }

  #circuitOpen(cause: Error): DatabaseFailure {
    return new DatabaseFailure(
      'connection/circuit-open',
      `No connection to ${describeServer(this.server)} is attempted now`,
      'the last attempts failed, and the next probe is due within a second',
      'Wait until the server is back; later calls try it again.',
      { cause, retryable: true },
    );
  }

  async #admit(connection: Connection, max: number): Promise<void> {
    if (this.kind === 'writer' && connection.inHotStandby) throw notWritable(this.server);
    // Behind a pooler, sessions of the server are not connections of this pool.
    if (this.#isSizeChecked || this.isPooled) return;
    const { rows } = await connection.run(10_000, () =>
      connection.client.query<{ available: number }>(available),
    );
    const limit = rows[0]?.available ?? max;
    if (max > limit) {
      throw new ConfigurationError(
        'pool/larger-than-server',
        `The pool ${this.name} may open ${max} connections`,
        `${describeServer(this.server)} accepts ${limit} of this login (max_connections without the reserved ones, CONNECTION LIMIT)`,
        'Lower pool.max, counting all instances of the application, or raise max_connections.',
      );
    }
    this.#isSizeChecked = true;
  }
}

const stateNames: Readonly<Record<number, BreakerState>> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Isolated]: 'open',
};

/** Connections that the server in force accepts of the login. reserved_connections exists since PostgreSQL 16. */
const available = `
  SELECT least(
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
      - coalesce(current_setting('reserved_connections', true)::int, 0),
    (SELECT nullif(rolconnlimit, -1) FROM pg_catalog.pg_roles WHERE rolname = current_user)
  ) AS available`;
