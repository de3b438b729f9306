/** Real locks on a quick stage, without the two minutes for which azurerm watches each that it makes itself. */
import { lockType } from '../local/azure/core/locks.ts';
import type { How, Stage } from './stage/stage.ts';

/** What a quick stage deploys as well, once its locks are there. */
export const keep = ['azurerm_management_lock'] as const;

/** Locks the targets as a person would, and lets the state take the locks over: azurerm watches none of them then. */
export async function lockByHand(stage: Stage, how: How = { keep }): Promise<void> {
  const { azure, settings } = stage;
  const { resource } = JSON.parse(await stage.synthesized(how));
  const names: Readonly<Record<string, string | undefined>> = {
    server: settings.server.name,
    replica: settings.replica?.name,
    key_vault: settings.keyVault.name,
  };
  const imports: Record<string, string> = {};
  for (const [key, lock] of Object.entries<Record<string, string>>(resource.azurerm_management_lock)) {
    const name = names[key.replace('deletion_lock_', '')];
    const target = azure.state
      .list()
      .find((one) => one.name === name && /\/(?:flexibleServers|vaults)$/.test(one.type));
    if (!target) throw new Error(`nothing in Azure is what ${key} locks`);
    const { id } = azure.state.put(`${target.id}/providers/${lockType}/${lock['name']}`, {
      properties: { level: lock['lock_level'] ?? '', notes: lock['notes'] ?? '' },
    });
    imports[`azurerm_management_lock.${key}`] = id;
  }
  await stage.deployed({ imports }, 'locks that were made by hand are taken over');
}
