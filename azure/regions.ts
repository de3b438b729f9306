/**
 * Azure's public regions: the paired region, which holds geo-redundant backups, and whether it has availability zones.
 *
 * Azure chooses the pair: the backups of a server in eastus are in westus, wherever its replica is.
 * Sources: https://learn.microsoft.com/azure/reliability/cross-region-replication-azure and
 * https://learn.microsoft.com/azure/reliability/regions-list
 */
export const regionsSource = 'https://learn.microsoft.com/azure/reliability/regions-list';

export interface Region {
  readonly name: string;
  /** @default - none, and the region offers no geo-redundant backup */
  readonly pair?: string;
  readonly hasZones: boolean;
}

function zonal(name: string, pair?: string): Region {
  return pair === undefined ? { name, hasZones: true } : { name, pair, hasZones: true };
}

function zoneless(name: string, pair: string): Region {
  return { name, pair, hasZones: false };
}

export const regions: readonly Region[] = [
  zonal('australiaeast', 'australiasoutheast'),
  zoneless('australiasoutheast', 'australiaeast'),
  zoneless('australiacentral', 'australiacentral2'),
  zoneless('australiacentral2', 'australiacentral'),
  zonal('austriaeast'),
  zonal('belgiumcentral'),
  zonal('brazilsouth', 'southcentralus'),
  zoneless('brazilsoutheast', 'brazilsouth'),
  zonal('canadacentral', 'canadaeast'),
  zoneless('canadaeast', 'canadacentral'),
  zonal('centralindia', 'southindia'),
  zoneless('southindia', 'centralindia'),
  zoneless('westindia', 'southindia'),
  zoneless('jioindiacentral', 'jioindiawest'),
  zoneless('jioindiawest', 'jioindiacentral'),
  zonal('centralus', 'eastus2'),
  zonal('chilecentral'),
  zonal('eastasia', 'southeastasia'),
  zonal('southeastasia', 'eastasia'),
  zonal('eastus', 'westus'),
  zonal('eastus2', 'centralus'),
  zonal('francecentral', 'francesouth'),
  zoneless('francesouth', 'francecentral'),
  zonal('germanywestcentral', 'germanynorth'),
  zoneless('germanynorth', 'germanywestcentral'),
  zonal('indonesiacentral'),
  zonal('israelcentral'),
  zonal('italynorth'),
  zonal('japaneast', 'japanwest'),
  zonal('japanwest', 'japaneast'),
  zonal('koreacentral', 'koreasouth'),
  zoneless('koreasouth', 'koreacentral'),
  zonal('malaysiawest'),
  zonal('mexicocentral'),
  zonal('newzealandnorth'),
  zoneless('northcentralus', 'southcentralus'),
  zonal('southcentralus', 'northcentralus'),
  zonal('northeurope', 'westeurope'),
  zonal('westeurope', 'northeurope'),
  zonal('norwayeast', 'norwaywest'),
  zoneless('norwaywest', 'norwayeast'),
  zonal('polandcentral'),
  zonal('qatarcentral'),
  zonal('southafricanorth', 'southafricawest'),
  zoneless('southafricawest', 'southafricanorth'),
  zonal('spaincentral'),
  zonal('swedencentral', 'swedensouth'),
  zoneless('swedensouth', 'swedencentral'),
  zonal('switzerlandnorth', 'switzerlandwest'),
  zoneless('switzerlandwest', 'switzerlandnorth'),
  zonal('uaenorth', 'uaecentral'),
  zoneless('uaecentral', 'uaenorth'),
  zonal('uksouth', 'ukwest'),
  zoneless('ukwest', 'uksouth'),
  zoneless('westcentralus', 'westus2'),
  zoneless('westus', 'eastus'),
  zonal('westus2', 'westcentralus'),
  zonal('westus3', 'eastus'),
];

/** Where the copies of data are, beside three in the region itself. */
export interface Redundancy {
  /** In three zones of the region, not in one site. */
  readonly zones: boolean;
  /** In the paired region as well. */
  readonly pair: boolean;
}

/** The most redundancy that a region offers. An unknown region offers none. */
export function redundancyOf(location: string): Redundancy {
  const found = region(location);
  return { zones: found?.hasZones === true, pair: found?.pair !== undefined };
}

const byName = new Map(regions.map((one) => [one.name, one]));

/** The region by its programmatic name (`eastus`). Undefined if it is not a known public region. */
export function region(name: string): Region | undefined {
  return byName.get(name);
}
