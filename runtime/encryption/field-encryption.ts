/** Encryption of fields for applications. Values are bound to their place; each tenant has its own data keys. */
import { createHmac, randomUUID } from 'node:crypto';
import { lengthPrefixed, open, type Place, parse, type Sealed, seal, toBytes, toText } from './ciphertext.ts';
import { EncryptionError } from './error.ts';
import { type CacheOptions, KeyCache } from './key-cache.ts';
import type { KeyStore, RegisteredColumn, StoredKey } from './key-store.ts';
import {
  type DataKeyIdentity,
  generateDataKey,
  type Purpose,
  unwrapDataKey,
  type WrappingKey,
  wrapDataKey,
} from './wrapping-key.ts';

export interface FieldEncryptionOptions {
  readonly store: KeyStore;
  /** Wraps new data keys. Data keys that another wrapping key wrapped are refused. */
  readonly wrapping: WrappingKey;
  readonly cache?: CacheOptions;
  /** Days after which a new data key replaces the active one for new values. @default 365 */
  readonly maxKeyAgeDays?: number;
}

/** A decrypted value. */
export interface Opened {
  readonly plaintext: Buffer;
  /** The value is under a data key that was replaced. Use `renew` when you next write the record. */
  readonly stale: boolean;
}

/** A column that an equality search uses. */
export type IndexedField = Omit<Place, 'record'>;

export interface BlindIndexOptions {
  /** Maps texts that a search treats as equal to one text. See `normalisation`. @default - the text as it is */
  readonly normalise?: (text: string) => string;
  /**
   * Length of the result in bits, a multiple of 8 from 32 to 256. A short index matches several values: a reader of the
   * table learns less, and the application must compare the values after decryption. @default 128
   */
  readonly bits?: number;
}

/** Functions for {@link BlindIndexOptions.normalise}. A change of one changes every index made with it. */
export const normalisation = {
  /** Ignores differences of Unicode composition only. */
  exact: (text: string) => text.normalize('NFC'),
  /** Ignores case, compatibility forms and surrounding spaces: for e-mail addresses and names. */
  caseless: (text: string) => text.trim().normalize('NFKC').toLowerCase().normalize('NFKC'),
  /** Keeps digits only: for telephone, card and account numbers. */
  digits: (text: string) => text.normalize('NFKC').replace(/\D/g, ''),
} as const;

interface Ring {
  readonly keys: readonly StoredKey[];
  readonly at: number;
}

/** The registered columns, with the names that `columnOf` gives. */
interface Registry {
  readonly columns: ReadonlySet<string>;
  readonly at: number;
}

/**
 * Maximum size of a value in bytes. Both are 96 MiB of text: in base64, and in hexadecimal, the form of bytea in the audit
 * trail. A row with a version of more than 100 MiB of text cannot be audited (llama.require_sealable).
 */
const largestValue = { text: 72 * 2 ** 20, bytes: 48 * 2 ** 20 } as const;

/** Values that a process reserves at once. The block doubles with each reservation. */
const firstBlock = 2 ** 10;
const largestBlock = 2 ** 20;
const dayLength = 24 * 60 * 60_000;

/**
 * Encrypts and decrypts values of tenants. Use one instance per process: its caches avoid a request to Key Vault per
 * value.
 */
export class FieldEncryption {
  readonly #store: KeyStore;
  readonly #wrapping: WrappingKey;
  readonly #cache: KeyCache;
  readonly #maxKeyAge: number;
  readonly #rings = new Map<string, Ring>();
  readonly #listing = new Map<string, Promise<Ring>>();
  readonly #making = new Map<string, Promise<void>>();
  /** Reserved values that are left, by data key. */
  readonly #budgets = new Map<string, { left: number; block: number }>();
  readonly #reserving = new Map<string, Promise<boolean>>();
  #registry: Registry = { columns: new Set(), at: Number.NEGATIVE_INFINITY };
  readonly #reading = new Map<'registry', Promise<void>>();
  /** Counts calls of `forget`. */
  #forgotten = 0;

