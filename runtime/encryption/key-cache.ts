/** A small cache of unwrapped data keys. Concurrent callers share one load, and removed keys are overwritten. */

export interface CacheOptions {
  /** Seconds for which a key, the list of keys and the registry are cached. @default 300 */
  readonly maxAgeSeconds?: number;
  /** Maximum number of keys. The least recently used key is removed first. @default 1000 */
  readonly maxKeys?: number;
}

interface Entry {
  readonly key: Buffer;
  readonly until: number;
}

/**
 * Zeroes the buffers that it holds. It cannot reach copies made by the runtime, by OpenSSL or in a core dump.
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
   * Calls `use` with the key, synchronously. `use` must not keep the key. A key that is absent or too old is loaded first,
   * once for all waiting callers.
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

  /** Removes the keys whose id begins with the prefix. @default - all keys */
  forget(prefix = ''): void {
    for (const id of this.#entries.keys()) if (id.startsWith(prefix)) this.#drop(id);
    // A key that is being loaded was requested before this call and must not enter the cache after it.
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
    // A key that is no longer requested must be removed too.
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
