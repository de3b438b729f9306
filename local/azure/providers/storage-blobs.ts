/**
 * Blob storage for the azurerm backend of Terraform: one blob per state, with a lease as the lock.
 * https://learn.microsoft.com/rest/api/storageservices/lease-blob
 */
import { createHash, randomUUID } from 'node:crypto';
import { mayDo } from '../core/access.ts';
import type { Azure } from '../core/context.ts';
import type { ArmError, AzureRequest, AzureResponse } from '../core/http.ts';
import type { Memory } from '../core/memory.ts';
import { notPlayed } from '../core/refusal.ts';
import type { RouteMatch } from '../core/router.ts';
import { blobs as refusals } from '../refusals/blobs.ts';

export interface Blob {
  content: Buffer;
  contentType: string;
  metadata: Record<string, string>;
  lease: string | undefined;
  etag: string;
  modifiedAt: Date;
}

/** An earlier content of a blob, which a storage account with versions keeps. */
export type BlobVersion = Pick<Blob, 'content' | 'metadata'>;

/** Storage account, container and blob name to blob; a container that exists may hold none. */
export class BlobStore {
  readonly #containers: Map<string, Map<string, Blob>>;
  /** By `account/container/name`, oldest first. Like the requests, this history is not part of a snapshot. */
  readonly #versions = new Map<string, BlobVersion[]>();

  constructor(memory: Memory) {
    this.#containers = memory.map('blobs');
  }