  constructor({ store, wrapping, cache, maxKeyAgeDays = 365 }: FieldEncryptionOptions) {
    this.#store = store;
    this.#wrapping = wrapping;
    this.#cache = new KeyCache(cache);
    if (!(maxKeyAgeDays >= 1)) throw new RangeError('a data key is used for a day at least');
    this.#maxKeyAge = maxKeyAgeDays * dayLength;
  }

  /**
   * @param place a place in a column that llama.register_encrypted_column has registered
   * @returns text for a text column; a jsonb column stores it as {"$enc": text}
   * @throws EncryptionError `unregistered` or `oversized` (more than 72 MiB), before any key is used; `destroyed`,
   * `denied`, `unavailable`
   */
  async encrypt(place: Place, plaintext: string | Uint8Array): Promise<string> {
    return toText(await this.#seal(place, plaintext, largestValue.text));
  }

  /** {@link encrypt} for a bytea column: a quarter shorter than the text, at most 48 MiB. */
  async encryptBytes(place: Place, plaintext: string | Uint8Array): Promise<Buffer> {
    return toBytes(await this.#seal(place, plaintext, largestValue.bytes));
  }

  /** @throws EncryptionError `refused`, `malformed`, `unknown`, `destroyed`, `denied`, `unavailable` */
  async decrypt(place: Place, value: string | Uint8Array): Promise<Opened> {
    const sealed = parse(value);
    const key = await this.#find(place.tenant, sealed.keyId);
    const plaintext = await this.#with(key, (bytes) => open(bytes, place, sealed));
    return { plaintext, stale: key.state !== 'active' };
  }

  /** {@link decrypt} for text. */
  async decryptText(place: Place, value: string | Uint8Array): Promise<string> {
    return (await this.decrypt(place, value)).plaintext.toString('utf8');
  }

  /** The value under the tenant's newest key, in the same form. Undefined if it already is under that key. */
  async renew<Value extends string | Uint8Array>(place: Place, value: Value): Promise<Value | undefined> {
    const { plaintext, stale } = await this.decrypt(place, value);
    if (!stale) return undefined;
    const sealed = await this.#seal(place, plaintext, Number.POSITIVE_INFINITY);
    plaintext.fill(0);
    return (typeof value === 'string' ? toText(sealed) : toBytes(sealed)) as string | Uint8Array as Value;
  }

  /**
   * HMAC-SHA-256 under the tenant's index key, in base64url. Equal values of one column and tenant have equal indexes.
   * Without the key nobody can compute the index of a value. The index still reveals which rows are equal, and how often.
   */
  async blindIndex(field: IndexedField, value: string, options: BlindIndexOptions = {}): Promise<string> {
    return (await this.blindIndexBytes(field, value, options)).toString('base64url');
  }

  /** {@link blindIndex} as bytes. */
  async blindIndexBytes(
    { tenant, table, column }: IndexedField,
    value: string,
    { normalise = (text) => text, bits = 128 }: BlindIndexOptions = {},
  ): Promise<Buffer> {
    if (!Number.isInteger(bits / 8) || bits < 32 || bits > 256) {
      throw new RangeError('a blind index has 32 to 256 bits, in steps of 8');
    }
    const message = lengthPrefixed('llama-index-1', table, column, normalise(value));
    const key = await this.#active(tenant, 'index');
    return this.#with(key, (bytes) =>
      createHmac('sha256', bytes)
        .update(message)
        .digest()
        .subarray(0, bits / 8),
    );
  }

  /** Empties the caches for one tenant, or for all. Call it after a refused write or the erasure of a tenant. */
  forget(tenant?: string): void {
    this.#forgotten += 1;
    if (tenant === undefined) this.#rings.clear();
    else this.#rings.delete(tenant);
    this.#cache.forget(tenant === undefined ? '' : prefixOf(tenant));
  }

  /** Overwrites the keys in memory. */
  close(): void {
    this.#rings.clear();
    this.#cache.close();
  }

  async #seal(place: Place, plaintext: string | Uint8Array, largest: number): Promise<Sealed> {
    await this.#requireRegistered(place);
    const bytes = typeof plaintext === 'string' ? Buffer.from(plaintext, 'utf8') : plaintext;
    if (bytes.length > largest) {
      throw new EncryptionError(
        'oversized',
        `A value for ${place.column} of ${place.table} is not encrypted`,
        `it has ${bytes.length} bytes, and PostgreSQL can store, audit and return ${largest}`,
        'Keep large content in blob storage, and its name in the record.',
      );
    }
    const key = await this.#reserved(place.tenant);
    return this.#with(key, (secret) => seal(secret, key.keyId, place, bytes));
  }

