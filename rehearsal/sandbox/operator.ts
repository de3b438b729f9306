/** An operator with the portal or `az`, who changes Azure beside the deployments: by the same API, under the same rules. */

import { versionFor } from '../../azure/resource-types.ts';
import { isObject, type JsonObject, textAt } from '../../core/json.ts';
import { lockType } from '../../local/azure/core/locks.ts';
import { type LocalAzure, operationIdIn } from '../../local/azure/index.ts';
import type { DeployOptions, Sandbox } from './sandbox.ts';

export class Operator {
  constructor(
    readonly azure: LocalAzure,
    /** Client id of the identity that asks. @default - the one that deploys a sandbox */
    readonly clientId?: string,
  ) {}

  /**
   * Sends a request to the control plane, and waits for the operation that it starts.
   *
   * @throws Error with Azure's code and message if Azure refuses it or the operation fails
   */
  async send(method: string, id: string, body: JsonObject = {}): Promise<JsonObject> {
    const { azure } = this;
    const { directory, operations } = azure.azure;
    const principal = this.clientId === undefined ? undefined : directory.application(this.clientId);
    const token = await directory.issue('https://management.azure.com', principal);
    const answer = await azure.azure.dispatch({
      method,
      host: 'management.azure.com',
      path: id,
      query: new URLSearchParams({ 'api-version': versionFor(id) }),
      headers: { authorization: `Bearer ${token}` },
      body: Buffer.from(JSON.stringify(body)),
    });
    const document = isObject(answer.body) ? answer.body : {};
    if (answer.status >= 300)
      throw new Error(`${textAt(document, 'error', 'code')}: ${textAt(document, 'error', 'message')}`);
    const operation = operationIdIn(answer.headers?.['azure-asyncoperation']);
    const record = operation === undefined ? undefined : await operations.wait(operation);
    if (record?.error) throw new Error(`${record.error.code}: ${record.error.message}`);
    return document;
  }

  /** `az postgres flexible-server replica promote --promote-mode switchover --promote-option planned` */
  async switchOver(replica: string): Promise<void> {
    await this.send('PATCH', replica, {
      properties: { replica: { role: 'Primary', promoteMode: 'Switchover', promoteOption: 'Planned' } },
    });
  }

  /** `az postgres flexible-server replica promote --promote-mode standalone` */
  async promoteAlone(replica: string): Promise<void> {
    await this.send('PATCH', replica, {
      properties: { replica: { role: 'None', promoteMode: 'Standalone', promoteOption: 'Planned' } },
    });
  }

  /** `az postgres flexible-server parameter set` */
  async setParameter(server: string, name: string, value: string): Promise<void> {
    await this.send('PUT', `${server}/configurations/${name}`, {
      properties: { value, source: 'user-override' },
    });
  }

  /**
   * Removes every resource of a type at once, so that Terraform need not: the provider polls for a deleted resource, a
   * link of a DNS zone for two minutes.
   *
   * @param scope the resource that they lie on or in. @default - anywhere
   */
  removeAll(type: string, scope?: string): void {
    const { state } = this.azure;
    const within = scope === undefined ? state.list() : state.within(scope);
    const found = within.filter((one) => one.type.toLowerCase() === type.toLowerCase());
    if (found.length === 0) throw new Error(`Azure has no ${type} to remove`);
    for (const { id } of found) state.delete(id);
  }
}

/** Deploys locks in a quick sandbox too, once they exist. */
export const withLocks = ['azurerm_management_lock'] as const;

/**
 * Creates the environment's locks as a person would, and imports them into the state. azurerm polls a lock for two
 * minutes only if it created the lock itself, so a quick sandbox has real locks without that wait.
 */
export async function lockByHand(
  sandbox: Sandbox,
  options: DeployOptions = { include: withLocks },
): Promise<void> {
  const { azure, settings } = sandbox;
  const { resource } = JSON.parse(await sandbox.synthesized(options));
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
    if (!target) throw new Error(`Azure does not have the resource that ${key} locks`);
    const { id } = azure.state.put(`${target.id}/providers/${lockType}/${lock['name']}`, {
      properties: { level: lock['lock_level'] ?? '', notes: lock['notes'] ?? '' },
    });
    imports[`azurerm_management_lock.${key}`] = id;
  }
  await sandbox.assertDeploys({ imports }, 'a deployment takes over the locks that were made by hand');
}
