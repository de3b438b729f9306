/**
 * Resources that a document refers to, with the action that their use needs. Azure asks for them together with the
 * write. The actions are those of the refusals that https://github.com/Azure/mpf collects, and of
 * https://learn.microsoft.com/azure/role-based-access-control/permissions/networking.
 */
import { typeOf } from '../../../azure/resource-id.ts';
import { type JsonObject, objectAt, objectsAt, textAt, textsAt } from '../../../core/json.ts';
import type { RequestedAction } from './requested-action.ts';

type Links = (document: JsonObject) => readonly (readonly [action: string, id: string | undefined])[];

const network = 'Microsoft.Network';
const joinSubnet = `${network}/virtualNetworks/subnets/join/action`;
const joinZone = `${network}/privateDnsZones/join/action`;

const identities = (document: JsonObject) =>
  Object.keys(objectAt(document, 'identity', 'userAssignedIdentities')).map(
    (id) => ['Microsoft.ManagedIdentity/userAssignedIdentities/assign/action', id] as const,
  );

/** By the type of the resource that is written, in lower case. */
const links: Readonly<Record<string, Links>> = {
  'microsoft.dbforpostgresql/flexibleservers': (document) => [
    [joinSubnet, textAt(document, 'properties', 'network', 'delegatedSubnetResourceId')],
    [joinZone, textAt(document, 'properties', 'network', 'privateDnsZoneArmResourceId')],
    ...identities(document),
  ],
  'microsoft.app/managedenvironments': (document) => [
    [joinSubnet, textAt(document, 'properties', 'vnetConfiguration', 'infrastructureSubnetId')],
  ],
  'microsoft.app/jobs': (document) => [
    ['Microsoft.App/managedEnvironments/join/action', textAt(document, 'properties', 'environmentId')],
    ...identities(document),
  ],
  'microsoft.dataprotection/backupvaults': identities,
  'microsoft.network/privateendpoints': (document) => [
    [joinSubnet, textAt(document, 'properties', 'subnet', 'id')],
    // Without it the connection would wait for somebody else's approval.
    ...objectsAt(document, 'properties', 'privateLinkServiceConnections').map((connection) => {
      const target = textAt(connection, 'properties', 'privateLinkServiceId');
      return [`${typeOf(target ?? '')}/privateEndpointConnectionsApproval/action`, target] as const;
    }),
  ],
  'microsoft.network/privateendpoints/privatednszonegroups': (document) =>
    objectsAt(document, 'properties', 'privateDnsZoneConfigs').map(
      (config) => [joinZone, textAt(config, 'properties', 'privateDnsZoneId')] as const,
    ),
  'microsoft.network/privatednszones/virtualnetworklinks': (document) => [
    [`${network}/virtualNetworks/join/action`, textAt(document, 'properties', 'virtualNetwork', 'id')],
  ],
  'microsoft.network/virtualnetworks/subnets': (document) => [
    [
      `${network}/networkSecurityGroups/join/action`,
      textAt(document, 'properties', 'networkSecurityGroup', 'id'),
    ],
  ],
  'microsoft.network/virtualnetworks/virtualnetworkpeerings': (document) => [
    [`${network}/virtualNetworks/peer/action`, textAt(document, 'properties', 'remoteVirtualNetwork', 'id')],
  ],
  // https://learn.microsoft.com/azure/azure-monitor/logs/manage-access
  'microsoft.insights/diagnosticsettings': (document) => [
    [
      'Microsoft.OperationalInsights/workspaces/sharedKeys/action',
      textAt(document, 'properties', 'workspaceId'),
    ],
  ],
  'microsoft.insights/metricalerts': (document) => readOf(textsAt(document, 'properties', 'scopes')),
  'microsoft.insights/activitylogalerts': (document) => readOf(textsAt(document, 'properties', 'scopes')),
  // The rule queries as the identity that wrote it (alerts-create-log-alert-rule).
  'microsoft.insights/scheduledqueryrules': (document) =>
    textsAt(document, 'properties', 'scopes').flatMap((id) => [
      [`${typeOf(id)}/read`, id] as const,
      [`${typeOf(id)}/query/read`, id] as const,
    ]),
};

function readOf(ids: readonly string[]) {
  return ids.map((id) => {
    const type = typeOf(id);
    const read =
      type === 'Microsoft.Resources/resourceGroups'
        ? 'Microsoft.Resources/subscriptions/resourceGroups'
        : type;
    return [`${read}/read`, id] as const;
  });
}

/** @param id of the resource that is written */
export function linkedActions(id: string, document: JsonObject): RequestedAction[] {
  return (links[typeOf(id).toLowerCase()]?.(document) ?? []).flatMap(([action, scope]) =>
    scope === undefined ? [] : [{ action, scope }],
  );
}
