/**
 * Finds the resources of a stack in Azure: the id of each, and the id under which azurerm 4.55.0 imports it. Both come
 * from azure/resource-types.ts; the types that the provider treats differently have a rule here. The provider accepts an
 * import id only with its own spelling of the fixed segments. Source: the `Importer` and the `Create` of each resource in
 * https://github.com/hashicorp/terraform-provider-azurerm (v4.55.0).
 */
import {
  type ResourceType,
  type ResourceTypeName,
  resourceTypes,
  type TerraformResource,
} from '../../azure/resource-types.ts';
import { Fault } from '../../core/fault.ts';
import { type JsonObject, textAt } from '../../core/json.ts';
import type { Azure } from './azure.ts';
import { StackValues } from './expressions.ts';
import { findRoleAssignment } from './role-assignments.ts';
import type { Stack, StackResource } from './stack.ts';
import type { Existing, Values } from './types.ts';

interface Rule {
  /** Azure id from the arguments; undefined if one of them is not known. */
  readonly id: (resource: StackResource, values: Values) => Promise<string | undefined>;
  /** @default - the Azure id */
  readonly importId?: (resource: StackResource, values: Values) => Promise<string | undefined>;
  /** Whether the document proves that the resource exists. @default - any document does */
  readonly isThere?: (document: JsonObject) => boolean;
  /** Finds a resource whose id Azure chose. @default - reads the id */
  readonly find?: (resource: StackResource, values: Values) => Promise<Existing | undefined>;
  /**
   * `again`: Azure accepts a second creation with the same result, so that no import is needed.
   * @default 'import'
   */
  readonly adoption?: 'import' | 'again';
}

const none = async () => undefined;

/** Types of azurerm that have no type of Azure to themselves. */
const ofTerraformAlone: Readonly<Record<string, Rule>> = {
  // Azure has it as a property of the subnet, and the provider imports it under the subnet's id.
  azurerm_subnet_network_security_group_association: {
    id: (resource, values) => values.argument(resource, 'subnet_id'),
    isThere: (subnet) => textAt(subnet, 'properties', 'networkSecurityGroup', 'id') !== undefined,
  },
  azurerm_role_assignment: { id: none, find: findRoleAssignment },
  // Azure does not know it. The next deployment creates it again.
  terraform_data: { id: none, adoption: 'again' },
};

/** How the provider differs from the general rule of a type. */
const exceptions: Readonly<Record<string, Partial<Rule>>> = {
  azurerm_resource_group: { id: (resource, values) => groupId(resource, values, 'name') },
  // Every server has each parameter from its creation, and the provider sets one without reading it first.
  azurerm_postgresql_flexible_server_configuration: { adoption: 'again' },
  azurerm_postgresql_flexible_server_virtual_endpoint: { find: findVirtualEndpoint },
  azurerm_monitor_diagnostic_setting: {
    importId: async (resource, values) =>
      joined(
        [await values.argument(resource, 'target_resource_id'), await values.argument(resource, 'name')],
        '|',
      ),
  },
};

const rules: ReadonlyMap<string, Rule> = new Map([
  ...Object.entries<ResourceType>(resourceTypes).flatMap(([type, { terraform }]): [string, Rule][] =>
    terraform
      ? [
          [
            terraform.type,
            { id: generalId(type as ResourceTypeName, terraform), ...exceptions[terraform.type] },
          ],
        ]
      : [],
  ),
  ...Object.entries(ofTerraformAlone),
]);

/** @throws Fault `adopt/unknown-resource-type` (exit 2) for a type that azure/resource-types.ts does not name */
export function ruleOf(type: string): Rule {
  const found = rules.get(type);
  if (found) return found;
  throw new Fault(
    'adopt/unknown-resource-type',
    `${type} cannot be looked up in Azure`,
    'its import id is not known here',
    'Import its resources by hand, and add the type to azure/resource-types.ts.',
    { exitCode: 2 },
  );
}

/** Types that have a rule here. */
export const knownTypes = (): readonly string[] => [...rules.keys()];

/** The values of a stack's arguments, with the ids of its resources from the rules here. */
export function valuesOf(stack: Stack, azure: Azure, tenantId?: string): Values {
  return new StackValues(
    stack,
    azure,
    (resource, values) => ruleOf(resource.type).id(resource, values),
    tenantId,
  );
}

/**
 * @returns undefined if Azure does not have it
 * @throws Fault (exit 2) if Azure does not answer
 */
export async function findInAzure(resource: StackResource, values: Values): Promise<Existing | undefined> {
  const rule = ruleOf(resource.type);
  if (rule.find) return rule.find(resource, values);
  const id = await values.id(resource);
  if (id === undefined) return undefined;
  const document = await values.azure.get(id);
  if (!document || rule.isThere?.(document) === false) return undefined;
  const importId = rule.importId ? await rule.importId(resource, values) : id;
  return importId === undefined ? undefined : { id, importId, document };
}

/**
 * `<group>/providers/<type with a name behind each segment>` for a type of a resource group, and
 * `<resource>/<last segment>/<name>` or `<resource>/providers/<type>/<name>` for a child or an extension.
 */
function generalId(type: ResourceTypeName, { on, named = ['name'] }: TerraformResource): Rule['id'] {
  const [namespace, ...segments] = type.split('/');
  return async (resource, values) => {
    const names = await Promise.all(named.map((name) => values.argument(resource, name)));
    if (on === undefined)
      return joined([
        await groupId(resource, values, 'resource_group_name'),
        'providers',
        namespace,
        ...segments.flatMap((segment, index) => [segment, names[index]]),
      ]);
    const path = segments.length > 1 ? segments.at(-1) : `providers/${type}`;
    return joined([await values.argument(resource, on), path, names[0]]);
  };
}

async function groupId(
  resource: StackResource,
  values: Values,
  argument: string,
): Promise<string | undefined> {
  const group = await values.argument(resource, argument);
  return group && `/subscriptions/${values.azure.subscriptionId}/resourceGroups/${group}`;
}

function joined(parts: readonly (string | undefined)[], separator = '/'): string | undefined {
  return parts.includes(undefined) ? undefined : parts.join(separator);
}

/** Its import id joins two ids, below the first server and below the second. A switchover moves it between them. */
async function findVirtualEndpoint(resource: StackResource, values: Values): Promise<Existing | undefined> {
  const name = await values.argument(resource, 'name');
  const ids: string[] = [];
  for (const argument of ['source_server_id', 'replica_server_id']) {
    const server = await values.argument(resource, argument);
    if (server === undefined || name === undefined) return undefined;
    ids.push(`${server}/virtualEndpoints/${name}`);
  }
  for (const id of ids) {
    const document = await values.azure.get(id);
    if (document) return { id, importId: ids.join('|'), document };
  }
  return undefined;
}
