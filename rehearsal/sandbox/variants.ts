/** Other values for a setting, chosen from the facts about Azure, whatever the settings are. */
import { regions } from '../../azure/regions.ts';
import { parseSku, type Sku, skus } from '../../azure/skus.ts';
import type { EnvironmentInput, EnvironmentSettings } from '../../environments/settings.ts';

/** Another region that offers the same: zones if this one has them, and a paired region if this one has one. */
export function anotherRegion({ location }: Pick<EnvironmentInput, 'location'>): string {
  const own = regions.find(({ name }) => name === location);
  const found = regions.find(
    ({ name, hasZones, pair }) =>
      name !== location &&
      pair !== location &&
      hasZones === own?.hasZones &&
      (pair === undefined) === (own?.pair === undefined),
  );
  if (!found) throw new Error(`no other region is like ${location}`);
  return found.name;
}

/** The next larger size of the same series, or of the same tier if the series has none. */
export function nextSize(sku: string): Sku {
  const own = parseSku(sku);
  // The series is the name without the number of vCores.
  const series = (name: string) => name.replace(/(?<=_[A-Z]+)\d+/, '');
  const tier = (name: string) => name.split('_')[0];
  const larger = skus.filter(({ vCores }) => own !== undefined && vCores > own.vCores);
  const found =
    larger.find(({ name }) => series(name) === series(sku)) ??
    larger.find(({ name }) => tier(name) === tier(sku));
  if (!found) throw new Error(`no size is larger than ${sku}`);
  return found;
}

/** Number of locks that an environment has with `deletionLock: 'inPlace'`: one per server, and one of its own vault. */
export function lockCount({ replica, keyVault }: Pick<EnvironmentSettings, 'replica' | 'keyVault'>): number {
  return 1 + (replica ? 1 : 0) + (keyVault.existing ? 0 : 1);
}
