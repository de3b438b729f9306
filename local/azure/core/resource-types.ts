/**
 * The behavior that nearly all resource types share: PUT creates or replaces, PATCH merges, GET answers the document or
 * 404, DELETE removes. Parents must exist, locks are inherited, and some changes take time.
 */
import { randomUUID } from 'node:crypto';
import { nameOf, parentOf, resourceGroupOf, typeOf } from '../../../azure/resource-id.ts';
import { isResourceName } from '../../../azure/resource-names.ts';
import type { ResourceTypeName } from '../../../azure/resource-types.ts';
import { type JsonObject, merge, objectAt } from '../../../core/json.ts';
import { publishedShape } from '../published/shapes.ts';
import { general } from '../refusals/general.ts';
import type { Azure } from './context.ts';
import type { ArmError, AzureRequest, AzureResponse } from './http.ts';
import { jsonBody } from './json-body.ts';
import { refuseWhenLocked } from './locks.ts';
import { notPlayed } from './refusal.ts';
import { type Resource, toDocument } from './resource-store.ts';
import type { RouteMatch } from './router.ts';
import { type Shape, unknownProperties, writable } from './shape.ts';

export interface Change {
  readonly id: string;
  readonly name: string;
  readonly request: AzureRequest;
  readonly method: 'PUT' | 'PATCH' | 'DELETE';
  /** The document of the request without read-only properties; empty for a DELETE. */
  readonly sent: JsonObject;
  /** The resource before the change; undefined when it is created. */
  readonly existing: Resource | undefined;
}

export interface ResourceTypeDefinition {
  /** Its API versions are those of azure/resource-types.ts. */
  readonly type: ResourceTypeName;
  /** The properties of its document; any other is answered 501. @default - those that Azure publishes */
  readonly shape?: Shape;
  /** Where it lives; `anywhere` is an extension of any other resource. @default 'resourceGroup' */
  readonly scope?: 'resourceGroup' | 'anywhere';
  /**
   * Answer to a change: done at once; 200 or 201 with the document and an operation to poll; or 202 with the operation
   * alone.
   */
  readonly change: 'immediate' | 'polled' | 'accepted';
  /** Status of a PUT that creates. @default 201 */
  readonly createdStatus?: 200 | 201;
  /** Whether PATCH is known. @default false */
  readonly patch?: boolean;
  /** Method that the type does not have. @default - none */
  readonly without?: readonly ('PUT' | 'DELETE')[];
  /**
   * The document that Azure keeps for the one of the request (for PATCH: already merged into the existing one). Throws
   * an ArmError for a refusal.
   */
  readonly accept: (sent: JsonObject, change: Change) => JsonObject;
  /** Effects on other resources once the change is complete. */
  readonly completed?: (resource: Resource, change: Change) => void | Promise<void>;
  /** Throws an ArmError when Azure would refuse to delete it now. */
  readonly mayDelete?: (resource: Resource, change: Change) => void;
  /** Effects on other resources once it is gone. */
  readonly deleted?: (resource: Resource, change: Change) => void | Promise<void>;
  /** Flexible Servers that are busy during the change. @default - none */
  readonly busyOn?: (sent: JsonObject, change: Change) => readonly string[];
  /** The document that clients see. @default - the one that is kept */
  readonly toResponse?: (resource: Resource) => JsonObject;
  /** Query parameters it takes beside `api-version`. @default - none */
  readonly query?: readonly string[];
  /** The document while a change runs. @default - with provisioningState */
  readonly whileRunning?: (body: JsonObject, change: Change) => JsonObject;
}

/** A definition with its shape. */
type Definition = ResourceTypeDefinition & { readonly shape: Shape };

export function registerResourceType(azure: Azure, given: ResourceTypeDefinition): void {
  const definition = { ...given, shape: given.shape ?? publishedShape(given.type) };
  const { router } = azure;
  const template = templateOf(definition);
  const options = { type: definition.type, query: definition.query ?? [] };
  const without = definition.without ?? [];
  router.on('GET', template, (match) => get(azure, definition, match), options);
  if (!without.includes('PUT'))
    router.on('PUT', template, (match) => change(azure, definition, match, 'PUT'), options);
  if (definition.patch)
    router.on('PATCH', template, (match) => change(azure, definition, match, 'PATCH'), options);
  if (!without.includes('DELETE'))
    router.on('DELETE', template, (match) => remove(azure, definition, match), options);
}

