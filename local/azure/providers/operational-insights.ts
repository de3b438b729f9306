/** Microsoft.OperationalInsights: Log Analytics workspaces. */
import { randomBytes, randomUUID } from 'node:crypto';
import { type JsonObject, objectAt, textAt } from '../../../core/json.ts';
import type { Azure } from '../core/context.ts';
import { keep, notFound, registerList, registerResourceType } from '../core/resource-types.ts';
import { workspaceShape } from '../core/shapes.ts';
import { monitoring } from '../refusals/monitoring.ts';

export const workspaceType = 'Microsoft.OperationalInsights/workspaces';

interface DeletedWorkspace {
  readonly id: string;
  readonly name: string;
  readonly body: JsonObject;
  readonly deletedAt: number;
}

/** @param sharedKeys receives each shared key that was given out and that its workspace accepts, by workspace id */
export function registerOperationalInsights(azure: Azure, sharedKeys: Map<string, string>): void {
  const { router, store, clock } = azure;
  /** https://learn.microsoft.com/azure/azure-monitor/logs/delete-workspace: kept for 14 days, unless the request has `force`. */
  const deleted = azure.memory.map<DeletedWorkspace>('deletedWorkspaces');
  const given = azure.memory.map<string>('givenSharedKeys');
  /** A workspace without local authentication gives its keys out too, and accepts none of them. */
  const recordAccepted = (id: string, properties: JsonObject) => {
    const key = given.get(id.toLowerCase());
    if (key !== undefined && objectAt(properties, 'features')['disableLocalAuth'] !== true)
      sharedKeys.set(id, key);
  };
  registerResourceType(azure, {
    type: workspaceType,
    shape: workspaceShape,
    change: 'polled',
    patch: true,
    accept: (sent, { id, name, existing }) => {
      if (!/^[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]$/.test(name))
        throw monitoring.workspaceNameNotValid(name);
      const properties = objectAt(sent, 'properties');
      recordAccepted(id, properties);
      // A workspace that is created again within two weeks is the old one with its data.
      const gone = deleted.get(id.toLowerCase());
      deleted.delete(id.toLowerCase());
      const workspaceId = textAt(existing?.body ?? gone?.body, 'properties', 'customerId') ?? randomUUID();
      return keep(
        { ...sent, properties },
        {
          customerId: workspaceId,
          retentionInDays: properties['retentionInDays'] ?? 30,
          sku: objectAt(properties, 'sku')['name'] === undefined ? { name: 'PerGB2018' } : properties['sku'],
          publicNetworkAccessForIngestion: properties['publicNetworkAccessForIngestion'] ?? 'Enabled',
          publicNetworkAccessForQuery: properties['publicNetworkAccessForQuery'] ?? 'Enabled',
          workspaceCapping: properties['workspaceCapping'] ?? { dailyQuotaGb: -1 },
        },
      );
    },
    deleted: ({ id, name, body }, { request }) => {
      if (request.query.get('force') !== 'true')
        deleted.set(id.toLowerCase(), { id, name, body, deletedAt: clock.now() });
    },
    query: ['force'],
  });
  registerList(azure, workspaceType, {
    template: '/subscriptions/{s}/providers/Microsoft.OperationalInsights/workspaces',
  });
  router.on(
    'GET',
    '/subscriptions/{s}/providers/Microsoft.OperationalInsights/deletedWorkspaces',
    () => ({
      status: 200,
      body: {
        value: [...deleted.values()]
          .filter(({ deletedAt }) => deletedAt + 14 * 24 * 3_600_000 > clock.now())
          .map(({ id, name, body }) => ({ id, name, type: workspaceType, ...body })),
      },
    }),
    { type: 'Microsoft.OperationalInsights/deletedWorkspaces' },
  );
  router.on(
    'POST',
    '/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.OperationalInsights/workspaces/{w}/sharedKeys',
    ({ request }) => {
      const workspace = store.get(request.path.replace(/\/sharedKeys$/i, ''));
      if (!workspace) throw notFound(azure, request.path);
      const key = given.get(workspace.id.toLowerCase()) ?? randomBytes(64).toString('base64');
      given.set(workspace.id.toLowerCase(), key);
      recordAccepted(workspace.id, objectAt(workspace.body, 'properties'));
      return { status: 200, body: { primarySharedKey: key, secondarySharedKey: key } };
    },
    { type: workspaceType },
  );
}
