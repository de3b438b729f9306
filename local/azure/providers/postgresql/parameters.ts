/**
 * Server parameters of the control plane.
 * https://learn.microsoft.com/azure/postgresql/server-parameters/concepts-server-parameters
 */
import { extension } from '../../../../azure/extensions.ts';
import {
  extensionOfParameter,
  isStatic,
  type Parameter,
  parameter,
  parameterCatalogue,
  parametersInheritedByStandby,
  refusal,
} from '../../../../azure/parameters.ts';
import { parentOf } from '../../../../azure/resource-id.ts';
import { sizedDefaults } from '../../../../azure/sized-parameters.ts';
import { skus } from '../../../../azure/skus.ts';
import { at, type JsonObject, objectAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import type { AzureRequest, AzureResponse } from '../../core/http.ts';
import { jsonBody } from '../../core/json-body.ts';
import { refuseWhenLocked } from '../../core/locks.ts';
import type { Resource } from '../../core/resource-store.ts';
import { toDocument } from '../../core/resource-store.ts';
import { notFound, refuseUnknownProperties } from '../../core/resource-types.ts';
import { publishedShape } from '../../published/shapes.ts';
import { children as refusals } from '../../refusals/server-children.ts';
import type { ServerEvents } from './events.ts';
import {
  isReplica,
  namespace,
  property,
  refuseUnlessReady,
  replicasOf,
  serverType,
  skuOf,
  sourceServerOf,
} from './server.ts';

const type = `${serverType}/configurations` as const;
const list = `${namespace}/flexibleServers/{server}/configurations`;

const shape = publishedShape(type);

export function registerParameters(azure: Azure, events: ServerEvents): void {
  const { router, store } = azure;
  const serverAt = (id: string): Resource => {
    const server = store.get(id);
    if (!server) throw notFound(azure, id);
    return server;
  };
  router.on(
    'GET',
    list,
    ({ request }) => {
      const server = serverAt(request.path.replace(/\/configurations\/?$/i, ''));
      const own = store.children(server.id, type).map(({ name }) => name);
      const names = [...new Set([...Object.keys(parameterCatalogue), ...own])].filter((name) =>
        isShown(azure, server, name),
      );
      return { status: 200, body: { value: names.map((name) => parameterDocument(azure, server, name)) } };
    },
    { type },
  );
  router.on(
    'GET',
    `${list}/{name}`,
    ({ request }) => ({
      status: 200,
      body: parameterDocument(azure, serverAt(parentOf(request.path)), lastSegment(request.path)),
    }),
    { type },
  );
  for (const method of ['PUT', 'PATCH'])
    router.on(
      method,
      `${list}/{name}`,
      ({ request }) => set(azure, serverAt(parentOf(request.path)), request, events),
      { type },
    );
}

function set(azure: Azure, server: Resource, request: AzureRequest, events: ServerEvents): AzureResponse {
  const { store, operations } = azure;
  const name = lastSegment(request.path);
  refuseWhenLocked(azure, request.path, 'write');
  refuseUnlessReady(server);
  operations.refuseWhenBusy([server.id]);
  const sent = jsonBody(request);
  refuseUnknownProperties(sent, shape, `server parameter '${name}'`);
  const current = objectAt(parameterDocument(azure, server, name), 'properties');
  const given = objectAt(sent, 'properties')['value'];
  if (typeof given !== 'string') throw refusals.parameterNotText(name, JSON.stringify(given));
  // Terraform deletes a parameter by setting its default, which may be empty although no client could choose that.
  if (given !== current['defaultValue']) refuseValue(server, name, given);
  refuseInherited(azure, server, name, given);
  const value = name === 'azure.extensions' ? given.toLowerCase() : given;
  const id = `${server.id}/configurations/${name}`;
  // Setting the value of the last restart again leaves nothing to wait for.
  const inForce = textAt(store.get(id)?.body, 'inForce') ?? String(current['value'] ?? '');
  const operation = operations.start({
    method: request.method,
    target: id,
    busyOn: [server.id],
    effect: async () => {
      const found = await events({ kind: 'parameterSet', server: server.id, name, value });
      const waits = found ? found === 'pending' : isStatic(name);
      store.put(id, {
        inForce: waits ? inForce : value,
        properties: { value, source: textAt(sent, 'properties', 'source') ?? 'user-override' },
      });
    },
  });
  return { status: 202, headers: operations.pollingHeaders(operation, request) };
}

/** Puts pending parameters in force, as a restart does. */
export function applyPending(azure: Azure, server: string): void {
  for (const one of azure.store.children(server, type))
    one.body = { ...one.body, inForce: property(one.body, 'value') ?? '' };
}

/** Records the size at creation: defaults that Azure derives from it stay when the server is scaled. */
export function noteCreatedSize(azure: Azure, server: Resource, source: Resource | undefined): void {
  const sizes = azure.memory.map<string>('createdWith');
  const inheritedSize = source && sizes.get(source.id.toLowerCase());
  sizes.set(server.id.toLowerCase(), inheritedSize ?? skuOf(server.body)?.name ?? '');
}

function lastSegment(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Whether a parameter exists: by version, and those of PgBouncer once it is enabled (…/connectivity/concepts-pgbouncer). */
function isShown(azure: Azure, server: Resource, name: string): boolean {
  const known = parameter(name);
  if (!known) return extensionOfParameter(name) !== undefined;
  if ((known.since ?? 0) > Number(property(server.body, 'version'))) return false;
  if (!name.startsWith('pgbouncer.')) return true;
  if (skuOf(server.body)?.tier === 'Burstable') return false;
  if (name === 'pgbouncer.enabled') return true;
  const enabled = azure.store.get(`${server.id}/configurations/pgbouncer.enabled`);
  return property(enabled?.body, 'value') === 'true';
}

/** Whether a scenario declares it pending, or the value in force differs from the one that is set. */
function isPending(stored: Resource | undefined, value: string): boolean {
  const inForce = at(stored?.body, 'inForce');
  return (
    at(stored?.body, 'properties', 'isConfigPendingRestart') === true ||
    (inForce !== undefined && inForce !== value)
  );
}

const kinds: Readonly<Record<Parameter['kind'], string>> = {
  integer: 'Integer',
  real: 'Numeric',
  boolean: 'Boolean',
  enum: 'Enumeration',
  set: 'Set',
  string: 'String',
};

function parameterDocument(azure: Azure, server: Resource, name: string): JsonObject {
  if (!isShown(azure, server, name)) throw refusals.parameterUnknown(name, server.name);
  const known = parameter(name);
  const id = `${server.id}/configurations/${name}`;
  const stored = azure.store.get(id);
  const standard = known?.default ?? known?.values?.[0] ?? defaultFor(azure, server, name, known?.minimum);
  const value = property(stored?.body, 'value') ?? (stored ? '' : standard);
  const properties: JsonObject = {
    value,
    source: property(stored?.body, 'source') ?? 'system-default',
    isConfigPendingRestart: isPending(stored, value),
    defaultValue: standard,
    dataType: kinds[known?.kind ?? 'string'],
    isDynamicConfig: !isStatic(name),
    isReadOnly: known?.apply === 'read-only',
    ...(known?.unit === undefined ? {} : { unit: known.unit }),
    ...allowed(known),
  };
  return { ...toDocument(stored ?? { id, name, type, body: {} }), inForce: undefined, properties };
}

function allowed(known: Parameter | undefined): JsonObject {
  if (known?.values) return { allowedValues: known.values.join(',') };
  if (known?.minimum === undefined) return {};
  return { allowedValues: `${known.minimum}-${known.maximum}` };
}

/** Defaults that Azure derives from the size of the server at its creation. */
function defaultFor(azure: Azure, server: Resource, name: string, minimum = 0): string {
  const created = azure.memory.map<string>('createdWith').get(server.id.toLowerCase());
  const sku = skus.find((one) => one.name === created) ?? skuOf(server.body);
  return String((sku && sizedDefaults(sku)[name]) ?? minimum);
}

function refuseValue(server: Resource, name: string, value: string): void {
  const known = parameter(name);
  if (!known) return;
  if (known.apply === 'read-only') throw refusals.parameterReadOnly(name);
  const why = refusal(known, name, value) ?? refusedExtensions(server, name, value);
  if (why !== undefined) throw refusals.parameterValueNotValid(name, value, why);
}

/** https://learn.microsoft.com/azure/postgresql/extensions/concepts-extensions-versions */
function refusedExtensions(server: Resource, name: string, value: string): string | undefined {
  if (name !== 'azure.extensions') return undefined;
  const version = Number(property(server.body, 'version'));
  const notOffered = value
    .split(',')
    .map((one) => one.trim().toLowerCase())
    .filter((one) => one !== '' && (extension(one)?.since ?? (extension(one) ? 0 : Infinity)) > version);
  return notOffered.length > 0
    ? `names extensions that Azure does not offer for version ${version}: ${notOffered.join(', ')}`
    : undefined;
}

/**
 * "These particular parameters should always be set to values that are either equivalent to or greater than those
 * configured on the primary server": …/read-replica/concepts-read-replicas, "Server parameters".
 */
function refuseInherited(azure: Azure, server: Resource, name: string, value: string): void {
  if (!parametersInheritedByStandby.includes(name)) return;
  const limitOf = (one: Resource) =>
    Number(objectAt(parameterDocument(azure, one, name), 'properties')['value']);
  const source = isReplica(server) ? sourceServerOf(azure, server.body) : undefined;
  const refuse = (replica: Resource, primary: Resource) =>
    refusals.parameterBelowPrimary(name, replica.name, primary.name);
  if (source && Number(value) < limitOf(source)) throw refuse(server, source);
  for (const replica of replicasOf(azure, server.id))
    if (Number(value) > limitOf(replica)) throw refuse(replica, server);
}
