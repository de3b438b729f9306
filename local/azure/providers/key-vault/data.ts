/**
 * The data plane of Key Vault, as far as wrapping needs it: versions of a key, wrapKey and unwrapKey with real RSA,
 * behind the checks of Azure: token, network, role, and state of the version.
 *
 * https://learn.microsoft.com/rest/api/keyvault/keys/wrap-key/wrap-key
 */
import {
  constants,
  createPublicKey,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { idKey } from '../../../../azure/resource-id.ts';
import { type JsonObject, numberAt, objectAt, objectsAt, textAt, textsAt } from '../../../../core/json.ts';
import { mayDo } from '../../core/access.ts';
import type { Azure } from '../../core/context.ts';
import { type AzureRequest, type AzureResponse, apiVersion } from '../../core/http.ts';
import { jsonBody } from '../../core/json-body.ts';
import { notPlayed } from '../../core/refusal.ts';
import { type Resource, toDocument } from '../../core/resource-store.ts';
import { vaultData } from '../../refusals/key-vault.ts';

const vaultType = 'Microsoft.KeyVault/vaults';
const keyType = `${vaultType}/keys` as const;
const audience = 'https://vault.azure.net';
const apiVersions = ['7.4', '7.5', '7.6', '2025-07-01'];

/** Data action of each operation: https://learn.microsoft.com/azure/key-vault/general/rbac-guide */
const dataActions = { read: 'read', wrapkey: 'wrap/action', unwrapkey: 'unwrap/action' } as const;

interface KeyVersion {
  readonly version: string;
  /** PEM; created at the first use of the version, because an RSA key of 4096 bits takes seconds. */
  privateKey?: string;
  enabled: boolean;
  /** Seconds since 1970. */
  readonly created: number;
  expires?: number;
}

/** Gives a key a new version, as its rotation policy does. */
export function rotateKey(azure: Azure, key: string): void {
  const resource = azure.store.get(key);
  if (!resource) return;
  const before = versionsOf(azure, resource);
  const version = randomBytes(16).toString('hex');
  before.push({ version, enabled: true, created: now() });
  resource.body = {
    ...resource.body,
    properties: {
      ...objectAt(resource.body, 'properties'),
      keyUriWithVersion: `${textAt(resource.body, 'properties', 'keyUri')}/${version}`,
    },
  };
}

/** Versions of a key, oldest first. */
export function keyVersions(azure: Azure, key: string): readonly string[] {
  const resource = azure.store.get(key);
  return resource ? versionsOf(azure, resource).map(({ version }) => version) : [];
}

/** Private parts of all keys used so far, PEM, by key and version; for a search for leaks. */
export function privateParts(azure: Azure): ReadonlyMap<string, string> {
  const all = azure.memory.map<KeyVersion[]>('keyVersions');
  return new Map(
    [...all].flatMap(([id, versions]) =>
      versions.flatMap(({ version, privateKey }): [string, string][] =>
        privateKey === undefined ? [] : [[`${id}/${version}`, privateKey]],
      ),
    ),
  );
}

/** Changes attributes of a version, as `az keyvault key set-attributes` does. Times are in seconds since 1970. */
export function setKeyAttributes(
  azure: Azure,
  key: string,
  version: string,
  attributes: { readonly enabled?: boolean; readonly expires?: number },
): void {
  const resource = azure.store.get(key);
  const found = resource && versionsOf(azure, resource).find((one) => one.version === version);
  if (!found) throw new Error(`${key} has no version ${version}`);
  Object.assign(found, attributes);
}

function versionsOf(azure: Azure, key: Resource): KeyVersion[] {
  const all = azure.memory.map<KeyVersion[]>('keyVersions');
  let versions = all.get(idKey(key.id));
  if (!versions) {
    const version = textAt(key.body, 'properties', 'keyUriWithVersion')?.split('/').at(-1) ?? '';
    const expires = numberAt(key.body, 'properties', 'attributes', 'exp');
    versions = [{ version, enabled: true, created: now(), ...(expires === undefined ? {} : { expires }) }];
    all.set(idKey(key.id), versions);
  }
  return versions;
}

export function registerDataPlane(azure: Azure): void {
  const host = '*.vault.azure.net';
  const on = (method: string, template: string, answer: (vault: Resource, match: Match) => AzureResponse) =>
    azure.router.on(
      method,
      template,
      ({ request, parameters }) => {
        const vault = vaultOf(azure, request.host);
        refuseOutsiders(azure, vault, request);
        return answer(vault, { request, parameters });
      },
      { host },
    );
  for (const template of ['/keys/{key}', '/keys/{key}/{version}'])
    on('GET', template, (vault, match) => {
      const { key, version } = allowed(azure, vault, match, 'read');
      return { status: 200, body: bundle(key, version, match.request) };
    });
  for (const operation of ['wrapkey', 'unwrapkey'] as const)
    on('POST', `/keys/{key}/{version}/${operation}`, (vault, match) => {
      const found = allowed(azure, vault, match, operation);
      return { status: 200, body: transform(operation, found, match.request) };
    });
  for (const method of ['GET', 'PUT', 'POST', 'PATCH', 'DELETE'])
    for (const template of ['/', '/{path*}'])
      on(method, template, (_vault, { request }) => {
        throw notPlayed(
          'NotImplemented',
          `This part of a vault's data plane is not played: ${request.method} ${request.path}`,
        );
      });
}

interface Match {
  readonly request: AzureRequest;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Checks the token, then the network. @throws ArmError 401 or 403 */
function refuseOutsiders(azure: Azure, vault: Resource, request: AzureRequest): void {
  if (!azure.directory.callerOf(request, audience)) throw vaultData.unauthorized(azure.tenantId);
  if (isClosed(vault) && !(request.fromNetwork && hasPrivateEndpoint(vault)))
    throw vaultData.forbiddenByConnection();
}

/** The requested key and version. @throws ArmError if role, existence or state forbid the operation */
function allowed(
  azure: Azure,
  vault: Resource,
  { request, parameters }: Match,
  operation: 'read' | 'wrapkey' | 'unwrapkey',
): { readonly key: Resource; readonly version: KeyVersion } {
  if (!apiVersions.includes(apiVersion(request)))
    throw notPlayed('NotImplemented', `Only api-version ${apiVersions.join(', ')} is known here`);
  const name = parameters['key'] ?? '';
  const id = `${vault.id}/keys/${name}`;
  const caller = azure.directory.callerOf(request, audience)?.objectId ?? '';
  if (!mayDo(azure, caller, 'dataActions', `${keyType}/${dataActions[operation]}`, id))
    throw vaultData.forbiddenByRbac();
  const key = azure.store.ofType(keyType).find((one) => idKey(one.id) === idKey(id));
  const versions = key ? versionsOf(azure, key) : [];
  const wanted = parameters['version'];
  const version = wanted ? versions.find((one) => one.version === wanted) : versions.at(-1);
  if (!key || !version) throw vaultData.keyNotFound(wanted ? `${name}/${wanted}` : name);
  if (operation === 'read') return { key, version };
  const permitted = textsAt(key.body, 'properties', 'keyOps');
  if (!permitted.some((one) => one.toLowerCase() === operation))
    throw vaultData.operationForbidden(operation);
  // A disabled version wraps, with its public part, but does not unwrap; an expired one unwraps but does not
  // wrap: https://learn.microsoft.com/azure/key-vault/keys/about-keys-details (date-time controlled operations), and
  // what a live vault answered: https://github.com/Azure/azure-sdk-for-python/issues/45342
  if (operation === 'unwrapkey' && !version.enabled) throw vaultData.keyDisabled();
  if (operation === 'wrapkey' && version.expires !== undefined && version.expires < now())
    throw vaultData.keyExpired();
  return { key, version };
}

/** OAEP: RSA-OAEP-256 uses SHA-256 for both hashes; plain RSA-OAEP is SHA-1 by definition. */
const hashes: Readonly<Record<string, string>> = { 'RSA-OAEP-256': 'sha256', 'RSA-OAEP': 'sha1' };

function transform(
  operation: 'wrapkey' | 'unwrapkey',
  { key, version }: { readonly key: Resource; readonly version: KeyVersion },
  request: AzureRequest,
): JsonObject {
  const body = jsonBody(request);
  const algorithm = textAt(body, 'alg') ?? '';
  const oaepHash = hashes[algorithm];
  if (oaepHash === undefined) throw vaultData.algorithmNotSupported(algorithm);
  const value = Buffer.from(textAt(body, 'value') ?? '', 'base64url');
  const half = { key: privateKeyOf(key, version), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash };
  let result: Buffer;
  try {
    result = operation === 'wrapkey' ? publicEncrypt(half, value) : privateDecrypt(half, value);
  } catch {
    throw vaultData.badParameter();
  }
  return { kid: identifier(key, version, request), value: result.toString('base64url') };
}

function bundle(key: Resource, version: KeyVersion, request: AzureRequest): JsonObject {
  const jwk = createPublicKey(privateKeyOf(key, version)).export({ format: 'jwk' });
  return {
    key: {
      kid: identifier(key, version, request),
      kty: textAt(key.body, 'properties', 'kty') ?? 'RSA',
      key_ops: textsAt(key.body, 'properties', 'keyOps'),
      n: jwk.n ?? '',
      e: jwk.e ?? '',
    },
    attributes: {
      enabled: version.enabled,
      created: version.created,
      updated: version.created,
      recoveryLevel: 'CustomizedRecoverable',
      ...(version.expires === undefined ? {} : { exp: version.expires }),
    },
  };
}

function privateKeyOf(key: Resource, version: KeyVersion): string {
  version.privateKey ??= generateKeyPairSync('rsa', {
    modulusLength: numberAt(key.body, 'properties', 'keySize') ?? 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  }).privateKey;
  return version.privateKey;
}

function identifier(key: Resource, { version }: KeyVersion, { host }: AzureRequest): string {
  return `https://${host}/keys/${key.name.split('/').at(-1)}/${version}`;
}

function vaultOf(azure: Azure, host: string): Resource {
  const name = host.split('.')[0] ?? '';
  const vault = azure.store.ofType(vaultType).find((one) => idKey(one.name) === idKey(name));
  if (!vault) throw vaultData.vaultNotFound(name);
  return vault;
}

function isClosed(vault: Resource): boolean {
  const document = toDocument(vault);
  return (
    textAt(document, 'properties', 'publicNetworkAccess') === 'Disabled' ||
    textAt(document, 'properties', 'networkAcls', 'defaultAction') === 'Deny'
  );
}

function hasPrivateEndpoint(vault: Resource): boolean {
  return objectsAt(vault.body, 'properties', 'privateEndpointConnections').some(
    (connection) =>
      textAt(connection, 'properties', 'privateLinkServiceConnectionState', 'status') === 'Approved',
  );
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
