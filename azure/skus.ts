/**
 * Compute sizes of the Flexible Server, as azurerm accepts them, each with the first version that does.
 *
 * Grammar: internal/services/postgres/validate/flexible_server_sku_name.go of
 * https://github.com/hashicorp/terraform-provider-azurerm/tree/v4.55.0, v4.70.0
 * (confidential sizes: DC and EC) and v4.79.0 (v6), the same in v5.2.0.
 * Memory and default connections: https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-limits
 */
import type { Tier } from './vocabulary.ts';

export const skusSource =
  'https://github.com/hashicorp/terraform-provider-azurerm/blob/v4.55.0/internal/services/postgres/validate/flexible_server_sku_name.go';

export const connectionsSource =
  'https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-limits';

export interface Sku {
  readonly name: string;
  readonly tier: Tier;
  /** Size as Azure's API spells it: the name without the tier's prefix. */
  readonly size: string;
  readonly vCores: number;
  readonly memoryGb: number;
  /**
   * `max_connections` of a server *created* with this size. Scaling does not change it, so a scaled server needs the
   * parameter set (https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-limits).
   */
  readonly maxConnectionsDefault: number;
  /** First version of azurerm that accepts it. @default - 4.55.0 or earlier */
  readonly from?: string;
}

/** Slots of `max_connections` for Azure's own roles: `reserved_connections` 5, `superuser_reserved_connections` 10. */
export const reservedConnections = 15;

const burstableMemoryGb: Readonly<Record<string, number>> = {
  B1ms: 2,
  B2s: 4,
  B2ms: 8,
  B4ms: 16,
  B8ms: 32,
  B12ms: 48,
  B16ms: 64,
  B20ms: 80,
};

interface Series {
  readonly tier: Tier;
  readonly prefix: 'GP' | 'MO';
  readonly family: 'D' | 'DC' | 'E' | 'EC';
  readonly suffix: string;
  readonly vCores: readonly number[];
  readonly memoryPerVCore: number;
  /** Memory of the sizes that deviate from `memoryPerVCore`, by vCores. */
  readonly memoryGb?: Readonly<Record<number, number>>;
  /** First version of azurerm that accepts it. @default - 4.55.0 or earlier */
  readonly from?: string;
}

const series: readonly Series[] = [
  ...(
    [
      ['s_v3', [2, 4, 8, 16, 32, 48, 64]],
      ['ds_v4', [2, 4, 8, 16, 32, 48, 64]],
      ['ds_v5', [2, 4, 8, 16, 32, 48, 64, 96]],
      ['ads_v5', [2, 4, 8, 16, 32, 48, 64, 96]],
    ] as const
  ).map(
    ([suffix, vCores]): Series => ({
      tier: 'GeneralPurpose',
      prefix: 'GP',
      family: 'D',
      suffix,
      vCores,
      memoryPerVCore: 4,
    }),
  ),
  ...(
    [
      ['s_v3', [2, 4, 8, 16, 20, 32, 48, 64], { 64: 432 }],
      ['ds_v4', [2, 4, 6, 8, 16, 20, 32, 48, 64], { 64: 504 }],
      ['ds_v5', [2, 4, 8, 16, 20, 32, 48, 64, 96], { 96: 672 }],
      ['ads_v5', [2, 4, 8, 16, 32, 48, 64, 96], { 96: 672 }],
    ] as const
  ).map(
    ([suffix, vCores, memoryGb]): Series => ({
      tier: 'MemoryOptimized',
      prefix: 'MO',
      family: 'E',
      suffix,
      vCores,
      memoryPerVCore: 8,
      memoryGb,
    }),
  ),
  ...newer('GP', 'D', '4.79.0', ['ds_v6'], [2, 4, 8, 16, 32, 48, 64, 96]),
  ...newer('MO', 'E', '4.79.0', ['ds_v6'], [2, 4, 8, 16, 32, 48, 64, 96]),
  ...newer('GP', 'DC', '4.70.0', ['ads_v5'], [2, 4, 8, 16, 32, 48, 64, 96]),
  ...newer('MO', 'EC', '4.70.0', ['ads_v5', 'as_v5'], [2, 4, 8, 16, 20, 32, 48, 64, 96]),
];

function newer(
  prefix: Series['prefix'],
  family: Series['family'],
  from: string,
  suffixes: readonly string[],
  vCores: readonly number[],
): Series[] {
  const [tier, memoryPerVCore] =
    prefix === 'GP' ? (['GeneralPurpose', 4] as const) : (['MemoryOptimized', 8] as const);
  return suffixes.map((suffix) => ({ tier, prefix, family, suffix, vCores, memoryPerVCore, from }));
}

/** `max_connections` of a new server, by the memory from which it applies (table of Azure's limits page). */
const connectionsFromMemoryGb: readonly (readonly [memoryGb: number, connections: number])[] = [
  [0, 50],
  [4, 429],
  [8, 859],
  [16, 1718],
  [32, 3437],
  [48, 5000],
];

/** `max_connections` that Azure gives a new server with this much memory. */
export function defaultMaxConnections(memoryGb: number): number {
  return connectionsFromMemoryGb.findLast(([from]) => memoryGb >= from)?.[1] ?? 0;
}

function sku(prefix: string, tier: Tier, size: string, vCores: number, memoryGb: number, from?: string): Sku {
  return {
    name: `${prefix}_Standard_${size}`,
    tier,
    size: `Standard_${size}`,
    vCores,
    memoryGb,
    maxConnectionsDefault: defaultMaxConnections(memoryGb),
    ...(from !== undefined && { from }),
  };
}

/** Every size, Burstable first, small before large within a series. */
export const skus: readonly Sku[] = [
  ...Object.entries(burstableMemoryGb).map(([size, memoryGb]) =>
    sku('B', 'Burstable', size, Number(/\d+/.exec(size)?.[0]), memoryGb),
  ),
  ...series.flatMap((one) =>
    one.vCores.map((vCores) =>
      sku(
        one.prefix,
        one.tier,
        `${one.family}${vCores}${one.suffix}`,
        vCores,
        one.memoryGb?.[vCores] ?? vCores * one.memoryPerVCore,
        one.from,
      ),
    ),
  ),
];

const byName = new Map(skus.map((one) => [one.name, one]));

/** The size by its name (`GP_Standard_D4s_v3`). Undefined if every azurerm refuses the name. */
export function parseSku(name: string): Sku | undefined {
  return byName.get(name);
}
