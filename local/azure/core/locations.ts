/** `East US` and `eastus` are the same place; a resource keeps the programmatic name. */
export function canonicalLocation(location: string): string {
  return location.toLowerCase().replaceAll(' ', '');
}
