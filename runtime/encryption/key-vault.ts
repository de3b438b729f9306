/** A wrapping key in Azure Key Vault. The private key never leaves the vault, so each unwrap is a request to it. */
import type { TokenCredential as AzureCredential } from '@azure/identity';
import type { CryptographyClient, KeyClient, KeyVaultKey } from '@azure/keyvault-keys';
import type { TokenCredential } from '../credentials.ts';
import { ConfigurationError, ExplainedError } from '../errors.ts';
import { EncryptionError } from './error.ts';
import type { Wrapped, WrappingKey } from './wrapping-key.ts';

const keyId =
  /^(https:\/\/[a-z0-9-]{3,24}\.(?:vault|managedhsm)\.azure\.net)\/keys\/([A-Za-z0-9-]{1,127})\/?$/i;

/** Milliseconds for which the newest version is cached. */
const newestFor = 10 * 60_000;
/** Timeout of one request in milliseconds, the client's retries included. */
const timeout = 30_000;

export interface KeyVaultOptions {
  /** @default - DefaultAzureCredential: environment, workload or managed identity, Azure CLI */
  readonly credential?: TokenCredential;
  /** `CryptographyClientOptions` of `@azure/keyvault-keys`: proxy, TLS, retries. @default - the clients' defaults */
  readonly client?: object;
}

/** Wraps with RSA-OAEP-256. The identity needs role Key Vault Crypto Service Encryption User on the key, and network access. */
export class KeyVaultWrappingKey implements WrappingKey {
  readonly algorithm = 'RSA-OAEP-256';
  readonly id: string;
  readonly #vaultUrl: string;
  readonly #name: string;
  readonly #options: KeyVaultOptions;
  readonly #versions = new Map<string, Promise<CryptographyClient>>();
  #keys: Promise<KeyClient> | undefined;
  #credential: Promise<AzureCredential> | undefined;
  #newest: { readonly version: string; readonly until: number } | undefined;

  /**
   * @param id `https://<vault>.vault.azure.net/keys/<name>` without a version: Terraform output `field_encryption_key_id`
   * @throws ConfigurationError for anything else
   */
  constructor(id: string, options: KeyVaultOptions = {}) {
    const [, vaultUrl, name] = keyId.exec(id) ?? [];
    if (vaultUrl === undefined || name === undefined) {
      throw new ConfigurationError(
        'wrapping-key/malformed-id',
        `${JSON.stringify(id)} does not name a wrapping key`,
        'the id of a key is its address without a version, so that rotation needs no new setting',
        'Give https://NAME.vault.azure.net/keys/KEY (Terraform output field_encryption_key_id).',
      );
    }
    this.id = `${vaultUrl.toLowerCase()}/keys/${name}`;
    this.#vaultUrl = vaultUrl.toLowerCase();
    this.#name = name;
    this.#options = options;
  }

  async newest(fresh = false): Promise<string> {
    if (!fresh && this.#newest && this.#newest.until > Date.now()) return this.#newest.version;
    const found = await this.#ask('read', async () => {
      const keys = await this.#keyClient();
      return keys.getKey(this.#name, { abortSignal: AbortSignal.timeout(timeout) });
    });
    const { version, enabled, expiresOn } = found.properties;
    if (version === undefined) throw new Error('Key Vault named no version');
    if (enabled === false || (expiresOn && expiresOn.getTime() <= Date.now())) {
      throw new EncryptionError(
        'denied',
        `The newest version of ${this.id} may not be used`,
        enabled === false ? 'it is disabled' : `it expired at ${expiresOn?.toISOString()}`,
        `Make a new one: az keyvault key rotate --id ${this.id}; then llama-db keys rewrap.`,
      );
    }
    this.#newest = { version, until: Date.now() + newestFor };
    return version;
  }

