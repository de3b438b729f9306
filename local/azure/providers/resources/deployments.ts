/** Microsoft.Resources/deployments: templates deployed to a resource group or a subscription, and their records. */
import { nameOf, parentOf } from '../../../../azure/resource-id.ts';
import { isObject, type Json, type JsonObject, objectAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import type { AzureRequest, AzureResponse } from '../../core/http.ts';
import { jsonBody } from '../../core/json-body.ts';
import { refuseWhenLocked } from '../../core/locks.ts';
import { type Resource, toDocument } from '../../core/resource-store.ts';
import { notFound, refuseNameOfAnotherShape } from '../../core/resource-types.ts';
import { deployments as refusals } from '../../refusals/deployments.ts';
import { deployTemplate } from './template-deployment.ts';

export function registerDeployments(azure: Azure): void {
  for (const scope of [
    '/subscriptions/{subscription}/resourceGroups/{group}',
    '/subscriptions/{subscription}',
  ])
    registerAt(azure, `${scope}/providers/Microsoft.Resources/deployments/{deployment}`);
}

function registerAt(azure: Azure, template: string): void {
  const { router } = azure;
  const on = (method: string, path: string, answer: (request: AzureRequest) => AzureResponse) =>
    router.on(method, path, ({ request }) => answer(request), { type: 'Microsoft.Resources/deployments' });
  on('POST', `${template}/validate`, validated);
  on('PUT', template, (request) => {
    refuseNameOfAnotherShape(request.path);
    return started(azure, request);
  });
  on('GET', template, ({ path }) => ({ status: 200, body: toDocument(recordAt(azure, path)) }));
  on('POST', `${template}/exportTemplate`, ({ path }) => {
    const { id } = recordAt(azure, parentOfAction(path));
    return { status: 200, body: { template: templatesOf(azure).get(id.toLowerCase()) ?? {} } };
  });
  on('DELETE', template, (request) => removed(azure, request));
}

const parentOfAction = (path: string) => path.slice(0, path.lastIndexOf('/'));

function templatesOf(azure: Azure): Map<string, JsonObject> {
  return azure.memory.map('templates');
}

function recordAt(azure: Azure, id: string): Resource {
  const record = azure.store.get(id);
  if (!record) throw refusals.deploymentNotFound(nameOf(id));
  return record;
}

function validated(request: AzureRequest): AzureResponse {
  const { mode, parameters } = objectAt(jsonBody(request), 'properties');
  return { status: 200, body: { properties: { provisioningState: 'Succeeded', mode, parameters } } };
}

function started(azure: Azure, request: AzureRequest): AzureResponse {
  const { store, operations } = azure;
  const id = request.path;
  const existing = store.get(id);
  const scope = parentOf(id);
  if (/\/resourcegroups\//i.test(scope) && !store.get(scope)) throw notFound(azure, id);
  refuseWhenLocked(azure, id, 'write');
  const sent = jsonBody(request);
  const properties = objectAt(sent, 'properties');
  const { template, ...rest } = properties;
  const record = store.put(id, {
    ...(sent['tags'] === undefined ? {} : { tags: sent['tags'] }),
    properties: { ...rest, parameters: typedParameters(properties), provisioningState: 'Running' },
  });
  templatesOf(azure).set(record.id.toLowerCase(), isObject(template) ? template : {});
  const show = (changes: JsonObject) => {
    record.body = { ...record.body, properties: { ...objectAt(record.body, 'properties'), ...changes } };
  };
  const operation = operations.start({
    method: 'PUT',
    target: id,
    effect: async () => {
      const { resources, outputs } = await deployTemplate(azure, request, properties);
      show({ provisioningState: 'Succeeded', outputs, ...created(resources) });
    },
    failed: () => show({ provisioningState: 'Failed' }),
  });
  return {
    status: existing ? 200 : 201,
    headers: operations.pollingHeaders(operation, request),
    body: toDocument(record),
  };
}

/** How a record names the resources of its template. */
function created(ids: readonly string[]): JsonObject {
  const namespaces = new Set(ids.flatMap((id) => /\/providers\/([^/]+)/.exec(id)?.[1] ?? []));
  return {
    providers: [...namespaces].map((namespace) => ({ namespace, resourceTypes: [] })),
    outputResources: ids.map((id): JsonObject => ({ id })),
  };
}

function removed(azure: Azure, request: AzureRequest): AzureResponse {
  const { store, operations } = azure;
  const record = store.get(request.path);
  if (!record) return { status: 204 };
  const operation = operations.start({
    method: 'DELETE',
    target: record.id,
    effect: () => store.delete(record.id),
  });
  return { status: 202, headers: operations.pollingHeaders(operation, request) };
}

/** Azure answers each parameter with its type beside its value, and secure ones without the value. */
function typedParameters(properties: JsonObject): JsonObject {
  const declared = objectAt(properties, 'template', 'parameters');
  return Object.fromEntries(
    Object.entries(objectAt(properties, 'parameters')).map(([name, given]): [string, Json] => {
      const type = textAt(declared[name], 'type') ?? 'String';
      if (/^secure/i.test(type)) return [name, { type }];
      return [name, { type: type[0]?.toUpperCase() + type.slice(1), ...(isObject(given) ? given : {}) }];
    }),
  );
}
