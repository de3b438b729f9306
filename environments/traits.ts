/** Traits of environments. Rehearsals and tests choose an environment by its traits, and none by its name. */
import { region } from '../azure/regions.ts';
import { parseSku } from '../azure/skus.ts';
import { majorVersions } from '../azure/versions.ts';
import type { EnvironmentInput } from './settings.ts';

interface TraitRule {
  /** Completes "an environment with …". */
  readonly words: string;
  readonly has: (input: EnvironmentInput) => boolean;
}

function defineTraits<const Name extends string>(
  rules: Readonly<Record<Name, TraitRule>>,
): Readonly<Record<Name, TraitRule>> {
  return rules;
}

const supported = majorVersions.filter((one) => one.supported).map((one) => one.version);
const [oldest, newest] = [Math.min(...supported), Math.max(...supported)];
const version = ({ version = 17 }: EnvironmentInput['server']) => version;

export const traits = defineTraits({
  replica: { words: 'a replica', has: ({ replica }) => replica !== undefined },
  noReplica: { words: 'no replica', has: ({ replica }) => replica === undefined },
  virtualEndpoint: {
    words: 'a virtual endpoint',
    has: ({ virtualEndpoint }) => virtualEndpoint !== undefined,
  },
  standby: { words: 'a standby', has: ({ server }) => server.highAvailability !== undefined },
  zoneRedundant: {
    words: 'a standby in another zone',
    has: ({ server }) => server.highAvailability?.mode === 'ZoneRedundant',
  },
  zones: {
    words: 'a region with availability zones',
    has: ({ location }) => region(location)?.hasZones === true,
  },
  burstable: { words: 'a Burstable server', has: ({ server }) => parseSku(server.sku)?.tier === 'Burstable' },
  lock: { words: "deletionLock: 'inPlace'", has: ({ protection }) => protection.deletionLock === 'inPlace' },
  preventDestroy: { words: 'preventDestroy: true', has: ({ protection }) => protection.preventDestroy },
  protected: {
    words: 'a lock or preventDestroy: true',
    has: ({ protection: { deletionLock, preventDestroy } }) => deletionLock !== 'none' || preventDestroy,
  },
  unprotected: {
    words: "deletionLock: 'none' and preventDestroy: false",
    has: ({ protection: { deletionLock, preventDestroy } }) => deletionLock === 'none' && !preventDestroy,
  },
  remoteState: { words: 'a state in a storage account', has: ({ state }) => state.backend === 'azurerm' },
  localState: { words: 'a local state', has: ({ state }) => state.backend === 'local' },
  longTermBackup: {
    words: 'weekly backups',
    has: ({ longTermBackup }) => longTermBackup !== undefined,
  },
  privateEndpoint: {
    words: "network.mode: 'privateEndpoint'",
    has: ({ network }) => network.mode === 'privateEndpoint',
  },
  newGroup: { words: 'a resource group of its own', has: ({ resourceGroup }) => !resourceGroup.existing },
  autoGrow: { words: 'storage.autoGrow', has: ({ server }) => server.storage.autoGrow !== false },
  shrinkableDisk: { words: 'a disk above 32 GB', has: ({ server }) => server.storage.sizeGb > 32 },
  upgradable: { words: 'a PostgreSQL before the newest', has: ({ server }) => version(server) < newest },
  upgraded: { words: 'a PostgreSQL after the oldest', has: ({ server }) => version(server) > oldest },
  passwordlessLogin: {
    words: 'password login off',
    has: ({ server }) => server.authentication.passwordLogin !== true,
  },
});

export type Trait = keyof typeof traits;

export interface Wanted {
  /** Traits that the environment must have. */
  readonly needs: readonly Trait[];
  /** Traits of which it has as many as possible. @default - none */
  readonly prefers?: readonly Trait[] | undefined;
}

/** Names of the environments with all needed traits: those with most preferred ones first, else in order of promotion. */
export function namesWith<Name extends string>(
  inputs: Readonly<Record<Name, EnvironmentInput>>,
  { needs, prefers = [] }: Wanted,
): readonly Name[] {
  const count = (name: Name, wanted: readonly Trait[]) =>
    wanted.filter((trait) => traits[trait].has(inputs[name])).length;
  return (Object.keys(inputs) as Name[])
    .filter((name) => count(name, needs) === needs.length)
    .sort((one, other) => count(other, prefers) - count(one, prefers));
}

/** `a replica, weekly backups` */
export function describeTraits(names: readonly Trait[]): string {
  return names.map((name) => traits[name].words).join(', ');
}