  async wrap(plain: Buffer): Promise<Wrapped> {
    const version = await this.newest();
    const { result } = await this.#ask('wrap with', async () => {
      const client = await this.#client(version);
      return client.wrapKey(this.algorithm, plain, { abortSignal: AbortSignal.timeout(timeout) });
    });
    return { version, bytes: Buffer.from(result) };
  }

  async unwrap({ version, bytes }: Wrapped): Promise<Buffer> {
    const { result } = await this.#ask(`unwrap with version ${version} of`, async () => {
      const client = await this.#client(version);
      return client.unwrapKey(this.algorithm, bytes, { abortSignal: AbortSignal.timeout(timeout) });
    });
    return Buffer.from(result);
  }

  async #ask<Result>(deed: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw explain(error, deed, this.id);
    }
  }

  #client(version: string): Promise<CryptographyClient> {
    let client = this.#versions.get(version);
    if (!client) {
      client = this.#makeClient(version);
      this.#versions.set(version, client);
    }
    return client;
  }

  async #makeClient(version: string): Promise<CryptographyClient> {
    const { CryptographyClient } = await import('@azure/keyvault-keys');
    // The client gets a key without most properties. With an id it would read the key first and then refuse to unwrap with
    // an expired version, although Key Vault permits that so that data can be recovered.
    const key: KeyVaultKey = {
      id: `${this.id}/${version}`,
      name: this.#name,
      properties: { vaultUrl: this.#vaultUrl, name: this.#name, version },
    };
    return new CryptographyClient(key, await this.#identity(), this.#options.client);
  }

  #keyClient(): Promise<KeyClient> {
    this.#keys ??= (async () => {
      const { KeyClient } = await import('@azure/keyvault-keys');
      return new KeyClient(this.#vaultUrl, await this.#identity(), this.#options.client);
    })();
    return this.#keys;
  }

  #identity(): Promise<AzureCredential> {
    this.#credential ??= (async () => {
      if (this.#options.credential) return this.#options.credential;
      // Loaded on first use, because the import dominates the time of a run without work.
      const { DefaultAzureCredential } = await import('@azure/identity');
      return new DefaultAzureCredential();
    })();
    return this.#credential;
  }
}

/** Uses codes and names only, because messages of Azure's clients can quote requests. */
function explain(error: unknown, deed: string, id: string): Error {
  if (error instanceof ExplainedError) return error;
  const status = numberOf(error, 'statusCode');
  const inner = innerCode(error);
  const cause = new Error(error instanceof Error ? `${error.name}${inner ? ` ${inner}` : ''}` : 'unknown');
  const fault = (problem: 'denied' | 'unavailable' | 'destroyed' | 'refused', why: string, remedy: string) =>
    new EncryptionError(problem, `Key Vault did not ${deed} ${id}`, why, remedy, { cause });
  if (inner === 'ForbiddenByConnection') {
    return fault(
      'denied',
      'the vault is closed to the internet, and this machine is not in its network (403 ForbiddenByConnection)',
      "Run in a network that reaches the vault's private endpoint, with DNS that resolves its private address.",
    );
  }
  if (inner === 'KeyDisabled') {
    return fault(
      'denied',
      'that version is disabled (403 KeyDisabled)',
      'Enable it until llama-db keys rewrap has moved every data key: az keyvault key set-attributes --enabled true.',
    );
  }
  if (status === 403 || status === 401) {
    return fault(
      'denied',
      `this identity has no role on the key (${status}${inner ? ` ${inner}` : ''})`,
      'Assign Key Vault Crypto Service Encryption User on the key to it; a new assignment takes minutes.',
    );
  }
  if (status === 404) {
    return fault(
      'destroyed',
      'the vault has no such key or version (404)',
      'Recover the deleted key: az keyvault key recover. A purged key is lost, with everything it wrapped.',
    );
  }
  // Other 4xx answers reject the request itself; 408 and 429 are transient.
  if (status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429) {
    return fault(
      'refused',
      `it was not wrapped with that version, or was changed (${status})`,
      'Restore llama.data_keys from a backup and read its audit trail.',
    );
  }
  if (status !== undefined) {
    return fault('unavailable', `it answered ${status}`, 'Try again; 429 means too many requests at once.');
  }
  const name = error instanceof Error ? error.name : '';
  if (/Credential|Authentication/.test(name)) {
    return fault(
      'denied',
      `no identity could be used (${name})`,
      'Sign in with az login, or run where a managed or federated identity is available.',
    );
  }
  return fault(
    'unavailable',
    `it could not be reached (${textOf(error, 'code') ?? name})`,
    'Check network, private endpoint and DNS of the vault, then try again.',
  );
}

function innerCode(error: unknown): string | undefined {
  const details: unknown = fieldOf(error, 'details');
  const body = fieldOf(details, 'error') ?? details;
  const inner = fieldOf(body, 'innererror') ?? fieldOf(body, 'innerError') ?? fieldOf(body, 'innerError');
  return textOf(inner, 'code') ?? codeInText(error);
}

/** Some versions of the client keep only the text of the response. */
function codeInText(error: unknown): string | undefined {
  const text = error instanceof Error ? error.message : '';
  return /\b(ForbiddenByConnection|ForbiddenByRbac|ForbiddenByFirewall|KeyDisabled)\b/.exec(text)?.[1];
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function textOf(value: unknown, name: string): string | undefined {
  const found = fieldOf(value, name);
  return typeof found === 'string' ? found : undefined;
}

function numberOf(value: unknown, name: string): number | undefined {
  const found = fieldOf(value, name);
  return typeof found === 'number' ? found : undefined;
}
