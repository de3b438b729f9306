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

const diagnosticSettings = 'microsoft.insights/diagnosticsettings';

/** Every resource that exists, by ARM id without regard to case. */
export class ResourceStore {
  readonly #resources: Map<string, Resource>;
  /** Diagnostic settings of deleted resources. */
  readonly #outliving: Map<string, Resource>;
  readonly #deletions = new Map<string, (resource: Resource) => void>();

  constructor(memory: Memory) {
    this.#resources = memory.map('resources');
    this.#outliving = memory.map('diagnosticSettingsOfDeleted');
  }

  /** Calls `note` before each resource of a type goes, alone or with its group. */
  beforeDeletion(type: string, note: (resource: Resource) => void): void {
    this.#deletions.set(type.toLowerCase(), note);
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
    if (!existing) this.#takeBack(id);
    return resource;
  }

  /**
   * Removes a resource and everything below it. Its diagnostic settings apply to a later resource of the same id:
   * https://learn.microsoft.com/azure/azure-monitor/platform/diagnostic-settings
   */
  delete(id: string): void {
    const gone = [...this.#resources].filter(([, resource]) => isWithin(resource.id, id));
    for (const [, resource] of gone) this.#deletions.get(resource.type.toLowerCase())?.(resource);
    for (const [key, resource] of gone) {
      this.#resources.delete(key);
      const asked = idKey(resource.id) === idKey(id);
      if (!asked && resource.type.toLowerCase() === diagnosticSettings) this.#outliving.set(key, resource);
    }
  }

  #takeBack(id: string): void {
    for (const [key, setting] of this.#outliving)
      if (idKey(parentOf(setting.id)) === idKey(id)) {
        this.#outliving.delete(key);
        this.#resources.set(key, setting);
      }
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
