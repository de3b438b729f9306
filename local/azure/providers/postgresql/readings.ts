/** Reads of servers beside their documents: replicas, private link, names, capabilities. */
import { region } from '../../../../azure/regions.ts';
import { skus } from '../../../../azure/skus.ts';
import { storageSizesGb, storageTiers } from '../../../../azure/storage.ts';
import { majorVersions } from '../../../../azure/versions.ts';
import { availabilityZones, tiers } from '../../../../azure/vocabulary.ts';
import { type JsonObject, objectsAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { ArmError } from '../../core/http.ts';
import { jsonBody } from '../../core/json-body.ts';
import { canonicalLocation } from '../../core/locations.ts';
import type { Resource } from '../../core/resource-store.ts';
import { toDocument } from '../../core/resource-store.ts';
import { notFound, refuseUnknownProperties } from '../../core/resource-types.ts';
import { server as refusals } from '../../refusals/flexible-server.ts';
import { namespace, replicasOf, serverType } from './server.ts';
import { refuseName } from './server-rules.ts';

export function registerReadings(azure: Azure): void {
  const { router, store } = azure;
  const read = (path: string, answer: (server: Resource) => JsonObject) =>
    router.on(
      'GET',
      `${namespace}/flexibleServers/{server}/${path}`,
      ({ request }) => {
        const id = request.path.slice(
          0,
          request.path.toLowerCase().lastIndexOf(`/${path.split('/')[0]}`.toLowerCase()),
        );
        const server = store.get(id);
        if (!server) throw notFound(azure, id);
        return { status: 200, body: answer(server) };
      },
      { type: serverType },
    );
  read('replicas', (server) => ({ value: replicasOf(azure, server.id).map(toDocument) }));
  read('privateEndpointConnections', (server) => ({
    value: objectsAt(server.body, 'properties', 'privateEndpointConnections'),
  }));
  read('privateLinkResources', (server) => ({
    value: [
      {
        id: `${server.id}/privateLinkResources/postgresqlServer`,
        name: 'postgresqlServer',
        type: 'Microsoft.DBforPostgreSQL/flexibleServers/privateLinkResources',
        properties: {
          groupId: 'postgresqlServer',
          requiredMembers: ['postgresqlServer'],
          requiredZoneNames: ['privatelink.postgres.database.azure.com'],
        },
      },
    ],
  }));
  read('capabilities', (server) => capabilities(textAt(server.body, 'location') ?? ''));
  router.on(
    'GET',
    '/subscriptions/{s}/providers/Microsoft.DBforPostgreSQL/locations/{location}/capabilities',
    ({ parameters }) => ({ status: 200, body: capabilities(parameters['location'] ?? '') }),
    { type: serverType },
  );
  for (const template of ['checkNameAvailability', 'locations/{location}/checkNameAvailability'])
    router.on(
      'POST',
      `/subscriptions/{s}/providers/Microsoft.DBforPostgreSQL/${template}`,
      ({ request }) => {
        const sent = jsonBody(request);
        refuseUnknownProperties(sent, { name: 'any', type: 'any' }, 'a question about a name');
        return { status: 200, body: availability(azure, textAt(sent, 'name') ?? '') };
      },
      { type: serverType },
    );
}

function availability(azure: Azure, name: string): JsonObject {
  try {
    refuseName(azure, { id: '', name });
    return { name, type: 'Microsoft.DBforPostgreSQL/flexibleServers', nameAvailable: true, message: '' };
  } catch (error) {
    if (!(error instanceof ArmError)) throw error;
    return {
      name,
      type: 'Microsoft.DBforPostgreSQL/flexibleServers',
      nameAvailable: false,
      reason: error.status === 409 ? 'AlreadyExists' : 'Invalid',
      message: error.message,
    };
  }
}

/** https://learn.microsoft.com/rest/api/postgresql/capabilities-by-location/list, as far as it is played here. */
function capabilities(given: string): JsonObject {
  const found = region(canonicalLocation(given));
  if (!found) throw refusals.regionWithoutCapabilities(given);
  const flag = (value: boolean) => (value ? 'Enabled' : 'Disabled');
  return {
    value: [
      {
        name: 'FlexibleServerCapabilities',
        zoneRedundantHaSupported: flag(found.hasZones),
        zoneRedundantHaAndGeoBackupSupported: flag(found.hasZones && found.pair !== undefined),
        geoBackupSupported: flag(found.pair !== undefined),
        supportedServerVersions: majorVersions.map(({ version }) => ({ name: String(version) })),
        supportedServerEditions: tiers.map((tier) => ({
          name: tier,
          supportedServerSkus: skus
            .filter((sku) => sku.tier === tier)
            .map(({ size, vCores, memoryGb }) => ({
              name: size,
              vCores,
              supportedMemoryPerVcoreMb: (memoryGb * 1024) / vCores,
              supportedZones: found.hasZones ? [...availabilityZones] : [],
              supportedHaMode:
                tier === 'Burstable' ? [] : ['SameZone', ...(found.hasZones ? ['ZoneRedundant'] : [])],
            })),
          supportedStorageEditions: [
            {
              name: 'ManagedDisk',
              supportedStorageMb: storageSizesGb.map((size) => ({
                storageSizeMb: size * 1024,
                supportedIopsTiers: (storageTiers(size) ?? []).map((name) => ({ name })),
              })),
            },
          ],
        })),
      },
    ],
  };
}
