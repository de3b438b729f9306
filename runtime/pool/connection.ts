/** One connection of `pg`, opened, watched and ended with limits of its own. */
import type { Socket } from 'node:net';
import pg from 'pg';
import { describeServer, type Server } from '../configuration/server.ts';
import { tlsOptions } from '../configuration/tls.ts';
import { DatabaseFailure, reasonOf } from '../errors.ts';
import { isConnectionFailure, isLoginFailure } from '../failures/classify.ts';
import { cancelBackend } from './cancel.ts';
import { within } from './deadline.ts';

export interface OpenOptions {
  readonly server: Server;
  readonly applicationName: string;
  /** Milliseconds for name, TCP, TLS and login together. */
  readonly connectMs: number;
  /** Milliseconds for the cancellation of a statement on the server. */
  readonly cancelMs: number;
  /** Called once, when the connection breaks without being asked to end. */
  readonly onLost: (connection: Connection, reason: Error) => void;
  /** Called with the cancellation of a statement on the server, which does not fail. @default - nothing */
  readonly onCancel?: (canceling: Promise<void>) => void;
}

/** Milliseconds that a server gets to close a connection in good order. */
const farewellMs = 1000;

export class Connection {
  readonly client: pg.Client;
  readonly openedAt = performance.now();
  /** Number of the pool's generation; an older one is destroyed when it returns. */
  generation = 0;
  idleSince = 0;
  readonly #options: OpenOptions;
  readonly #address: string;
  #inHotStandby = false;
  #ended = false;
  #lost: Error | undefined;
  #busySince: number | undefined;
  #isCommitting = false;
  #timer: NodeJS.Timeout | undefined;
  #timerMs = 0;
  #onLate: (() => void) | undefined;

