import type { ITerraformDependable } from 'cdktf';

/**
 * Makes one resource of each item, each after the one before: Azure refuses a second change on a server that is
 * still busy with the first (ServerIsBusy, terraform-provider-azurerm#28298).
 *
 * @param after what the first waits for
 * @returns what whoever comes next must wait for: the last resource, or `after` when there are no items
 */
export function chained<Item>(
  items: readonly Item[],
  after: readonly ITerraformDependable[],
  make: (item: Item, dependsOn: ITerraformDependable[]) => ITerraformDependable,
): readonly ITerraformDependable[] {
  let last = after;
  for (const item of items) last = [make(item, [...last])];
  return last;
}
