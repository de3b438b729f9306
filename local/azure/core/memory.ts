/**
 * The whole state of the local Azure, in named maps. A snapshot of one deployment is the start of many experiments, in
 * this local Azure or in another one.
 */
import { deserialize, serialize } from 'node:v8';

/** The whole state at one moment; it may be written to a file. */
export type AzureSnapshot = Buffer;

export class Memory {
  readonly #maps = new Map<string, Map<string, unknown>>();

  /** The map of that name, the same one each time. Its values must be data: no functions, no classes. */
  map<Value>(name: string): Map<string, Value> {
    const map = this.#maps.get(name) ?? new Map<string, unknown>();
    this.#maps.set(name, map);
    return map as Map<string, Value>;
  }

  /** A copy of every map. */
  snapshot(): AzureSnapshot {
    return serialize(this.#maps);
  }

  /** Fills every map as it was, and removes everything added since. */
  restore(snapshot: AzureSnapshot): void {
    const kept: Map<string, Map<string, unknown>> = deserialize(snapshot);
    for (const map of this.#maps.values()) map.clear();
    for (const [name, entries] of kept)
      for (const [key, value] of entries) this.map<unknown>(name).set(key, value);
  }
}
