/** Names that become host names are unique in all of Azure, and some words are reserved. */

import { reservedWordIn } from '../../../azure/reserved-names.ts';
import { general } from '../refusals/general.ts';
import type { Azure } from './context.ts';

/** @throws ArmError 400 ReservedResourceName */
export function refuseReservedName(name: string): void {
  if (reservedWordIn(name) !== undefined) throw general.reservedResourceName(name);
}

/** Whether a name, `postgres/name` or `vault/name`, belongs to another customer of Azure. */
export function isTakenElsewhere(azure: Azure, kind: 'postgres' | 'vault', name: string): boolean {
  return azure.memory.map<true>('takenNames').has(`${kind}/${name.toLowerCase()}`);
}