  private constructor(options: OpenOptions, address: string, password: () => Promise<string>) {
    const { server, applicationName } = options;
    this.#options = options;
    this.#address = address;
    this.client = new pg.Client({
      ...{ host: address, port: server.port, user: server.user, database: server.database, password },
      application_name: applicationName,
      // Node sets only the idle time of keep-alive; the deadlines of statements and the ping cover the rest.
      ...{ keepAlive: true, keepAliveInitialDelayMillis: 10_000 },
      ssl: tlsOptions(server.host, server.roots),
    });
    // Without a listener, an idle connection that breaks ends the process.
    this.client.on('error', (error) => this.#break(error));
    this.client.on('end', () => this.#break(new Error('Connection terminated unexpectedly')));
    this.client.connection.on('parameterStatus', ((message: {
      parameterName: string;
      parameterValue: string;
    }) => {
      if (message.parameterName === 'in_hot_standby') this.#inHotStandby = message.parameterValue === 'on';
    }) as never);
  }

  /**
   * Opens a connection. If the server refuses a token, it asks once more with a new one.
   *
   * @param signal ends the attempt at once, with its socket
   * @throws DatabaseFailure `connection/not-opened` if the server cannot be reached; the server's error if it refuses the login
   */
  static async open(options: OpenOptions, signal: AbortSignal): Promise<Connection> {
    const { server, connectMs } = options;
    const endsAt = performance.now() + connectMs;
    for (let isRepeated = false; ; isRepeated = true) {
      let password = '';
      try {
        const { found, forget } = server.resolve();
        const isLate = () => {
          forget();
          return stalled(server);
        };
        const address = await within(endsAt - performance.now(), found, isLate, signal);
        const credentials = async () => {
          password = server.tokens ? await server.tokens.token() : (server.password?.reveal() ?? '');
          return password;
        };
        return await Connection.#attempt(options, address, endsAt, credentials, signal);
      } catch (error) {
        if (server.tokens && isLoginFailure(error) && !isRepeated) {
          server.tokens.forget(password);
          continue;
        }
        throw isConnectionFailure(error) ? notOpened(server, error) : error;
      }
    }
  }

  static async #attempt(
    options: OpenOptions,
    address: string,
    endsAt: number,
    password: () => Promise<string>,
    signal: AbortSignal,
  ): Promise<Connection> {
    const connection = new Connection(options, address, password);
    const opening = connection.client.connect();
    try {
      await within(
        endsAt - performance.now(),
        opening,
        () => new Error(`timeout expired: no connection within ${options.connectMs} ms`),
        signal,
      );
      return connection;
    } catch (error) {
      opening.catch(() => undefined);
      connection.destroy();
      throw error;
    }
  }

  get server(): Server {
    return this.#options.server;
  }

  /** IP address of the server. */
  get address(): string {
    return this.#address;
  }

  /** Whether the server said at last that it is a standby (PostgreSQL 14 and later). */
  get inHotStandby(): boolean {
    return this.#inHotStandby;
  }

  get isUsable(): boolean {
    return !this.#ended && this.#lost === undefined;
  }

  /** Whether no transaction is open, so that another user may have it. */
  get isIdle(): boolean {
    return this.isUsable && this.client.getTransactionStatus() === 'I';
  }

  /** Milliseconds for which the current statement has had no byte of an answer; undefined without a statement. */
  get silentMs(): number | undefined {
    if (this.#busySince === undefined) return undefined;
    const bytes = this.#socket.bytesRead;
    if (bytes !== this.#bytesSeen) {
      this.#bytesSeen = bytes;
      this.#busySince = performance.now();
    }
    return performance.now() - this.#busySince;
  }

  #bytesSeen = 0;

  get #socket(): Socket {
    return this.client.connection.stream as Socket;
  }

  /**
   * Runs one statement with a deadline, after which the connection is destroyed and the statement canceled on the server.
   *
   * @param isCommit never canceled on the server: a COMMIT that waits for a synchronous standby would become visible without it
   * @throws DatabaseFailure `statement/unanswered` after the deadline, `connection/lost` if the connection breaks
   */
  run<Result>(deadlineMs: number, statement: () => Promise<Result>, isCommit = false): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.requireUsable();
      this.#busySince = performance.now();
      this.#bytesSeen = this.#socket.bytesRead;
      this.#isCommitting = isCommit;
      const end = () => {
        this.#busySince = undefined;
        this.#onLate = undefined;
      };
      this.#arm(deadlineMs, () => {
        end();
        const failure = this.#unanswered(deadlineMs);
        this.abandon(failure);
        reject(failure);
      });
      const fail = (error: unknown) => {
        end();
        if (this.#lost) reject(this.lost(this.#lost));
        else reject(isConnectionFailure(error) ? this.lost(error) : error);
      };
      try {
        statement().then((result) => {
          end();
          resolve(result);
        }, fail);
      } catch (error) {
        // A statement that is malformed may throw at once.
        fail(error);
      }
    });
  }

  /** One timer per connection: refreshing it is cheaper than a new one per statement. */
  #arm(ms: number, onLate: () => void): void {
    this.#onLate = onLate;
    if (this.#timer && this.#timerMs === ms) {
      this.#timer.refresh();
      return;
    }
    clearTimeout(this.#timer);
    this.#timerMs = ms;
    this.#timer = setTimeout(() => this.#onLate?.(), ms);
    // The socket keeps the process alive while a statement runs.
    this.#timer.unref();
  }

  /** @throws DatabaseFailure `connection/lost` if the connection broke or was ended */
  requireUsable(): void {
    if (!this.isUsable) throw this.lost(this.#lost ?? new Error('the connection has ended'));
  }

  #unanswered(deadlineMs: number): DatabaseFailure {
    return new DatabaseFailure(
      'statement/unanswered',
      `${describeServer(this.#options.server)} has not answered a statement`,
      `${deadlineMs} ms have passed, so the connection was destroyed`,
      'Raise timeouts.statement if statements may take longer.',
    );
  }

  /** The failure of a connection that broke for a reason. */
  lost(reason: unknown): DatabaseFailure {
    if (reason instanceof DatabaseFailure) return reason;
    return new DatabaseFailure(
      'connection/lost',
      `The connection to ${describeServer(this.#options.server)} was lost`,
      reasonOf(reason),
      'Repeat the transaction unless its outcome is unknown.',
      { cause: reason },
    );
  }

  /** Destroys the connection for a reason, and cancels its statement on the server, which may not notice otherwise. */
  abandon(reason: Error): void {
    if (this.#ended) return;
    const { server, cancelMs, onCancel } = this.#options;
    if (!this.#isCommitting) {
      const dialled = { server, address: this.#address, withinMs: cancelMs };
      const canceling = cancelBackend({ ...dialled, client: this.client });
      onCancel?.(canceling);
    }
    this.#lost ??= reason;
    this.destroy(reason);
  }

  /** Closes the socket at once. */
  destroy(reason?: Error): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket.destroy(reason);
  }

  /** Closes an idle connection in good order. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    const closing = this.client.end();
    await within(farewellMs, closing, () => new Error('no farewell')).catch(() => {
      closing.catch(() => undefined);
      this.#socket.destroy();
    });
  }

  #break(reason: Error): void {
    const isNews = this.#lost === undefined && !this.#ended;
    this.#lost ??= reason;
    clearTimeout(this.#timer);
    if (!isNews) return;
    this.#socket.destroy();
    this.#options.onLost(this, reason);
  }
}

function stalled(server: Server): Error {
  return Object.assign(new Error(`the name ${server.host} was not resolved in time`), { code: 'EAI_AGAIN' });
}

function notOpened(server: Server, error: unknown): DatabaseFailure {
  return new DatabaseFailure(
    'connection/not-opened',
    `No connection to ${describeServer(server)}`,
    reasonOf(error),
    'Check that the server runs, its name resolves here, and the network permits the port.',
    { cause: error, retryable: true },
  );
}

/** The failure of a writer that is in recovery. */
export function notWritable(server: Server, cause?: unknown): DatabaseFailure {
  return new DatabaseFailure(
    'connection/not-writable',
    `${describeServer(server)} accepts no writes`,
    'it is a standby; after a failover, its name leads to the new primary in up to 30 seconds',
    'Use the writer endpoint, which follows a failover.',
    { retryable: true, ...(cause === undefined ? {} : { cause }) },
  );
}
