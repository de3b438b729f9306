import type { ITerraformDependable } from 'cdktf';

/**
 * Creates one resource per item, each after the one before. Azure refuses a second change of a server that is still busy
 * with the first (ServerIsBusy, terraform-provider-azurerm#28298).
 *
 * @param after dependencies of the first resource
 * @returns dependencies of the next resource: the last one created, or `after` without items
 */
export function chained<Item>(
  items: readonly Item[],
  after: readonly ITerraformDependable[],
  create: (item: Item, dependsOn: ITerraformDependable[]) => ITerraformDependable,
): readonly ITerraformDependable[] {
  let last = after;
  for (const item of items) last = [create(item, [...last])];
  return last;
}