  /** Adds a container; one that exists keeps its blobs. */
  addContainer(account: string, container: string): void {
    const path = `${account}/${container}`;
    if (!this.#containers.has(path)) this.#containers.set(path, new Map());
  }

  container(account: string, name: string): Map<string, Blob> | undefined {
    return this.#containers.get(`${account}/${name}`);
  }

  /** Every blob, `account/container/name` first. */
  list(): [string, Blob][] {
    return [...this.#containers].flatMap(([path, blobs]) =>
      [...blobs].map(([name, blob]): [string, Blob] => [`${path}/${name}`, blob]),
    );
  }

  /** Every content of each blob, deleted ones included, by `account/container/name`. */
  versions(): [string, readonly BlobVersion[]][] {
    return [...this.#versions];
  }

  /** Records the present content of a blob. */
  keep(path: string, { content, metadata }: Blob): void {
    const versions = this.#versions.get(path) ?? [];
    this.#versions.set(path, versions);
    const last = versions.at(-1);
    // Acquiring and releasing a lease changes nothing.
    if (last?.content !== content || last.metadata !== metadata) versions.push({ content, metadata });
  }
}

const accountType = 'Microsoft.Storage/storageAccounts';

/** Azure id of a container: the scope of roles on its blobs. One that exists from the start has no account of its own. */
function containerId(azure: Azure, account: string, container: string): string {
  const found = azure.store.ofType(accountType).find(({ name }) => name === account);
  const elsewhere = `/subscriptions/${azure.subscriptionId}/resourceGroups/elsewhere/providers/${accountType}/${account}`;
  return `${found?.id ?? elsewhere}/blobServices/default/containers/${container}`;
}

const host = '*.blob.core.windows.net';
const audience = 'https://storage.azure.com';

export function registerBlobs(azure: Azure, blobs: BlobStore): void {
  const { router, directory } = azure;
  const route = (
    method: string,
    template: string,
    handler: (match: RouteMatch, container: Map<string, Blob>, name: string) => AzureResponse,
  ) =>
    router.on(
      method,
      template,
      (match) => {
        const { request, parameters } = match;
        const caller = directory.callerOf(request, audience);
        if (!caller) throw refusals.noAuthentication();
        const account = request.host.split('.')[0] ?? '';
        const { container: containerName = '', name = '' } = parameters;
        const container = blobs.container(account, containerName);
        if (
          !mayDo(
            azure,
            caller.objectId,
            'dataActions',
            dataAction(method),
            containerId(azure, account, containerName),
          )
        )
          throw refusals.permissionMismatch();
        if (!container) throw refusals.containerNotFound();
        const answer = handler(match, container, name);
        const blob = method === 'PUT' ? container.get(name) : undefined;
        if (blob) blobs.keep(`${account}/${containerName}/${name}`, blob);
        return answer;
      },
      { host },
    );
  const found = (container: Map<string, Blob>, name: string): Blob => {
    const blob = container.get(name);
    if (!blob) throw refusals.blobNotFound();
    return blob;
  };

  route('GET', '/{container}', ({ request }, container) => {
    if (request.query.get('comp') !== 'list' || request.query.get('restype') !== 'container')
      throw unknown(request);
    return listing(request, container);
  });
  for (const method of ['GET', 'HEAD'])
    route(method, '/{container}/{name*}', ({ request }, container, name) => {
      if (request.query.has('comp')) throw unknown(request);
      return content(found(container, name), method);
    });
  route('PUT', '/{container}/{name*}', ({ request }, container, name) => {
    switch (request.query.get('comp')) {
      case null:
        return write(request, container, name);
      case 'lease':
        return lease(request, found(container, name));
      case 'metadata':
        return describe(request, found(container, name));
      default:
        throw unknown(request);
    }
  });
  route('DELETE', '/{container}/{name*}', ({ request }, container, name) => {
    refuseWithoutLease(request, found(container, name));
    container.delete(name);
    return { status: 202 };
  });
}

/** https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory */
function dataAction(method: string): string {
  const verb = method === 'PUT' ? 'write' : method === 'DELETE' ? 'delete' : 'read';
  return `Microsoft.Storage/storageAccounts/blobServices/containers/blobs/${verb}`;
}

function unknown({ method, path, query }: AzureRequest): ArmError {
  return notPlayed('NotImplemented', `${method} ${path}?${query} is not known here.`);
}

function metadataOf(request: AzureRequest): Record<string, string> {
  return Object.fromEntries(
    Object.entries(request.headers)
      .filter(([name]) => name.startsWith('x-ms-meta-'))
      .map(([name, value]) => [name.slice('x-ms-meta-'.length), value]),
  );
}

function headersOf(blob: Blob): Record<string, string> {
  return {
    etag: blob.etag,
    'last-modified': blob.modifiedAt.toUTCString(),
    'x-ms-blob-type': 'BlockBlob',
    'x-ms-lease-state': blob.lease === undefined ? 'available' : 'leased',
    'x-ms-lease-status': blob.lease === undefined ? 'unlocked' : 'locked',
    ...Object.fromEntries(Object.entries(blob.metadata).map(([name, value]) => [`x-ms-meta-${name}`, value])),
  };
}

function content(blob: Blob, method: string): AzureResponse {
  return {
    status: 200,
    headers: {
      ...headersOf(blob),
      'content-type': blob.contentType,
      'content-length': String(blob.content.length),
      'content-md5': createHash('md5').update(blob.content).digest('base64'),
    },
    body: method === 'HEAD' ? Buffer.alloc(0) : blob.content,
  };
}

/** @throws ArmError 412 for a change of a leased blob without the id of its lease */
function refuseWithoutLease(request: AzureRequest, blob: Blob): void {
  if (blob.lease === undefined) return;
  const given = request.headers['x-ms-lease-id'];
  if (given === undefined) throw refusals.leaseIdMissing();
  if (given !== blob.lease) throw refusals.leaseIdMismatch();
}

function write(request: AzureRequest, container: Map<string, Blob>, name: string): AzureResponse {
  const existing = container.get(name);
  if (existing) refuseWithoutLease(request, existing);
  const blob: Blob = {
    content: request.body,
    contentType:
      request.headers['x-ms-blob-content-type'] ??
      request.headers['content-type'] ??
      'application/octet-stream',
    metadata: metadataOf(request),
    lease: existing?.lease,
    etag: `"${randomUUID()}"`,
    modifiedAt: new Date(),
  };
  container.set(name, blob);
  return { status: 201, headers: { etag: blob.etag, 'last-modified': blob.modifiedAt.toUTCString() } };
}

function describe(request: AzureRequest, blob: Blob): AzureResponse {
  refuseWithoutLease(request, blob);
  blob.metadata = metadataOf(request);
  blob.etag = `"${randomUUID()}"`;
  return { status: 200, headers: headersOf(blob) };
}

function lease(request: AzureRequest, blob: Blob): AzureResponse {
  const given = request.headers['x-ms-lease-id'];
  switch (request.headers['x-ms-lease-action']) {
    case 'acquire': {
      const proposed = request.headers['x-ms-proposed-lease-id'] ?? randomUUID();
      if (blob.lease !== undefined && blob.lease !== proposed) throw refusals.leaseAlreadyPresent();
      blob.lease = proposed;
      return { status: 201, headers: { ...headersOf(blob), 'x-ms-lease-id': proposed } };
    }
    case 'renew':
    case 'release': {
      if (given !== blob.lease) throw refusals.leaseIdMismatchOfLease();
      if (request.headers['x-ms-lease-action'] === 'release') blob.lease = undefined;
      return {
        status: 200,
        headers: { ...headersOf(blob), ...(blob.lease === undefined ? {} : { 'x-ms-lease-id': blob.lease }) },
      };
    }
    case 'break':
      blob.lease = undefined;
      return { status: 202, headers: { ...headersOf(blob), 'x-ms-lease-time': '0' } };
    default:
      throw refusals.leaseActionUnknown();
  }
}

function listing(request: AzureRequest, container: Map<string, Blob>): AzureResponse {
  const prefix = request.query.get('prefix') ?? '';
  const names = [...container.keys()].filter((name) => name.startsWith(prefix)).sort();
  const entries = names.map(
    (name) => `<Blob><Name>${escapeXml(name)}</Name><Properties></Properties></Blob>`,
  );
  const xml = `<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Prefix>${escapeXml(prefix)}</Prefix><Blobs>${entries.join('')}</Blobs><NextMarker /></EnumerationResults>`;
  return { status: 200, headers: { 'content-type': 'application/xml' }, body: Buffer.from(xml) };
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