  /** A value that rotation does not find is lost with the destruction of its key. */
  async #requireRegistered(place: Place): Promise<void> {
    const registered = () => this.#registry.columns.has(columnOf(place));
    const age = Date.now() - this.#registry.at;
    // A migration may have registered it since. The registry is read at most once per second.
    if (age > this.#cache.maxAge || (!registered() && age > 1000)) {
      await once(this.#reading, 'registry', async () => {
        const columns = await this.#store.columns();
        this.#registry = { columns: new Set(columns.map(columnOf)), at: Date.now() };
      });
    }
    if (registered()) return;
    throw new EncryptionError(
      'unregistered',
      `Column ${place.column} of ${place.table} gets no encrypted value`,
      'llama.encrypted_columns does not list it, so llama-db keys rotate would destroy the key that its values need',
      'Register it in a migration with llama.register_encrypted_column (docs/encryption.md).',
    );
  }

  #with<Result>(key: StoredKey, use: (key: Buffer) => Result): Promise<Result> {
    return this.#cache.use(`${prefixOf(key.tenant)}${key.keyId}`, () => this.#unwrap(key), use);
  }

  async #unwrap(key: StoredKey): Promise<Buffer> {
    const { wrapped, wrappingKey, wrappingKeyVersion: version } = key;
    if (!wrapped) throw destroyed(key);
    if (wrappingKey !== this.#wrapping.id || key.algorithm !== this.#wrapping.algorithm) {
      throw new EncryptionError(
        'denied',
        `Data key ${key.keyId} of tenant ${key.tenant} cannot be unwrapped here`,
        `it is wrapped by ${wrappingKey} (${key.algorithm}), and this process uses ${this.#wrapping.id}`,
        'Configure the wrapping key that the environment has, or move the data keys with llama-db keys rewrap --from.',
      );
    }
    return unwrapDataKey(this.#wrapping, key, { version, bytes: wrapped });
  }

  /** The active key, with a reservation for one more value. */
  async #reserved(tenant: string): Promise<StoredKey> {
    for (;;) {
      const key = await this.#active(tenant, 'encryption');
      const budget = this.#budgets.get(key.keyId) ?? { left: 0, block: firstBlock / 2 };
      this.#budgets.set(key.keyId, budget);
      if (budget.left > 0) {
        budget.left -= 1;
        return key;
      }
      const got = await once(this.#reserving, key.keyId, async () => {
        budget.block = Math.min(budget.block * 2, largestBlock);
        const granted = await this.#store.reserve(tenant, key.keyId, budget.block);
        if (granted) budget.left += budget.block;
        return granted;
      });
      if (got) continue;
      // The key is used up, or another process has replaced it.
      this.#rings.delete(tenant);
      const again = await this.#active(tenant, 'encryption');
      if (again.keyId === key.keyId) await this.#make(tenant, 'encryption', key.keyId);
    }
  }

  async #active(tenant: string, purpose: Purpose): Promise<StoredKey> {
    for (;;) {
      const ring = await this.#ring(tenant);
      const key = ring.keys.find((one) => one.purpose === purpose && one.state === 'active');
      // The index key stays: a new one would need a new index of every value.
      const old = purpose === 'encryption' && key && key.createdAt.getTime() < Date.now() - this.#maxKeyAge;
      if (key && !old) return key;
      await this.#make(tenant, purpose, key?.keyId);
    }
  }

  async #find(tenant: string, keyId: string): Promise<StoredKey> {
    const among = ({ keys }: Ring) => keys.find((key) => key.keyId === keyId && key.purpose === 'encryption');
    let ring = await this.#ring(tenant);
    // Another process may have made it since. Keys are listed at most once per second: any writer can store an unknown id.
    if (!among(ring) && ring.at < Date.now() - 1000) {
      this.#rings.delete(tenant);
      ring = await this.#ring(tenant);
    }
    const key = among(ring);
    if (!key) {
      throw new EncryptionError(
        'unknown',
        `Tenant ${tenant} does not have data key ${keyId}`,
        'the value belongs to another tenant, or its key was lost with a restored or copied database',
        'Restore llama.data_keys from the same moment as the data.',
      );
    }
    if (!key.wrapped) throw destroyed(key);
    return key;
  }

  async #ring(tenant: string): Promise<Ring> {
    const known = this.#rings.get(tenant);
    if (known && known.at > Date.now() - this.#cache.maxAge) return known;
    return once(this.#listing, tenant, async () => {
      const forgotten = this.#forgotten;
      const ring = { keys: await this.#store.list(tenant), at: Date.now() };
      // A list that was requested before `forget` must not enter the cache after it.
      if (forgotten === this.#forgotten) this.#rings.set(tenant, ring);
      return ring;
    });
  }

  #make(tenant: string, purpose: Purpose, replaces: string | undefined): Promise<void> {
    return once(this.#making, `${prefixOf(tenant)}${purpose}`, async () => {
      await makeDataKey(this.#store, this.#wrapping, { tenant, purpose }, replaces);
      this.#rings.delete(tenant);
    });
  }
}

