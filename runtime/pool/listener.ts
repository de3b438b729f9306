/** Notifications of a database, on one connection of their own that is pinged and replaced. */
import { setTimeout as pause } from 'node:timers/promises';
import { ExponentialBackoff } from 'cockatiel';
import pg from 'pg';
import { describeServer, poolerPort } from '../configuration/server.ts';
import { ConfigurationError, DatabaseFailure, isDatabaseFailure, reasonOf } from '../errors.ts';
import { isConnectionFailure } from '../failures/classify.ts';
import { onAbort } from './abort.ts';
import { Connection, notWritable, type OpenOptions } from './connection.ts';
import { within } from './deadline.ts';
import { aborted, closed } from './pool.ts';

export interface Notification {
  readonly channel: string;
  /** Empty if the sender gave none. Every login of the database can send it. */
  readonly payload: string;
}

export interface ListenOptions {
  /**
   * Called each time the channel is heard again after the connection was lost. Notifications that were sent meanwhile are missing,
   * so read what they would have announced. @default - nothing
   */
  readonly onResume?: () => void;
  /** Ends the subscription. @default - `close` of the subscription ends it */
  readonly signal?: AbortSignal;
}

export interface Subscription {
  /** Ends it: the handler gets nothing any more. */
  close(): void;
}

export interface ListenerGauges {
  /** Whether all channels are heard now, on one connection beside those of the pool. */
  readonly isListening: boolean;
  readonly channels: number;
}

export interface ListenerOptions extends Omit<OpenOptions, 'onLost' | 'onCancel'> {
  /** Milliseconds for the first LISTEN of a subscription. */
  readonly startMs: number;
  /** Milliseconds between pings. */
  readonly pingEveryMs: number;
  /** Milliseconds for the answer to a ping, and to LISTEN. */
  readonly answerMs: number;
}

interface Subscriber {
  readonly channel: string;
  readonly handler: (notification: Notification) => unknown;
  readonly onResume: () => unknown;
  /** Resolves the call of `listen`; undefined afterwards. */
  begin: (() => void) | undefined;
  refuse(error: unknown): void;
}

/** PostgreSQL cuts longer names of channels in LISTEN, and refuses them in pg_notify. */
const longestChannel = 63;

