import { TerraformResource, type TerraformStack } from 'cdktf';

/**
 * Ignores the tags that an Azure Policy adds to resources: every deployment would remove them, and the policy would add
 * them again. They are named one by one, because ignoring all tags would also ignore those of the settings. Azure compares
 * names of tags without regard to case, and keeps the first spelling, so lower and upper case are ignored too.
 */
export function leavePolicyTags(stack: TerraformStack, names: readonly string[]): void {
  if (names.length === 0) return;
  const spellings = names.flatMap((name) => [name, name.toLowerCase(), name.toUpperCase()]);
  const ignored = [...new Set(spellings)].map((name) => `tags[${JSON.stringify(name)}]`);
  for (const element of stack.node.findAll()) {
    if (!(element instanceof TerraformResource) || !('tags' in element)) continue;
    const before = element.lifecycle?.ignoreChanges ?? [];
    if (before === 'all') continue;
    element.lifecycle = { ...element.lifecycle, ignoreChanges: [...before, ...ignored] };
  }
}