/** Makes a data key of a tenant and stores it wrapped. If several are made at once, the first one stored is kept. */
export async function makeDataKey(
  store: KeyStore,
  wrapping: WrappingKey,
  { tenant, purpose }: Omit<DataKeyIdentity, 'keyId'>,
  replaces?: string,
): Promise<void> {
  const identity = { tenant, purpose, keyId: randomUUID() };
  const key = generateDataKey();
  try {
    const { version, bytes } = await wrapDataKey(wrapping, identity, key);
    const { algorithm, id } = wrapping;
    await store.add(
      { ...identity, algorithm, wrappingKey: id, wrappingKeyVersion: version, wrapped: bytes },
      replaces,
    );
  } finally {
    key.fill(0);
  }
}

/** Runs the work once for all callers that arrive while it runs. */
function once<Result>(
  running: Map<string, Promise<Result>>,
  id: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const found = running.get(id);
  if (found) return found;
  const promise = work().finally(() => running.delete(id));
  running.set(id, promise);
  return promise;
}

function columnOf({ table, column }: RegisteredColumn): string {
  return JSON.stringify([table, column]);
}

/** The prefix of one tenant is never the beginning of another tenant's prefix. */
function prefixOf(tenant: string): string {
  return `${tenant.length}:${tenant}:`;
}

function destroyed({ keyId, tenant, state }: StoredKey): EncryptionError {
  return new EncryptionError(
    'destroyed',
    `Data key ${keyId} of tenant ${tenant} was destroyed`,
    state === 'erased'
      ? 'the tenant was erased'
      : 'only the audit trail could still hold values encrypted with it',
    'Its values cannot be recovered. The audit trail records when it was destroyed, and by whom.',
  );
}