/**
 * A lost connection of LISTEN shows in nothing: no statement fails, and notifications stop. So it is pinged, and replaced by another
 * one, which follows the server's name.
 */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #channels = new Map<string, Set<Subscriber>>();
  #connection: Connection | undefined;
  #last: Promise<unknown> = Promise.resolve();
  /** Ends the current sleep: the connection was lost, or nobody listens any more. */
  #wake = new AbortController();
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;
  #failure: unknown;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  get gauges(): ListenerGauges {
    return { isListening: this.#connection?.isUsable === true, channels: this.#channels.size };
  }

  /**
   * Calls the handler with each notification of a channel from now on.
   *
   * @throws DatabaseFailure `listen/not-begun` if the channel is not heard in time, or the server's error if it refuses the login;
   * ConfigurationError for a port of PgBouncer, or a name that PostgreSQL would cut
   */
  async listen(
    channel: string,
    handler: (notification: Notification) => unknown,
    { onResume = ignore, signal }: ListenOptions,
  ): Promise<Subscription> {
    this.#check(channel);
    if (signal?.aborted) throw aborted(signal);
    const { promise, begin, refuse } = deferred();
    const subscriber: Subscriber = { channel, handler, onResume, begin, refuse };
    const close = () => {
      forget();
      this.#remove(subscriber);
    };
    const forget = onAbort(signal, () => {
      refuse(aborted(signal));
      close();
    });
    this.#add(subscriber);
    try {
      await within(this.#options.startMs, promise, () => this.#notBegun(channel));
    } catch (error) {
      close();
      throw error;
    }
    return { close };
  }

  #check(channel: string): void {
    const { server } = this.#options;
    if (this.#closing.signal.aborted) throw closed('of notifications');
    if (server.port === poolerPort) {
      throw new ConfigurationError(
        'listen/through-pooler',
        `${describeServer(server)} cannot be listened to`,
        'PgBouncer in transaction mode gives each transaction another session, and LISTEN belongs to one session',
        'Use a Database object with port 5432 for notifications.',
      );
    }
    const isName = typeof channel === 'string' && /^[^\0]+$/.test(channel);
    if (isName && Buffer.byteLength(channel) <= longestChannel) return;
    throw new ConfigurationError(
      'listen/channel-unusable',
      `${String(JSON.stringify(channel)).slice(0, 80)} is not the name of a channel`,
      `a name has 1 to ${longestChannel} bytes without NUL; PostgreSQL cuts longer ones`,
      'Use a shorter name, and put the rest into the payload.',
    );
  }

  #notBegun(channel: string): DatabaseFailure {
    const { server, startMs } = this.#options;
    return new DatabaseFailure(
      'listen/not-begun',
      `Channel ${JSON.stringify(channel)} of ${describeServer(server)} is not heard`,
      this.#failure === undefined ? `LISTEN took longer than ${startMs} ms` : reasonOf(this.#failure),
      'Check that the server runs and is the primary, then listen again.',
      { cause: this.#failure, retryable: true },
    );
  }

  #add(subscriber: Subscriber): void {
    const { channel } = subscriber;
    const others = this.#channels.get(channel);
    this.#channels.set(channel, (others ?? new Set()).add(subscriber));
    if (this.#connection) {
      const heard = others ? this.#last : this.#say(this.#connection, [listenTo(channel)]);
      this.#beginAfter(heard, this.#connection, subscriber);
    }
    this.#running ??= this.#run();
  }

  #remove(subscriber: Subscriber): void {
    const { channel } = subscriber;
    const subscribers = this.#channels.get(channel);
    if (!subscribers?.delete(subscriber) || subscribers.size > 0) return;
    this.#channels.delete(channel);
    if (this.#channels.size === 0) this.#wake.abort();
    else if (this.#connection)
      this.#say(this.#connection, [`UNLISTEN ${pg.escapeIdentifier(channel)}`]).catch(ignore);
  }

  /** Statements of one connection, one after the other. One that fails or is not answered costs the connection. */
  #say(connection: Connection, statements: readonly string[]): Promise<void> {
    const said = this.#last.then(async () => {
      try {
        await connection.run(this.#options.answerMs, () => connection.client.query(statements.join('; ')));
      } catch (error) {
        this.#failure = error;
        connection.destroy();
        this.#wake.abort();
        throw error;
      }
    });
    this.#last = said.catch(ignore);
    return said;
  }

  #beginAfter(heard: Promise<unknown>, connection: Connection, subscriber: Subscriber): void {
    heard.then(() => {
      if (connection !== this.#connection || !connection.isUsable) return;
      const { begin, onResume } = subscriber;
      subscriber.begin = undefined;
      if (begin) begin();
      else this.#call(subscriber, onResume);
    }, ignore);
  }

  /** An error of the application's function is its own, as in every listener of events. */
  #call(subscriber: Subscriber, work: () => unknown): void {
    queueMicrotask(() => {
      // One message of the server can have several notifications, and the function may end a subscription at the first one.
      if (this.#channels.get(subscriber.channel)?.has(subscriber)) void work();
    });
  }

  get #isWanted(): boolean {
    return !this.#closing.signal.aborted && this.#channels.size > 0;
  }

  /** Keeps one connection until nobody listens any more. */
  async #run(): Promise<void> {
    const backoff = new ExponentialBackoff({ initialDelay: 50, maxDelay: 1000 });
    let delay = backoff.next();
    try {
      while (this.#isWanted) {
        try {
          const connection = await this.#open();
          delay = backoff.next();
          await this.#pingUntilLost(connection);
        } catch (error) {
          this.#failure = error;
          if (!isOfConnection(error)) this.#refuse(error);
        }
        if (!this.#isWanted) return;
        this.#wake = new AbortController();
        await this.#sleep(delay.duration);
        delay = delay.next(undefined);
      }
    } finally {
      this.#running = undefined;
    }
  }

  async #open(): Promise<Connection> {
    const connection = await Connection.open(
      { ...this.#options, onLost: () => this.#wake.abort() },
      this.#closing.signal,
    );
    connection.client.on('notification', ({ channel, payload = '' }) => {
      for (const subscriber of this.#channels.get(channel) ?? [])
        this.#call(subscriber, () => subscriber.handler({ channel, payload }));
    });
    this.#wake = new AbortController();
    try {
      if (connection.inHotStandby) throw notWritable(connection.server);
      const names = [...this.#channels.keys()];
      await this.#say(connection, ['SELECT 1', ...names.map(listenTo)]);
      this.#connection = connection;
      for (const [name, subscribers] of this.#channels) {
        // A channel that came meanwhile.
        const heard = names.includes(name) ? this.#last : this.#say(connection, [listenTo(name)]);
        for (const subscriber of subscribers) this.#beginAfter(heard, connection, subscriber);
      }
      return connection;
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  async #pingUntilLost(connection: Connection): Promise<void> {
    try {
      while (connection.isUsable && this.#isWanted) {
        await this.#sleep(this.#options.pingEveryMs);
        if (connection.isUsable && this.#isWanted) await this.#say(connection, ['SELECT 1']);
      }
    } finally {
      this.#connection = undefined;
      await this.#last;
      await connection.end();
    }
  }

  /** Holds the process open, as a connection does. */
  async #sleep(ms: number): Promise<void> {
    const { signal } = this.#wake;
    await pause(ms, undefined, { signal }).catch(ignore);
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
  }

  #refuse(error: unknown): void {
    for (const subscribers of this.#channels.values()) for (const { refuse } of subscribers) refuse(error);
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#closing.abort();
    this.#refuse(closed('of notifications'));
    this.#channels.clear();
    this.#wake.abort();
    // Ended here, a ping without an answer is not waited for.
    await Promise.all([connection?.end(), this.#running]);
  }
}

/** Whether another connection may do what this one did not, so that those who wait go on waiting. */
function isOfConnection(error: unknown): boolean {
  return isConnectionFailure(error) || (isDatabaseFailure(error) && error.code === 'statement/unanswered');
}

function listenTo(channel: string): string {
  return `LISTEN ${pg.escapeIdentifier(channel)}`;
}

function deferred() {
  let begin = ignore;
  let refuse: (error: unknown) => void = ignore;
  const promise = new Promise<void>((resolve, reject) => {
    begin = resolve;
    refuse = reject;
  });
  return { promise, begin, refuse };
}

function ignore(): void {}
