/** Records plans of an environment with a replica by real Terraform and azurerm on a local Azure: `llama-db prove plans --record`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { at, isObject, type Json, type JsonObject, objectAt, objectsAt, textAt } from '../../../core/json.ts';
import type { EnvironmentInput } from '../../../environments/settings.ts';
import { Sandbox } from '../../../rehearsal/sandbox/sandbox.ts';
import { ownWith, whyNoOwn } from '../../support/own.ts';

export const recordedFolder = join(import.meta.dirname, 'recorded');

/** Changes of its settings, by the name of the record. */
export const recordedChanges: Readonly<Record<string, (input: EnvironmentInput) => void>> = {
  online: ({ server }) => {
    server.parameters = { ...server.parameters, work_mem: 32_768 };
  },
  restart: (input) => {
    input.server.sku = 'GP_Standard_D8s_v3';
    input.changeFirst = 'replica';
  },
  refused: ({ database, protection }) => {
    database.collation = 'de_DE.utf8';
    protection.deletionLock = 'lifted';
    protection.preventDestroy = false;
  },
};

export async function recordPlans(log: (line: string) => void): Promise<void> {
  const environment = ownWith('replica', 'virtualEndpoint', 'protected');
  if (environment === undefined) throw new Error(whyNoOwn('replica', 'virtualEndpoint', 'protected'));
  const sandbox = await Sandbox.open({
    environment,
    quick: true,
    database: false,
    sharesProvider: true,
  });
  let own: EnvironmentInput | undefined;
  try {
    const deployed = await sandbox.deploy();
    if (deployed.exitCode !== 0) throw new Error(deployed.output.slice(-4000));
    mkdirSync(recordedFolder, { recursive: true });
    for (const [name, change] of Object.entries(recordedChanges)) {
      const planned = await sandbox.diff({
        change(input) {
          // Changes of earlier calls stay.
          own ??= structuredClone(input);
          Object.assign(input, structuredClone(own));
          change(input);
        },
      });
      if (planned.exitCode !== 0) throw new Error(`${name}: ${planned.output.slice(-4000)}`);
      const stack = await sandbox.terraform();
      const { stdout } = await stack.run(['show', '-json', 'plan']);
      const text = `${JSON.stringify(shortened(JSON.parse(stdout)))}\n`;
      writeFileSync(join(recordedFolder, `${name}.json`), text);
      log(`${name}: ${stdout.length} characters, ${text.length} without what does not change`);
    }
  } finally {
    await sandbox.close();
  }
}

/** Kept even if nothing changes, because the impact of other changes depends on them. */
const context = [
  'azurerm_postgresql_flexible_server',
  'azurerm_management_lock',
  'azurerm_postgresql_flexible_server_virtual_endpoint',
];

/** The order of changes depends on those between them. */
const ordered = /^azurerm_(?:postgresql_flexible_server|private_endpoint)/;

/** The plan without unchanged resources, and without the parts that repeat them. */
function shortened(plan: JsonObject): JsonObject {
  const { planned_values: _, prior_state: __, relevant_attributes: ___, variables: ____, ...rest } = plan;
  const kept = objectsAt(plan, 'resource_changes').filter(
    (one) => textAt(one, 'change', 'actions', 0) !== 'no-op' || context.includes(textAt(one, 'type') ?? ''),
  );
  const addresses = new Set(kept.map((one) => textAt(one, 'address')));
  const configuration = objectAt(plan, 'configuration');
  const resources = objectsAt(configuration, 'root_module', 'resources')
    .filter((one) => addresses.has(textAt(one, 'address')) || ordered.test(textAt(one, 'type') ?? ''))
    .map((one) => ({ ...one, expressions: referencesOnly(one['expressions']) ?? {} }));
  return {
    ...rest,
    resource_changes: kept,
    // Reading back what azurerm has just created is no drift that a reviewer would see again.
    resource_drift: [],
    output_changes: Object.fromEntries(
      Object.entries(objectAt(plan, 'output_changes')).map(([name, one]) => [
        name,
        { actions: at(one, 'actions') ?? [] },
      ]),
    ),
    checks: objectsAt(plan, 'checks').filter((one) => textAt(one, 'status') !== 'pass'),
    configuration: { provider_config: configuration['provider_config'] ?? {}, root_module: { resources } },
  };
}

/** Expressions with nothing but their references. */
function referencesOnly(value: Json | undefined): Json | undefined {
  if (Array.isArray(value)) {
    const kept: Json[] = [];
    for (const item of value) {
      const one = referencesOnly(item);
      if (one !== undefined) kept.push(one);
    }
    return kept;
  }
  if (!isObject(value)) return undefined;
  const kept = Object.entries(value).flatMap(([key, inner]): [string, Json][] => {
    const one = key === 'references' ? inner : referencesOnly(inner);
    return one === undefined || (isObject(one) && Object.keys(one).length === 0) ? [] : [[key, one]];
  });
  return Object.fromEntries(kept);
}
