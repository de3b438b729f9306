/**
 * Disk sizes of the Flexible Server, each with its performance tiers.
 *
 * Source: internal/services/postgres/validate/flexible_server_storage_tier.go of
 * https://github.com/hashicorp/terraform-provider-azurerm/tree/v4.55.0 (Premium SSD; v2 is not supported there).
 */
export const storageSource =
  'https://github.com/hashicorp/terraform-provider-azurerm/blob/v4.55.0/internal/services/postgres/validate/flexible_server_storage_tier.go';

const upToP50 = ['P4', 'P6', 'P10', 'P15', 'P20', 'P30', 'P40', 'P50'] as const;

function from(tier: (typeof upToP50)[number]): readonly string[] {
  return upToP50.slice(upToP50.indexOf(tier));
}

const tiersBySizeGb = new Map<number, readonly string[]>([
  [32, from('P4')],
  [64, from('P6')],
  [128, from('P10')],
  [256, from('P15')],
  [512, from('P20')],
  [1024, from('P30')],
  [2048, from('P40')],
  [4095, from('P50')],
  [4096, from('P50')],
  [8192, ['P60', 'P70', 'P80']],
  [16384, ['P70', 'P80']],
  [32767, ['P80']],
]);

/** Sizes that Azure sells, in GB, smallest first. */
export const storageSizesGb: readonly number[] = [...tiersBySizeGb.keys()];

/** Tiers of a disk of that size, the default first. Undefined if Azure does not sell the size. */
export function storageTiers(sizeGb: number): readonly string[] | undefined {
  return tiersBySizeGb.get(sizeGb);
}

/** Position of a tier among all, for comparisons. -1 for an unknown one. */
export function storageTierRank(tier: string): number {
  return [...upToP50, 'P60', 'P70', 'P80'].indexOf(tier);
}
