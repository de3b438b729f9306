/**
 * Differences between the published shapes and those that the local Azure checks documents with; docs/local-azure.md
 * lists them.
 */
import type { ResourceTypeName } from '../../../azure/resource-types.ts';
import type { Shape } from '../core/shape.ts';

export interface Deviation {
  readonly type: ResourceTypeName;
  /** `identity.principalId`. */
  readonly path: string;
  /** `absent`: the property is answered 501. */
  readonly shape: Shape | 'absent';
  readonly reason: string;
}

const server = 'Microsoft.DBforPostgreSQL/flexibleServers';
const notMarked = 'Azure writes it; the description does not mark it';
const children = [
  'administrators',
  'backups',
  'configurations',
  'databases',
  'firewallRules',
  'virtualEndpoints',
] as const;
const metadata = (type: ResourceTypeName): Deviation => ({
  type,
  path: 'systemData',
  shape: 'readOnly',
  reason: notMarked,
});

const criterion: Shape = {
  criterionType: 'any',
  name: 'any',
  metricName: 'any',
  metricNamespace: 'any',
  timeAggregation: 'any',
  operator: 'any',
  threshold: 'any',
  dimensions: 'any',
  skipMetricValidation: 'any',
};
const actions: Shape = [
  { actionGroupId: 'any', webHookProperties: 'any', webhookProperties: 'any', actionProperties: 'any' },
];

export const deviations: readonly Deviation[] = [
  metadata(server),
  ...children.map((child) => metadata(`${server}/${child}`)),
  metadata('Microsoft.Authorization/locks'),
  { type: server, path: 'identity.principalId', shape: 'readOnly', reason: notMarked },
  {
    type: server,
    path: 'identity.userAssignedIdentities',
    shape: { '*': { principalId: 'readOnly', clientId: 'readOnly' } },
    reason: notMarked,
  },
  ...(['primaryEncryptionKeyStatus', 'geoBackupEncryptionKeyStatus'] as const).map(
    (name): Deviation => ({
      type: server,
      path: `properties.dataEncryption.${name}`,
      shape: 'readOnly',
      reason: notMarked,
    }),
  ),
  { type: server, path: 'properties.cluster', shape: 'absent', reason: 'elastic clusters are not played' },
  {
    type: `${server}/administrators`,
    path: 'properties.objectId',
    shape: 'readOnly',
    reason: 'the name of the resource decides it',
  },
  {
    type: 'Microsoft.Insights/metricAlerts',
    path: 'properties.criteria',
    shape: { 'odata.type': 'any', allOf: [criterion] },
    reason: 'one of several models, of which the stacks use the first two',
  },
  {
    type: 'Microsoft.Insights/metricAlerts',
    path: 'properties.actions',
    shape: actions,
    reason: 'azurerm spells the webhook properties differently',
  },
  {
    type: 'Microsoft.Insights/activityLogAlerts',
    path: 'properties.condition',
    shape: { allOf: [{ field: 'any', equals: 'any', containsAny: 'any', anyOf: 'any' }] },
    reason: 'version 2020-10-01; the client describes 2017-04-01',
  },
  {
    type: 'Microsoft.Insights/activityLogAlerts',
    path: 'properties.actions',
    shape: { actionGroups: actions },
    reason: 'version 2020-10-01; the client describes 2017-04-01',
  },
  {
    type: 'Microsoft.Insights/diagnosticSettings',
    path: 'properties.logs',
    shape: [{ category: 'any', categoryGroup: 'any', enabled: 'any', retentionPolicy: 'any' }],
    reason: 'version 2021-05-01-preview; the client describes 2017-05-01-preview',
  },
  {
    type: 'Microsoft.Insights/diagnosticSettings',
    path: 'properties.marketplacePartnerId',
    shape: 'any',
    reason: 'version 2021-05-01-preview; the client describes 2017-05-01-preview',
  },
  {
    type: 'Microsoft.Insights/diagnosticSettings',
    path: 'properties.serviceBusRuleId',
    shape: 'absent',
    reason: 'version 2021-05-01-preview; the client describes 2017-05-01-preview',
  },
];