/** Answers a list of one type below a parent (or in a group or subscription). */
export function registerList(
  azure: Azure,
  type: ResourceTypeName,
  options: {
    readonly template: string;
    readonly toResponse?: (resource: Resource) => JsonObject;
  },
): void {
  azure.router.on(
    'GET',
    options.template,
    ({ request }) => {
      const parent = request.path.slice(0, request.path.lastIndexOf('/'));
      const scope = parent.replace(/\/providers\/[^/]+$/i, '');
      const found = azure.store.ofType(type).filter((resource) => {
        const within = resource.id.toLowerCase().startsWith(`${scope.toLowerCase()}/`);
        return within && (parent !== scope || parentOf(resource.id).toLowerCase() === scope.toLowerCase());
      });
      return { status: 200, body: { value: found.map(options.toResponse ?? toDocument) } };
    },
    { type },
  );
}

function templateOf({ type, scope }: Definition): string {
  const [namespace = '', ...types] = type.split('/');
  const tail = types.map((segment, index) => `${segment}/{name${'abcdef'[index]}}`).join('/');
  const head = scope === 'anywhere' ? '/{scope*}' : '/subscriptions/{subscription}/resourceGroups/{group}';
  return `${head}/providers/${namespace}/${tail}`;
}

function toResponse(definition: Definition, resource: Resource): JsonObject {
  return definition.toResponse?.(resource) ?? toDocument(resource);
}

function get(azure: Azure, definition: Definition, { request }: RouteMatch): AzureResponse {
  const resource = azure.store.get(request.path);
  if (!resource) throw notFound(azure, request.path);
  return { status: 200, body: toResponse(definition, resource) };
}

export function notFound(azure: Azure, id: string): ArmError {
  const group = resourceGroupOf(id);
  if (group !== undefined && !azure.store.get(group)) return general.resourceGroupNotFound(nameOf(group));
  return general.resourceNotFound(typeOf(id), nameOf(id), nameOf(group ?? ''));
}

