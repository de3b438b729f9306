/** Settings whose names are as long as the rules allow. */
import type { EnvironmentInput } from '../../environments/settings.ts';
import { job } from '../environments/refused/job.ts';
import { changed } from '../environments/refused/row.ts';

/** A reproducible sequence of numbers from 0 to 1. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

/** A name of that length: letters and digits, with the given characters in between, never two of them in a row. */
function nameOf(next: () => number, length: number, between = '-'): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';
  const pick = (from: string) => from[Math.floor(next() * from.length)] ?? 'a';
  return Array.from({ length }, (_, at) =>
    at === 0 ? 'n' : at % 7 === 3 && at < length - 1 && between !== '' ? pick(between) : pick(letters),
  ).join('');
}

/** Settings with names of the greatest length that the rules allow. */
export function longest(base: EnvironmentInput, next: () => number): EnvironmentInput {
  const subnet = () => nameOf(next, 80, '-._');
  const hasDelegated = base.network.mode === 'virtualNetworkInjected';
  const side = (which: 'primary' | 'recovery') => ({
    [`network.${which}.virtualNetwork.name`]: nameOf(next, 64, '-._'),
    [`network.${which}.endpointSubnet.name`]: subnet(),
    ...(hasDelegated && { [`network.${which}.delegatedSubnet.name`]: subnet() }),
  });
  return changed(base, {
    'server.name': nameOf(next, 63),
    'replica.name': nameOf(next, 63),
    'virtualEndpoint.name': nameOf(next, 63),
    'resourceGroup.name': nameOf(next, 90, '-._()'),
    'recoveryResourceGroup.name': nameOf(next, 90, '-._()'),
    ...side('primary'),
    ...side('recovery'),
    'keyVault.name': nameOf(next, 24),
    'keyVault.fieldEncryptionKey.name': nameOf(next, 127),
    'logAnalytics.name': nameOf(next, 63),
    'monitoring.actionGroup.name': nameOf(next, 260),
    'longTermBackup.vaultName': nameOf(next, 50),
    'budget.name': nameOf(next, 63, '-._'),
    'database.name': nameOf(next, 63, '-_'),
    postDeployJob: {
      ...job('10.30.9.0/27'),
      name: nameOf(next, 32),
      subnet: { name: subnet(), range: '10.30.9.0/27' },
    },
  }) as EnvironmentInput;
}
