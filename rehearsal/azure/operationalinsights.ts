/** Microsoft.OperationalInsights: Log Analytics workspaces. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Azure } from './context.ts';
import { ArmError } from './http.ts';
import { objectAt, textAt } from './json.ts';
import { keep, notFound, registerList, registerResourceType } from './resource-types.ts';

export const workspaceType = 'Microsoft.OperationalInsights/workspaces';
const apiVersions = ['2022-10-01', '2020-08-01'];

export interface WorkspaceOptions {
  /** Whether the deploying identity may read shared keys (`Microsoft.OperationalInsights/workspaces/sharedKeys/action`). */
  readonly mayReadSharedKeys: boolean;
  /** Told each shared key, so that tests can search for it where it must not be. */
  readonly sharedKeys: Map<string, string>;
}

export function registerOperationalInsights(azure: Azure, options: WorkspaceOptions): void {
  const { router, store } = azure;
  registerResourceType(azure, {
    type: workspaceType,
    apiVersions,
    change: 'polled',
    patch: true,
    accept: (sent, { existing }) => {
      const properties = objectAt(sent, 'properties');
      const workspaceId = textAt(existing?.body, 'properties', 'customerId') ?? randomUUID();
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
  });
  registerList(azure, workspaceType, {
    apiVersions,
    template: '/subscriptions/{s}/providers/Microsoft.OperationalInsights/workspaces',
  });
  router.on(
    'GET',
    '/subscriptions/{s}/providers/Microsoft.OperationalInsights/deletedWorkspaces',
    () => ({ status: 200, body: { value: [] } }),
    { apiVersions: ['2023-09-01'] },
  );
  router.on(
    'POST',
    '/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.OperationalInsights/workspaces/{w}/sharedKeys',
    ({ request }) => {
      const workspace = store.get(request.path.replace(/\/sharedKeys$/i, ''));
      if (!workspace) throw notFound(azure, request.path);
      if (!options.mayReadSharedKeys)
        throw new ArmError(
          403,
          'AuthorizationFailed',
          `The client does not have authorization to perform action 'Microsoft.OperationalInsights/workspaces/sharedKeys/action' over scope '${workspace.id}'.`,
        );
      const key = options.sharedKeys.get(workspace.id) ?? randomBytes(64).toString('base64');
      options.sharedKeys.set(workspace.id, key);
      return { status: 200, body: { primarySharedKey: key, secondarySharedKey: key } };
    },
    { apiVersions },
  );
}
