/** Microsoft.Resources: subscriptions, resource groups, providers, template deployments. */

import { nameOf } from '../../../../azure/resource-id.ts';
import { namespaces } from '../../../../azure/resource-types.ts';
import { isObject, type Json, type JsonObject, objectAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import type { AzureRequest } from '../../core/http.ts';
import { jsonBody } from '../../core/json-body.ts';
import { refuseWhenLocked } from '../../core/locks.ts';
import { toDocument } from '../../core/resource-store.ts';
import { notFound } from '../../core/resource-types.ts';
import { deployments } from '../../refusals/deployments.ts';
import { general } from '../../refusals/general.ts';
import { deployTemplate } from './template-deployment.ts';

const groupTemplate = '/subscriptions/{subscription}/resourceGroups/{name}';
/** What is attached to a group, or only recorded in it, is no resource of it. */
const unlisted =
  /\/providers\/Microsoft\.(?:Authorization|Consumption)\/|\/providers\/Microsoft\.Resources\/deployments\//i;
export const groupType = 'Microsoft.Resources/resourceGroups';

export function registerResources(azure: Azure): void {
  registerSubscription(azure);
  registerGroups(azure);
  registerDeployments(azure);
  const operation = (path: string) => `/subscriptions/{s}/providers/{n}/locations/{l}/${path}/{id}`;
  azure.router.on('GET', operation('azureAsyncOperation'), ({ parameters }) =>
    azure.operations.poll(parameters['id'] ?? ''),
  );
  azure.router.on('GET', operation('operationResults'), ({ parameters, request }) =>
    azure.operations.result(parameters['id'] ?? '', request, (target) =>
      azure.dispatch({ ...request, path: target }),
    ),
  );
}

function registerSubscription(azure: Azure): void {
  const { router, subscriptionId, tenantId } = azure;
  router.on(
    'GET',
    '/subscriptions/{subscription}',
    ({ parameters }) => {
      if (parameters['subscription'] !== subscriptionId)
        throw general.subscriptionNotFound(parameters['subscription'] ?? '');
      return {
        status: 200,
        body: {
          id: `/subscriptions/${subscriptionId}`,
          subscriptionId,
          tenantId,
          displayName: 'Local',
          state: 'Enabled',
        },
      };
    },
    { type: 'Microsoft.Resources/subscriptions' },
  );
  router.on(
    'GET',
    '/subscriptions/{subscription}/providers',
    () => ({
      status: 200,
      body: {
        value: namespaces.map((namespace) => ({
          id: `/subscriptions/${subscriptionId}/providers/${namespace}`,
          namespace,
          registrationState: 'Registered',
          resourceTypes: [],
        })),
      },
    }),
    { type: 'Microsoft.Resources/subscriptions/providers' },
  );
}

function registerGroups(azure: Azure): void {
  const { router, store, operations } = azure;
  const options = { type: groupType } as const;
  const canonical = (request: AzureRequest) => store.get(request.path)?.id ?? request.path;
  router.on(
    'GET',
    groupTemplate,
    ({ request }) => {
      const group = store.get(request.path);
      if (!group) throw notFound(azure, request.path);
      return { status: 200, body: toDocument(group) };
    },
    options,
  );
  router.on(
    'HEAD',
    groupTemplate,
    ({ request }) => ({ status: store.get(request.path) ? 204 : 404 }),
    options,
  );
  for (const method of ['PUT', 'PATCH'])
    router.on(
      method,
      groupTemplate,
      ({ request }) => {
        const startedAt = Date.now();
        const id = canonical(request);
        const existing = store.get(id);
        refuseWhenLocked(azure, id, 'write');
        const sent = jsonBody(request);
        const location = textAt(existing?.body, 'location');
        if (
          location !== undefined &&
          textAt(sent, 'location') !== undefined &&
          textAt(sent, 'location') !== location
        )
          throw general.invalidResourceGroupLocation(nameOf(id), location);
        const group = store.put(id, {
          location: sent['location'] ?? location,
          tags: sent['tags'] ?? existing?.body['tags'] ?? {},
          properties: { provisioningState: 'Succeeded' },
        });
        operations.note(method, id, startedAt);
        return { status: existing ? 200 : 201, body: toDocument(group) };
      },
      options,
    );
  router.on(
    'DELETE',
    groupTemplate,
    ({ request }) => {
      const group = store.get(request.path);
      if (!group) throw notFound(azure, request.path);
      for (const resource of [group, ...store.within(group.id)])
        refuseWhenLocked(azure, resource.id, 'delete');
      const operation = operations.start({
        method: 'DELETE',
        target: group.id,
        effect: () => store.delete(group.id),
      });
      return { status: 202, headers: operations.pollingHeaders(operation, request) };
    },
    options,
  );
  router.on(
    'GET',
    `${groupTemplate}/resources`,
    ({ request }) => {
      const group = request.path.replace(/\/resources$/i, '');
      const top = store
        .within(group)
        .filter(
          ({ id }) =>
            /^\/subscriptions\/[^/]+\/resourcegroups\/[^/]+\/providers\/[^/]+\/[^/]+\/[^/]+$/i.test(id) &&
            !unlisted.test(id),
        );
      const limit = Number(request.query.get('$top') ?? top.length);
      const expanded = request.query.get('$expand')?.split(',') ?? [];
      return {
        status: 200,
        body: {
          value: top.slice(0, limit).map(({ id, name, type, body }) => ({
            ...{ id, name, type, location: body['location'] },
            ...(expanded.includes('provisioningState')
              ? { provisioningState: textAt(body, 'properties', 'provisioningState') ?? 'Succeeded' }
              : {}),
          })),
        },
      };
    },
    { ...options, query: ['$expand', '$top'] },
  );
}

function registerDeployments(azure: Azure): void {
  const { router, store, operations } = azure;
  const template = `${groupTemplate}/providers/Microsoft.Resources/deployments/{deployment}`;
  const templates = azure.memory.map<JsonObject>('templates');
  const options = { type: 'Microsoft.Resources/deployments' } as const;
  router.on(
    'POST',
    `${template}/validate`,
    ({ request }) => {
      const properties = objectAt(jsonBody(request), 'properties');
      return {
        status: 200,
        body: {
          properties: {
            provisioningState: 'Succeeded',
            mode: properties['mode'],
            parameters: properties['parameters'],
          },
        },
      };
    },
    options,
  );
  router.on(
    'PUT',
    template,
    ({ request }) => {
      const id = request.path;
      const existing = store.get(id);
      if (!store.get(id.slice(0, id.toLowerCase().indexOf('/providers/')))) throw notFound(azure, id);
      refuseWhenLocked(azure, id, 'write');
      const sent = jsonBody(request);
      const properties = objectAt(sent, 'properties');
      const { template: text, ...rest } = properties;
      const body: JsonObject = {
        ...(sent['tags'] === undefined ? {} : { tags: sent['tags'] }),
        properties: { ...rest, parameters: typedParameters(properties), provisioningState: 'Running' },
      };
      const resource = store.put(id, body);
      templates.set(resource.id.toLowerCase(), isObject(text) ? text : {});
      const operation = operations.start({
        method: 'PUT',
        target: id,
        effect: async () => {
          const { resources, outputs } = await deployTemplate(azure, request, properties);
          resource.body = {
            ...body,
            properties: {
              ...objectAt(body, 'properties'),
              provisioningState: 'Succeeded',
              outputs,
              providers: [
                ...new Set(resources.map((one) => /\/providers\/([^/]+)/.exec(one)?.[1] ?? '')),
              ].map((namespace) => ({ namespace, resourceTypes: [] })),
              outputResources: resources.map((one): JsonObject => ({ id: one })),
            },
          };
        },
        failed: () => {
          resource.body = {
            ...body,
            properties: { ...objectAt(body, 'properties'), provisioningState: 'Failed' },
          };
        },
      });
      return {
        status: existing ? 200 : 201,
        headers: operations.pollingHeaders(operation, request),
        body: toDocument(resource),
      };
    },
    options,
  );
  router.on(
    'GET',
    template,
    ({ request }) => {
      const resource = store.get(request.path);
      if (!resource) throw deployments.deploymentNotFound(nameOf(request.path));
      return { status: 200, body: toDocument(resource) };
    },
    options,
  );
  router.on(
    'POST',
    `${template}/exportTemplate`,
    ({ request }) => {
      const id = request.path.replace(/\/exportTemplate$/i, '');
      if (!store.get(id)) throw deployments.deploymentNotFound(nameOf(id));
      return { status: 200, body: { template: templates.get(id.toLowerCase()) ?? {} } };
    },
    options,
  );
  router.on(
    'DELETE',
    template,
    ({ request }) => {
      const resource = store.get(request.path);
      if (!resource) return { status: 204 };
      const operation = operations.start({
        method: 'DELETE',
        target: resource.id,
        effect: () => store.delete(resource.id),
      });
      return { status: 202, headers: operations.pollingHeaders(operation, request) };
    },
    options,
  );
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
