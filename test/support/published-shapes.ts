/**
 * Shapes of documents from the mappers in Azure's own clients: names, nesting, and what only Azure writes. They are
 * written to local/azure/published/shapes.json by `npm run docs`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ResourceTypeName } from '../../azure/resource-types.ts';
import { at, isObject, type Json, type JsonObject, objectAt, textAt } from '../../core/json.ts';

const modules = join(import.meta.dirname, '../../node_modules/@azure');

/** Mappers of a client. They are data in a module that the packages do not export. */
async function mappersOf(path: string): Promise<JsonObject> {
  const source = readFileSync(join(modules, path), 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, '');
  const module: unknown = await import(`data:text/javascript,${encodeURIComponent(source)}`);
  return JSON.parse(JSON.stringify(module));
}

const clients = {
  postgresql: await mappersOf('arm-postgresql-flexible/dist/esm/models/mappers.js'),
  monitor: await mappersOf('arm-monitor/dist-esm/src/models/mappers.js'),
  locks: await mappersOf('arm-locks/dist-esm/src/models/mappers.js'),
};

const server = 'Microsoft.DBforPostgreSQL/flexibleServers';
const models: Partial<Record<ResourceTypeName, readonly [keyof typeof clients, string]>> = {
  [server]: ['postgresql', 'Server'],
  [`${server}/administrators`]: ['postgresql', 'AdministratorMicrosoftEntra'],
  [`${server}/backups`]: ['postgresql', 'BackupAutomaticAndOnDemand'],
  [`${server}/configurations`]: ['postgresql', 'Configuration'],
  [`${server}/databases`]: ['postgresql', 'Database'],
  [`${server}/firewallRules`]: ['postgresql', 'FirewallRule'],
  [`${server}/virtualEndpoints`]: ['postgresql', 'VirtualEndpoint'],
  'Microsoft.Insights/actionGroups': ['monitor', 'ActionGroupResource'],
  'Microsoft.Insights/activityLogAlerts': ['monitor', 'ActivityLogAlertResource'],
  'Microsoft.Insights/diagnosticSettings': ['monitor', 'DiagnosticSettingsResource'],
  'Microsoft.Insights/metricAlerts': ['monitor', 'MetricAlertResource'],
  'Microsoft.Authorization/locks': ['locks', 'ManagementLockObject'],
};

function shapeOfModel(mappers: JsonObject, model: string, above: readonly string[] = []): JsonObject {
  const shape: JsonObject = {};
  for (const property of Object.values(objectAt(mappers, model, 'type', 'modelProperties'))) {
    // A dot inside a name is escaped; the others separate the levels of the document.
    const path = (textAt(property, 'serializedName') ?? '')
      .split(/(?<!\\)\./)
      .map((one) => one.replace('\\', ''));
    let level = shape;
    for (const name of path.slice(0, -1)) {
      const next = objectAt(level, name);
      level[name] = next;
      level = next;
    }
    const isReadOnly = at(property, 'readOnly') === true;
    level[path.at(-1) ?? ''] = isReadOnly
      ? 'readOnly'
      : shapeOfType(mappers, at(property, 'type'), [...above, model]);
  }
  return shape;
}

function shapeOfType(mappers: JsonObject, type: Json | undefined, above: readonly string[]): Json {
  const model = textAt(type, 'className');
  if (model !== undefined && isObject(mappers[model]) && !above.includes(model))
    return shapeOfModel(mappers, model, above);
  const element = at(type, 'element', 'type') ?? at(type, 'value', 'type');
  const inner = element === undefined ? 'any' : shapeOfType(mappers, element, above);
  if (inner === 'any') return 'any';
  return textAt(type, 'name') === 'Sequence' ? [inner] : { '*': inner };
}

/** The text of shapes.json. */
export function publishedShapes(): string {
  const shapes = Object.entries(models).map(([type, [client, model]]) => [
    type,
    shapeOfModel(clients[client], model),
  ]);
  return `${JSON.stringify(Object.fromEntries(shapes), undefined, 2)}\n`;
}
