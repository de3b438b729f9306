/** Notices a server that vanished without closing its connections. */
import { describeServer, type Server } from '../configuration/server.ts';
import { DatabaseFailure } from '../errors.ts';
import { answers } from './cancel.ts';
import type { Connection } from './connection.ts';
import type { ConnectionPool } from './pool.ts';

/** Milliseconds without a byte after which a statement is suspicious. Most statements are answered sooner. */
const suspiciousMs = 1000;
const lookEveryMs = 500;

export interface SilenceWatchOptions {
  readonly server: Server;
  readonly pool: ConnectionPool;
  /** Milliseconds for the answer to a ping. */
  readonly pingMs: number;
}

/**
 * After some failovers the old server is gone and its sockets stay open: reads then wait for many minutes. While a statement has
 * had no answer for a second, this watch pings the address of its connection. Two pings without an answer end every connection to
 * that address; a statement that is only slow goes on.
 */
export class SilenceWatch {
  readonly #options: SilenceWatchOptions;
  readonly #unanswered = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  readonly #ending = new AbortController();

  constructor(options: SilenceWatchOptions) {
    this.#options = options;
  }

  /** Watches from now on, until no connection is lent. */
  begin(): void {
    if (this.#timer || this.#ending.signal.aborted) return;
    this.#timer = setTimeout(() => {
      void this.#look().finally(() => {
        this.#timer = undefined;
        if (this.#options.pool.gauges.inUse > 0) this.begin();
      });
    }, lookEveryMs);
    this.#timer.unref();
  }

  end(): void {
    this.#ending.abort();
    clearTimeout(this.#timer);
  }

  /** Pings an address at which a statement was not answered in its time, because idle connections may lead there too. */
  async suspect(address: string): Promise<void> {
    for (let isGone = false; !isGone && !this.#ending.signal.aborted; ) {
      await this.#ping(address);
      isGone = !this.#unanswered.has(address);
    }
  }

  async #look(): Promise<void> {
    const silent = this.#options.pool.lent.filter(({ silentMs }) => (silentMs ?? 0) > suspiciousMs);
    const addresses = new Set(silent.map(({ address }) => address));
    for (const known of this.#unanswered.keys()) if (!addresses.has(known)) this.#unanswered.delete(known);
    await Promise.all([...addresses].map((address) => this.#ping(address)));
  }

  async #ping(address: string): Promise<void> {
    const { server, pool, pingMs } = this.#options;
    if (await answers({ server, address, withinMs: pingMs, signal: this.#ending.signal })) {
      this.#unanswered.delete(address);
      return;
    }
    if (this.#ending.signal.aborted) return;
    const misses = (this.#unanswered.get(address) ?? 0) + 1;
    this.#unanswered.set(address, misses);
    if (misses < 2) return;
    this.#unanswered.delete(address);
    pool.dropIdle();
    for (const connection of pool.lent) {
      if (connection.address === address && connection.silentMs !== undefined)
        connection.abandon(gone(server, connection));
    }
  }
}

function gone(server: Server, { address }: Connection): DatabaseFailure {
  return new DatabaseFailure(
    'connection/server-silent',
    `${describeServer(server)} has vanished`,
    `its address ${address} answers neither statements nor pings, and its connections stay open`,
    'Repeat the transaction unless its outcome is unknown.',
    { retryable: true },
  );
}
