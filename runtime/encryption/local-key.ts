/** A wrapping key in a file, for the embedded server and for tests. Anyone who reads the file can decrypt everything. */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { ConfigurationError } from '../errors.ts';
import { lengthPrefixed } from './ciphertext.ts';
import { EncryptionError } from './error.ts';
import type { Wrapped, WrappingKey } from './wrapping-key.ts';

const keyLength = 32;
const nonceLength = 12;
const tagLength = 16;

/** Wraps with AES-256-GCM. A version is the first 16 hex digits of the SHA-256 of its key. */
export class LocalKey implements WrappingKey {
  readonly id = 'local';
  readonly algorithm = 'A256GCM';
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #newest: string;

  /** @param keys 32 bytes each, oldest first. The last one wraps; all of them unwrap. */
  constructor(keys: readonly Uint8Array[]) {
    if (keys.length === 0 || keys.some(({ length }) => length !== keyLength)) {
      throw unusable('a local wrapping key', `it is not ${keyLength} bytes long`);
    }
    const entries = keys.map((key): [string, Buffer] => [versionOf(key), Buffer.from(key)]);
    this.#keys = new Map(entries);
    this.#newest = entries.at(-1)?.[0] ?? '';
  }

  /**
   * Reads keys from a file: 32 bytes in base64 on each line, oldest first.
   *
   * @throws ConfigurationError if the file cannot be read, is readable by others, or has other content
   */
  static fromFile(file: string): LocalKey {
    let text: string;
    try {
      if (process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0) {
        throw unusable(`Key file ${file}`, 'users other than its owner may read it', `chmod 600 ${file}.`);
      }
      text = readFileSync(file, 'utf8');
    } catch (error) {
      if (error instanceof ConfigurationError) throw error;
      const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
      throw unusable(`Key file ${file}`, `it cannot be read (${String(code)})`);
    }
    return LocalKey.fromText(text, `Key file ${file}`);
  }

  /** @param source the name in messages, which never quote the text. @throws ConfigurationError */
  static fromText(text: string, source: string): LocalKey {
    const lines = text.split('\n').map((line) => line.trim());
    const keys = lines.filter((line) => line !== '').map((line) => decode(line));
    if (keys.length === 0 || keys.includes(undefined)) {
      throw unusable(source, 'each line must be 32 random bytes in base64');
    }
    return new LocalKey(keys.filter((key) => key !== undefined));
  }

  newest(): Promise<string> {
    return Promise.resolve(this.#newest);
  }

  wrap(plain: Buffer): Promise<Wrapped> {
    const version = this.#newest;
    const nonce = randomBytes(nonceLength);
    const gcm = createCipheriv('aes-256-gcm', this.#key(version), nonce, { authTagLength: tagLength });
    gcm.setAAD(lengthPrefixed('llama-local-wrap-1', version));
    const bytes = Buffer.concat([nonce, gcm.update(plain), gcm.final(), gcm.getAuthTag()]);
    return Promise.resolve({ version, bytes });
  }

  async unwrap({ version, bytes }: Wrapped): Promise<Buffer> {
    const key = this.#key(version);
    const end = bytes.length - tagLength;
    if (end < nonceLength) throw refused(version);
    const gcm = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceLength), {
      authTagLength: tagLength,
    });
    gcm.setAAD(lengthPrefixed('llama-local-wrap-1', version));
    gcm.setAuthTag(bytes.subarray(end));
    try {
      return Buffer.concat([gcm.update(bytes.subarray(nonceLength, end)), gcm.final()]);
    } catch {
      throw refused(version);
    }
  }

  #key(version: string): Buffer {
    const key = this.#keys.get(version);
    if (key) return key;
    throw new EncryptionError(
      'destroyed',
      `Local wrapping key ${version} is not in the key file`,
      'data keys were wrapped with it and are lost without it',
      'Restore the line of that key in the file; run llama-db keys rewrap before you remove a line.',
    );
  }
}

function decode(line: string): Buffer | undefined {
  return /^[A-Za-z0-9+/]{43}=$/.test(line) ? Buffer.from(line, 'base64') : undefined;
}

function versionOf(key: Uint8Array): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 16);
}

function refused(version: string): EncryptionError {
  return new EncryptionError(
    'refused',
    `A data key wrapped with local key ${version} is refused`,
    'its row in llama.data_keys was changed (the authentication tag does not match)',
    'Restore llama.data_keys from a backup and read its audit trail.',
  );
}

function unusable(
  source: string,
  why: string,
  remedy = 'Make one with: openssl rand -base64 32 > key && chmod 600 key.',
): ConfigurationError {
  return new ConfigurationError('wrapping-key/unusable-file', `${source} cannot be used`, why, remedy);
}
