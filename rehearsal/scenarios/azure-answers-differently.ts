import type { AzureResponse } from '../azure/http.ts';
import { isObject, type Json, type JsonObject } from '../azure/json.ts';
import type { Scenario } from '../scenario.ts';

/** Azure’s answer as another version of Azure might give it: the same facts, said otherwise. */
function saidOtherwise(answer: AzureResponse): AzureResponse {
  const { body } = answer;
  return isObject(body) && !Buffer.isBuffer(body) ? { ...answer, body: documentOtherwise(body) } : answer;
}

function documentOtherwise(document: JsonObject): JsonObject {
  const { location, properties, value } = document;
  return {
    ...document,
    ...(Array.isArray(value)
      ? { value: value.map((one) => (isObject(one) ? documentOtherwise(one) : one)) }
      : {}),
    ...(location === 'eastus' ? { location: 'East US' } : {}),
    ...(location === 'westus2' ? { location: 'West US 2' } : {}),
    ...(isObject(properties) ? { properties: propertiesOtherwise(properties) } : {}),
    systemData: { createdAt: '2026-01-01T00:00:00Z', createdByType: 'Application' },
  };
}

/** Properties nobody has heard of yet, and one that an old server does not have. */
function propertiesOtherwise(properties: JsonObject): JsonObject {
  const availability = properties['highAvailability'];
  return {
    ...properties,
    somethingNew: { enabled: true, since: '2027-01-01' },
    ...(isObject(availability) ? { highAvailability: withoutStandbyZone(availability) } : {}),
  };
}

function withoutStandbyZone({
  standbyAvailabilityZone: _zone,
  ...rest
}: JsonObject): Record<string, Json | undefined> {
  return rest;
}

export const scenario: Scenario = {
  name: 'azure-answers-differently',
  title:
    'Regions by their display name, properties nobody knows yet, and a standby without a zone change nothing',
  environments: ['production', 'staging', 'development'],
  begins: 'deployed',
  async run(stage) {
    stage.interceptAnswer = ({ method, host, path }, answer) =>
      method === 'GET' &&
      host === 'management.azure.com' &&
      /providers\/Microsoft\.DBforPostgreSQL/i.test(path)
        ? saidOtherwise(answer)
        : undefined;
    await stage.unchanged('the plan is empty although Azure answers otherwise');
    const run = await stage.deployed({}, 'a deployment succeeds');
    stage.check('it changed nothing', run.resources.length === 0);
  },
};