/** @throws ArmError 404 if the group or the parent of a resource does not exist */
export function requireParent(azure: Azure, id: string): void {
  const group = resourceGroupOf(id);
  if (group !== undefined && !azure.store.get(group)) throw notFound(azure, id);
  const parent = parentOf(id);
  if (/\/providers\//i.test(parent) && !azure.store.get(parent))
    throw general.parentResourceNotFound(typeOf(id), parent);
}

/**
 * https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
 *
 * @throws ArmError 400 for a name that the type does not have
 */
export function refuseNameOfAnotherShape(id: string): void {
  const name = decodeURIComponent(nameOf(id));
  if (!isResourceName(typeOf(id), name)) throw general.invalidResourceName(name, typeOf(id));
}

function canonicalId(azure: Azure, path: string): string {
  const existing = azure.store.get(path);
  if (existing) return existing.id;
  const group = azure.store.get(resourceGroupOf(path));
  return group ? group.id + path.slice(group.id.length) : path;
}

function change(
  azure: Azure,
  definition: Definition,
  { request }: RouteMatch,
  method: 'PUT' | 'PATCH',
): AzureResponse {
  const { store, operations } = azure;
  const id = canonicalId(azure, request.path);
  const existing = store.get(id);
  if (method === 'PATCH' && !existing) throw notFound(azure, id);
  requireParent(azure, id);
  refuseWhenLocked(azure, id, 'write');
  const before = existing && { ...existing, body: structuredClone(existing.body) };
  const sent = written(request, definition);
  const context: Change = { id, name: nameOf(id), request, method, sent, existing: before };
  const busy = definition.busyOn?.(sent, context) ?? [];
  operations.refuseWhenBusy(busy);
  const kept = definition.accept(method === 'PATCH' && existing ? patched(existing, sent) : sent, context);
  // After the type's own rules, which answer more exactly.
  if (!existing) refuseNameOfAnotherShape(id);
  if (definition.change === 'immediate') {
    const startedAt = Date.now();
    const resource = store.put(id, kept);
    void definition.completed?.(resource, context);
    operations.note(method, id, startedAt);
    return {
      status: before ? 200 : (definition.createdStatus ?? 201),
      body: toResponse(definition, resource),
    };
  }
  const resource = store.put(id, (definition.whileRunning ?? provisioning)(kept, context));
  const operation = operations.start({
    method,
    target: id,
    busyOn: busy,
    effect: async () => {
      resource.body = kept;
      await definition.completed?.(resource, context);
    },
    failed: () => {
      if (before) resource.body = before.body;
      else resource.body = merge(kept, { properties: { provisioningState: 'Failed' } });
    },
  });
  const headers = operations.pollingHeaders(operation, request);
  if (definition.change === 'accepted') return { status: 202, headers };
  return {
    status: before ? 200 : (definition.createdStatus ?? 201),
    headers,
    body: toResponse(definition, resource),
  };
}

function provisioning(body: JsonObject, { existing }: Change): JsonObject {
  return merge(body, { properties: { provisioningState: existing ? 'Updating' : 'Creating' } });
}

function remove(azure: Azure, definition: Definition, { request }: RouteMatch): AzureResponse {
  const { store, operations } = azure;
  const resource = store.get(request.path);
  if (!resource) return { status: 204 };
  refuseWhenLocked(azure, resource.id, 'delete');
  const context: Change = {
    id: resource.id,
    name: resource.name,
    request,
    method: 'DELETE',
    sent: {},
    existing: resource,
  };
  const busy = definition.busyOn?.(resource.body, context) ?? [];
  operations.refuseWhenBusy(busy);
  definition.mayDelete?.(resource, context);
  if (definition.change === 'immediate') {
    const startedAt = Date.now();
    store.delete(resource.id);
    void definition.deleted?.(resource, context);
    operations.note('DELETE', resource.id, startedAt);
    return { status: 200 };
  }
  const operation = operations.start({
    method: 'DELETE',
    target: resource.id,
    busyOn: busy,
    effect: async () => {
      await definition.deleted?.(resource, context);
      store.delete(resource.id);
    },
  });
  return { status: 202, headers: operations.pollingHeaders(operation, request) };
}

/** Tags arrive as a whole, everything else in parts. */
function patched(existing: Resource, sent: JsonObject): JsonObject {
  const whole = merge(existing.body, sent);
  return sent['tags'] === undefined ? whole : { ...whole, tags: sent['tags'] };
}

/** A client repeats id, name and type in the document it sends; Azure goes by the path. */
function written(request: AzureRequest, { shape, type }: Definition): JsonObject {
  const { id: _id, name: _name, type: _type, etag: _etag, ...rest } = jsonBody(request);
  refuseUnknownProperties(rest, shape, type);
  return writable(rest, shape);
}

/** @throws ArmError 501 for a document with a property that the shape does not know */
export function refuseUnknownProperties(sent: JsonObject, shape: Shape, what: string): void {
  const unknown = unknownProperties(sent, shape);
  if (unknown.length > 0)
    throw notPlayed(
      'PropertyNotKnown',
      `${what} has properties that this local Azure does not know: ${unknown.join(', ')}. Look them up and add them to its shape.`,
    );
}

/** The document of the request, with `provisioningState` and other properties that Azure adds. */
export function keep(sent: JsonObject, properties: JsonObject = {}): JsonObject {
  return {
    ...sent,
    properties: { ...objectAt(sent, 'properties'), provisioningState: 'Succeeded', ...properties },
  };
}

/** The document with the principal that Azure creates for a system-assigned identity. */
export function withPrincipal(
  azure: Azure,
  sent: JsonObject,
  existing: Resource | undefined,
  name: string,
): JsonObject {
  const type = String(objectAt(sent, 'identity')['type'] ?? 'None');
  if (!type.toLowerCase().includes('systemassigned')) return sent;
  const known = objectAt(existing?.body, 'identity')['principalId'];
  const principalId = typeof known === 'string' ? known : randomUUID();
  azure.directory.add({ objectId: principalId, kind: 'ServicePrincipal', displayName: name });
  return { ...sent, identity: { ...objectAt(sent, 'identity'), principalId, tenantId: azure.tenantId } };
}
