import { type JsonObject, textAt } from '../../../core/json.ts';

/** `East US` and `eastus` are the same place; a resource keeps the programmatic name. */
export function canonicalLocation(location: string): string {
  return location.toLowerCase().replaceAll(' ', '');
}

export function isSameRegion(one: JsonObject | undefined, other: JsonObject | undefined): boolean {
  const [first, second] = [one, other].map((body) => canonicalLocation(textAt(body, 'location') ?? ''));
  return first === second;
}
