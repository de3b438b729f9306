/** Unwrapped data keys in memory: few, not for long, each fetched once however many ask, and overwritten when they go. */

export interface CacheOptions {
  /** Seconds a key, and the knowledge of which one is active, is used before it is asked for again. @default 300 */
  readonly maxAgeSeconds?: number;
  /** Keys held at most; the one that was used longest ago goes first. @default 1000 */
  readonly maxKeys?: number;
}

interface Entry {
  readonly key: Buffer;
  readonly until: number;
}

/**
 * What Node allows: the buffer that is held here is zeroed; copies that the runtime, OpenSSL or a core dump made are out
 * of reach.
 */
export class KeyCache {
  readonly maxAge: number;
  readonly #maxKeys: number;
  readonly #entries = new Map<string, Entry>();
  readonly #loading = new Map<string, Promise<void>>();
  #sweeper: NodeJS.Timeout | undefined;
  #closed = false;

  constructor({ maxAgeSeconds = 300, maxKeys = 1000 }: CacheOptions = {}) {
    if (!(maxAgeSeconds > 0) || !(maxKeys >= 1)) throw new RangeError('a cache has a positive age and size');
    this.maxAge = maxAgeSeconds * 1000;
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Calls `use` with the key, at once and synchronously: it may not keep it. A key that is not here, or too old, is
   * loaded first, once for all who wait.
   */
  async use<Result>(id: string, load: () => Promise<Buffer>, use: (key: Buffer) => Result): Promise<Result> {
    for (;;) {
      const entry = this.#entries.get(id);
      if (entry && entry.until > Date.now()) {
        this.#entries.delete(id);
        this.#entries.set(id, entry);
        return use(entry.key);
      }
      await this.#load(id, load);
    }
  }

  /** Forgets the keys whose id begins so; all of them without one. */
  forget(prefix = ''): void {
    for (const id of this.#entries.keys()) if (id.startsWith(prefix)) this.#drop(id);
    // What is being loaded was asked for before, and must not come back afterwards.
    for (const id of this.#loading.keys()) if (id.startsWith(prefix)) this.#loading.delete(id);
  }

  close(): void {
    this.#closed = true;
    this.forget();
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #load(id: string, load: () => Promise<Buffer>): Promise<void> {
    const running = this.#loading.get(id);
    if (running) return running;
    const loading: Promise<void> = load()
      .then((key) => {
        if (this.#closed) {
          key.fill(0);
          throw new Error('field encryption was closed');
        }
        if (this.#loading.get(id) === loading) this.#keep(id, key);
        else key.fill(0);
      })
      .finally(() => {
        if (this.#loading.get(id) === loading) this.#loading.delete(id);
      });
    this.#loading.set(id, loading);
    return loading;
  }

  #keep(id: string, key: Buffer): void {
    this.#drop(id);
    while (this.#entries.size >= this.#maxKeys) {
      const [oldest] = this.#entries.keys();
      if (oldest === undefined) break;
      this.#drop(oldest);
    }
    this.#entries.set(id, { key, until: Date.now() + this.maxAge });
    // A key that nobody asks for any more must go too.
    this.#sweeper ??= setInterval(() => this.#sweep(), Math.min(this.maxAge, 60_000)).unref();
  }

  #sweep(): void {
    const now = Date.now();
    for (const [id, { until }] of this.#entries) if (until <= now) this.#drop(id);
    if (this.#entries.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #drop(id: string): void {
    this.#entries.get(id)?.key.fill(0);
    this.#entries.delete(id);
  }
}
