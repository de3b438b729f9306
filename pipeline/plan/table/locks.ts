/**
 * Locks that stay: Azure refuses each deletion at or below one, and above one; below a ReadOnly lock every change.
 * https://learn.microsoft.com/azure/azure-resource-manager/management/lock-resources
 */
import { textAt } from '../../../core/json.ts';
import { lockType, parameterType } from '../context.ts';
import type { About, Judgement } from './row.ts';

/** Their destruction is no deletion in Azure: the provider writes what they belong to. */
const withoutDeletion = new RegExp(`^(?:${parameterType}|azurerm_key_vault_access_policy|.*_association)$`);

export function underLock({ change, context, server }: About): Judgement[] {
  if (change.type === lockType || change.mode === 'data') return [];
  const id = textAt(change.before, 'id');
  const locks = context.locksOn(id ?? server?.id);
  const deletes = ['delete', 'replace'].includes(change.action) && !withoutDeletion.test(change.type);
  const lock = locks.find(({ before }) => textAt(before, 'lock_level') === 'ReadOnly') ?? locks[0];
  if (lock && textAt(lock.before, 'lock_level') === 'ReadOnly')
    return [
      refused(`the lock ${lock.address} is ReadOnly, and Azure refuses every change below it (ScopeLocked)`),
    ];
  const deleting = deletes ? (lock ?? context.locksBelow(id)[0]) : undefined;
  return deleting
    ? [
        refused(
          `the lock ${deleting.address} stays, and Azure refuses to delete ${lock ? 'below' : 'above'} it (ScopeLocked): deploy with deletionLock lifted`,
        ),
      ]
    : [];
}

const refused = (says: string): Judgement => ({ impact: 'refused-by-azure', says });
