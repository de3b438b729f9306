/**
 * Management locks are inherited by everything below the locked resource.
 * https://learn.microsoft.com/azure/azure-resource-manager/management/lock-resources
 */

import { isWithin, parentOf, sameId } from '../../../azure/resource-id.ts';
import { textAt } from '../../../core/json.ts';
import { general } from '../refusals/general.ts';
import type { Azure } from './context.ts';

export const lockType = 'Microsoft.Authorization/locks';

/** @throws ArmError 409 ScopeLocked */
export function refuseWhenLocked(azure: Azure, id: string, action: 'write' | 'delete'): void {
  for (const lock of azure.store.ofType(lockType)) {
    if (sameId(lock.id, id) || /\/providers\/microsoft\.authorization\/locks\//i.test(id)) continue;
    const scope = parentOf(lock.id);
    const level = textAt(lock.body, 'properties', 'level');
    if (!isWithin(id, scope) || (action === 'write' && level !== 'ReadOnly')) continue;
    throw general.scopeLocked(id, action, scope);
  }
}
