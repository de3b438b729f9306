import { isObject, type Json, type JsonObject, objectAt } from '../../core/json.ts';
import type { AzureResponse } from '../../local/azure/core/http.ts';
import type { Scenario } from '../scenario.ts';

const displayNames: Readonly<Record<string, string>> = { eastus: 'East US', westus2: 'West US 2' };

/** Azure’s answer as another version of Azure might give it: the same facts, said otherwise. */
function saidOtherwise(path: string, answer: AzureResponse): AzureResponse {
  const { body } = answer;
  return isObject(body) && !Buffer.isBuffer(body)
    ? { ...answer, body: documentOtherwise(path, body) }
    : answer;
}

function documentOtherwise(path: string, document: JsonObject): JsonObject {
  const { location, properties, identity, value } = document;
  const isServer = /\/flexibleServers\/[^/]+$/i.test(path);
  return {
    ...document,
    ...(Array.isArray(value)
      ? { value: value.map((one) => (isObject(one) ? documentOtherwise(path, one) : one)) }
      : {}),
    ...(typeof location === 'string' ? { location: displayNames[location] ?? location } : {}),
    ...(isObject(properties)
      ? { properties: { ...(isServer ? serverOtherwise(properties) : properties), ...unheardOf } }
      : {}),
    ...(isServer && isObject(identity) ? { identity: identityOtherwise(identity) } : {}),
    systemData: { createdAt: '2026-01-01T00:00:00Z', createdByType: 'Application' },
  };
}

const unheardOf = { somethingNew: { enabled: true, since: '2027-01-01' } };

/** What is not there said as null or as an empty text, no zone of the standby, and a replica that says it has backups. */
function serverOtherwise(properties: JsonObject): JsonObject {
  const { sourceServerResourceId: source, network } = properties;
  const { standbyAvailabilityZone: _zone, ...availability } = objectAt(properties, 'highAvailability');
  return {
    ...properties,
    administratorLogin: properties['administratorLogin'] ?? null,
    sourceServerResourceId: source ?? '',
    pointInTimeUTC: null,
    highAvailability: availability,
    network: { delegatedSubnetResourceId: '', privateDnsZoneArmResourceId: null, ...Object(network) },
    ...(typeof source === 'string'
      ? { backup: { backupRetentionDays: 35, geoRedundantBackup: 'Enabled' } }
      : {}),
  };
}

/** Managed identities come back in the spelling of another resource provider. */
function identityOtherwise(identity: JsonObject): JsonObject {
  const assigned = Object.entries(objectAt(identity, 'userAssignedIdentities'));
  return {
    ...identity,
    userAssignedIdentities: Object.fromEntries(
      assigned.map(([id, one]): [string, Json | undefined] => [
        id.replace('/resourceGroups/', '/resourcegroups/'),
        one,
      ]),
    ),
  };
}

export const scenario: Scenario = {
  name: 'azure-answers-differently',
  title:
    'Regions by their display name, properties nobody knows yet, empty texts, another spelling of identities, and a standby without a zone change nothing',
  environments: ['production', 'staging', 'development'],
  begins: 'deployed',
  async run(stage) {
    stage.interceptAnswer = ({ method, host, path }, answer) =>
      method === 'GET' && host === 'management.azure.com' && answer.status === 200
        ? saidOtherwise(path, answer)
        : undefined;
    const run = await stage.deployed({}, 'a deployment succeeds');
    stage.check('it changed nothing', run.resources.length === 0);
  },
};
