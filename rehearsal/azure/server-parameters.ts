/** Server parameters as the control plane shows and takes them. */
import { extension } from '../../azure/extensions.ts';
import {
  extensionOfParameter,
  isStatic,
  parameter,
  parameterCatalogue,
  refusal,
} from '../../azure/parameters.ts';
import type { Azure } from './context.ts';
import { serverType, skuOf } from './flexible-server.ts';
import { ArmError, jsonBody } from './http.ts';
import { at, type JsonObject, textAt } from './json.ts';
import { refuseWhenLocked } from './locks.ts';
import { parentOf } from './resource-id.ts';
import type { Resource } from './resource-store.ts';
import { toDocument } from './resource-store.ts';
import { notFound } from './resource-types.ts';
import type { ServerEvents } from './server-events.ts';

const type = `${serverType}/configurations`;
const template =
  '/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{server}/configurations/{name}';

export function registerParameters(azure: Azure, apiVersions: readonly string[], events: ServerEvents): void {
  const { router, store, operations } = azure;
  router.on(
    'GET',
    template,
    ({ request }) => {
      const server = store.get(parentOf(request.path));
      if (!server) throw notFound(azure, parentOf(request.path));
      return { status: 200, body: parameterDocument(azure, server, lastSegment(request.path)) };
    },
    { apiVersions },
  );
  router.on(
    'GET',
    template.replace('/{name}', ''),
    ({ request }) => {
      const server = store.get(parentOf(`${request.path}/x`));
      if (!server) throw notFound(azure, parentOf(`${request.path}/x`));
      const set = store.children(server.id, type).map(({ name }) => name);
      const names = new Set([...Object.keys(parameterCatalogue), ...set]);
      return {
        status: 200,
        body: { value: [...names].map((name) => parameterDocument(azure, server, name)) },
      };
    },
    { apiVersions },
  );
  for (const method of ['PUT', 'PATCH'])
    router.on(
      method,
      template,
      ({ request }) => {
        const server = store.get(parentOf(request.path));
        if (!server) throw notFound(azure, parentOf(request.path));
        const name = lastSegment(request.path);
        refuseWhenLocked(azure, request.path, 'write');
        operations.refuseWhenBusy([server.id]);
        const current = parameterDocument(azure, server, name);
        const value = String(at(jsonBody(request), 'properties', 'value') ?? '');
        // Deleting a parameter in Terraform sets its default, which may be what nobody could choose: empty.
        if (value !== at(current, 'properties', 'defaultValue')) refuseValue(name, value);
        const changed = value !== at(current, 'properties', 'value');
        const id = `${server.id}/configurations/${name}`;
        const operation = operations.start({
          method,
          target: id,
          busyOn: [server.id],
          effect: async () => {
            store.put(id, {
              properties: {
                value,
                source: textAt(jsonBody(request), 'properties', 'source') ?? 'user-override',
                isConfigPendingRestart: isStatic(name) && changed,
              },
            });
            await events({ kind: 'parameterSet', server: server.id, name, value });
          },
        });
        return { status: 202, headers: operations.pollingHeaders(operation, request) };
      },
      { apiVersions },
    );
}

/** After a restart nothing is pending any more. */
export function applyPending(azure: Azure, server: string): void {
  for (const one of azure.store.children(server, type))
    one.body = { properties: { ...propertiesOf(one), isConfigPendingRestart: false } };
}

function propertiesOf(resource: Resource): JsonObject {
  const found = resource.body['properties'];
  return typeof found === 'object' && found !== null && !Array.isArray(found) ? found : {};
}

function lastSegment(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function parameterDocument(azure: Azure, server: Resource, name: string): JsonObject {
  const known = parameter(name);
  if (!known && extensionOfParameter(name) === undefined)
    throw new ArmError(
      404,
      'ResourceNotFound',
      `The server parameter '${name}' does not exist on '${server.name}'.`,
    );
  const id = `${server.id}/configurations/${name}`;
  const set = azure.store.get(id);
  const standard = known?.default ?? known?.values?.[0] ?? defaultFor(name, server, known?.minimum);
  const properties: JsonObject = {
    value: standard,
    source: 'system-default',
    isConfigPendingRestart: false,
    ...(set ? propertiesOf(set) : {}),
    defaultValue: standard,
    dataType:
      known?.kind === 'integer'
        ? 'Integer'
        : known?.kind === 'real'
          ? 'Numeric'
          : known?.kind === 'boolean'
            ? 'Boolean'
            : 'Enumeration',
    isDynamicConfig: !isStatic(name),
    isReadOnly: known?.apply === 'read-only',
  };
  return { ...toDocument(set ?? { id, name, type, body: {} }), properties };
}

/** Azure's defaults that follow the server's size; the size decides once, when the server is created. */
function defaultFor(name: string, server: Resource, minimum = 0): string {
  const sku = skuOf(server.body);
  const blocks = ((sku?.memoryGb ?? 4) * 1024 * 1024) / 8;
  switch (name) {
    case 'max_connections':
      return String(sku?.maxConnectionsDefault ?? 50);
    case 'shared_buffers':
      return String(Math.round(blocks / 4));
    case 'effective_cache_size':
      return String(Math.round((blocks * 3) / 4));
    default:
      return String(minimum);
  }
}

function refuseValue(name: string, value: string): void {
  const known = parameter(name);
  if (!known) return;
  if (known.apply === 'read-only')
    throw new ArmError(400, 'InvalidParameterName', `The server parameter '${name}' is read-only.`);
  const why = refusal(known, name, value) ?? refusedExtensions(name, value);
  if (why !== undefined)
    throw new ArmError(
      400,
      'InvalidParameterValue',
      `Invalid value given for parameter ${name}: '${value}' ${why}.`,
    );
}

/** https://learn.microsoft.com/azure/postgresql/extensions/concepts-extensions-versions */
function refusedExtensions(name: string, value: string): string | undefined {
  if (name !== 'azure.extensions') return undefined;
  const strangers = value
    .split(',')
    .map((one) => one.trim().toLowerCase())
    .filter((one) => one !== '' && !extension(one));
  return strangers.length > 0
    ? `names extensions that Azure does not offer: ${strangers.join(', ')}`
    : undefined;
}
