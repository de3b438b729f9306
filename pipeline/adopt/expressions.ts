/**
 * The values of a stack's arguments. A value that Terraform computes during an apply, such as the principal of an
 * identity, is read from Azure.
 */
import { textAt } from '../../core/json.ts';
import type { Azure } from './azure.ts';
import type { Stack, StackResource } from './stack.ts';
import type { Values } from './types.ts';

const reference = /^(data\.)?(azurerm_[a-z0-9_]+)\.([A-Za-z0-9_-]+)\.(.+)$/;

/** Paths in Azure's documents, by the provider's name of the attribute. */
const attributes: Readonly<Record<string, readonly string[]>> = {
  principal_id: ['properties', 'principalId'],
  client_id: ['properties', 'clientId'],
  'identity[0].principal_id': ['identity', 'principalId'],
  location: ['location'],
};

export class StackValues implements Values {
  readonly #known = new Map<string, Promise<string | undefined>>();

  constructor(
    readonly stack: Stack,
    readonly azure: Azure,
    /** Azure id of a resource from its arguments. */
    readonly idOf: (resource: StackResource, values: Values) => Promise<string | undefined>,
    /** Tenant of the subscription. @default - expressions with it have no value */
    readonly tenantId?: string,
  ) {}

  async argument({ block }: StackResource, name: string): Promise<string | undefined> {
    const written = block[name];
    return typeof written === 'string' ? this.#evaluate(written) : undefined;
  }

  id(resource: StackResource): Promise<string | undefined> {
    return this.#once(`${resource.address}.id`, () => this.idOf(resource, this));
  }

  async #evaluate(text: string): Promise<string | undefined> {
    let result = '';
    // Every second part stood between `${` and `}`.
    for (const [index, part] of text.split(/\$\{([^}]*)\}/).entries()) {
      const value = index % 2 === 0 ? part : await this.#once(part, () => this.#resolve(part));
      if (value === undefined) return undefined;
      result += value;
    }
    return result;
  }

  async #resolve(expression: string): Promise<string | undefined> {
    const [, data = '', type = '', name = '', attribute = ''] = reference.exec(expression) ?? [];
    if (type === 'azurerm_client_config')
      return attribute === 'subscription_id' ? this.azure.subscriptionId : this.tenantId;
    const resource = this.stack.at(`${data}${type}.${name}`);
    if (!resource) return undefined;
    if (attribute === 'id') return this.id(resource);
    if (typeof resource.block[attribute] === 'string') return this.argument(resource, attribute);
    const path = attributes[attribute];
    const id = path && (await this.id(resource));
    if (path === undefined || id === undefined) return undefined;
    return textAt(await this.azure.get(id), ...path);
  }

  #once(key: string, work: () => Promise<string | undefined>): Promise<string | undefined> {
    const known = this.#known.get(key) ?? work();
    this.#known.set(key, known);
    return known;
  }
}
