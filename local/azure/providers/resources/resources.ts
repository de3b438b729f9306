/** Microsoft.Resources: subscriptions, resource groups, providers, template deployments. */

import { nameOf } from '../../../../azure/resource-id.ts';
import { namespaces } from '../../../../azure/resource-types.ts';
import { type JsonObject, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import type { AzureRequest } from '../../core/http.ts';
import { jsonBody } from '../../core/json-body.ts';
import { refuseWhenLocked } from '../../core/locks.ts';
import { pollingRoutes } from '../../core/polling.ts';
import { toDocument } from '../../core/resource-store.ts';
import { notFound, refuseNameOfAnotherShape } from '../../core/resource-types.ts';
import { general } from '../../refusals/general.ts';
import { registerDeployments } from './deployments.ts';

const groupTemplate = '/subscriptions/{subscription}/resourceGroups/{name}';
/** Extensions of a group, and records of deployments, are not resources of the group. */
const unlisted =
  /\/providers\/Microsoft\.(?:Authorization|Consumption)\/|\/providers\/Microsoft\.Resources\/deployments\//i;
export const groupType = 'Microsoft.Resources/resourceGroups';

export function registerResources(azure: Azure): void {
  registerSubscription(azure);
  registerGroups(azure);
  registerDeployments(azure);
  for (const address of pollingRoutes.status)
    azure.router.on('GET', `${address}/{id}`, ({ parameters }) =>
      azure.operations.poll(parameters['id'] ?? ''),
    );
  for (const address of pollingRoutes.result)
    azure.router.on('GET', `${address}/{id}`, ({ parameters, request }) =>
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
        value: namespaces.map((namespace) => provider(subscriptionId, namespace)),
      },
    }),
    { type: 'Microsoft.Resources/subscriptions/providers' },
  );
  // Every provider is registered from the start.
  for (const [method, path] of [
    ['GET', '{namespace}'],
    ['POST', '{namespace}/register'],
  ] as const)
    router.on(
      method,
      `/subscriptions/{subscription}/providers/${path}`,
      ({ parameters }) => ({ status: 200, body: provider(subscriptionId, parameters['namespace'] ?? '') }),
      { type: 'Microsoft.Resources/subscriptions/providers' },
    );
}

function provider(subscriptionId: string, namespace: string): JsonObject {
  return {
    id: `/subscriptions/${subscriptionId}/providers/${namespace}`,
    namespace,
    registrationState: 'Registered',
    resourceTypes: [],
  };
}

const options = { type: groupType } as const;

function registerGroups(azure: Azure): void {
  const { router, store } = azure;
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
  registerGroupWrites(azure);
  registerGroupDeletion(azure);
  registerGroupContents(azure);
}

function registerGroupWrites(azure: Azure): void {
  const { router, store, operations } = azure;
  const canonical = (request: AzureRequest) => store.get(request.path)?.id ?? request.path;
  for (const method of ['PUT', 'PATCH'])
    router.on(
      method,
      groupTemplate,
      ({ request }) => {
        const startedAt = Date.now();
        const id = canonical(request);
        const existing = store.get(id);
        refuseWhenLocked(azure, id, 'write');
        refuseNameOfAnotherShape(id);
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
}

function registerGroupDeletion(azure: Azure): void {
  const { router, store, operations } = azure;
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
}

function registerGroupContents({ router, store }: Azure): void {
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
