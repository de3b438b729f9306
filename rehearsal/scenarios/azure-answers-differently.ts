import { isObject, type Json, type JsonObject, objectAt } from '../../core/json.ts';
import type { AzureResponse } from '../../local/azure/core/http.ts';
import type { Scenario } from '../sandbox/scenario.ts';

/** A region in the style of its display name, for example West US 2: azurerm compares without case and spaces. */
function displayName(region: string): string {
  return region
    .replace(/(?=us\d*$)|(?=europe)|(?=\d+$)/g, ' ')
    .replace(/\bus/, 'US')
    .replace(/^./, (letter) => letter.toUpperCase());
}

/** The answer of another version of Azure: the same facts in another form. */
function rephrase(path: string, answer: AzureResponse): AzureResponse {
  const { body } = answer;
  return isObject(body) && !Buffer.isBuffer(body)
    ? { ...answer, body: rephraseDocument(path, body) }
    : answer;
}

function rephraseDocument(path: string, document: JsonObject): JsonObject {
  const { location, properties, identity, value } = document;
  const isServer = /\/flexibleServers\/[^/]+$/i.test(path);
  return {
    ...document,
    ...(Array.isArray(value)
      ? { value: value.map((one) => (isObject(one) ? rephraseDocument(path, one) : one)) }
      : {}),
    ...(typeof location === 'string' ? { location: displayName(location) } : {}),
    ...(isObject(properties)
      ? { properties: { ...(isServer ? rephraseServer(properties) : properties), ...unknownProperties } }
      : {}),
    ...(isServer && isObject(identity) ? { identity: rephraseIdentity(identity) } : {}),
    systemData: { createdAt: '2026-01-01T00:00:00Z', createdByType: 'Application' },
  };
}

const unknownProperties = { somethingNew: { enabled: true, since: '2027-01-01' } };

/** Null or empty text for absent values, no zone of the standby, and a replica with a backup configuration. */
function rephraseServer(properties: JsonObject): JsonObject {
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

/** Ids of managed identities in the spelling of another resource provider. */
function rephraseIdentity(identity: JsonObject): JsonObject {
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
    'Display names of regions, unknown properties, empty texts, another spelling of identities, and a standby without a zone cause no change',
  needs: [],
  prefers: ['replica'],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    sandbox.interceptAnswer = ({ method, host, path }, answer) =>
      method === 'GET' && host === 'management.azure.com' && answer.status === 200
        ? rephrase(path, answer)
        : undefined;
    const run = await sandbox.assertDeploys({}, 'a deployment succeeds');
    sandbox.check('it changed nothing', run.resources.length === 0);
  },
};
