import { idKey, isWithin, nameOf, parentOf, typeOf } from '../../../azure/resource-id.ts';
import type { JsonObject } from '../../../core/json.ts';
import type { Memory } from './memory.ts';

/** One resource as Azure keeps it; `body` is all of its document except id, name and type. */
export interface Resource {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  body: JsonObject;
}

/** Every resource that exists, by ARM id without regard to case. */
export class ResourceStore {
  readonly #resources: Map<string, Resource>;

  constructor(memory: Memory) {
    this.#resources = memory.map('resources');
  }

  get(id: string | undefined): Resource | undefined {
    return id === undefined ? undefined : this.#resources.get(idKey(id));
  }

  /** Creates or replaces the whole document; the id keeps the spelling it was created with. */
  put(id: string, body: JsonObject): Resource {
    const existing = this.get(id);
    const resource: Resource = existing ?? { id, name: nameOf(id), type: typeOf(id), body };
    resource.body = body;
    this.#resources.set(idKey(id), resource);
    return resource;
  }

  /** Removes a resource and everything below it. */
  delete(id: string): void {
    for (const [key, resource] of this.#resources) if (isWithin(resource.id, id)) this.#resources.delete(key);
  }

  list(): Resource[] {
    return [...this.#resources.values()];
  }

  ofType(type: string): Resource[] {
    return this.list().filter((resource) => resource.type.toLowerCase() === type.toLowerCase());
  }

  /** Direct children of one type: `children(network, 'Microsoft.Network/virtualNetworks/subnets')`. */
  children(parent: string, type: string): Resource[] {
    return this.ofType(type).filter((resource) => idKey(parentOf(resource.id)) === idKey(parent));
  }

  /** Every resource inside a scope, the scope itself excluded. */
  within(scope: string): Resource[] {
    return this.list().filter(
      (resource) => isWithin(resource.id, scope) && idKey(resource.id) !== idKey(scope),
    );
  }
}

/** The document a client is given. */
export function toDocument(resource: Resource): JsonObject {
  return { id: resource.id, name: resource.name, type: resource.type, ...resource.body };
}
