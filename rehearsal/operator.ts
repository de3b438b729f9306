/** Somebody with the portal or `az`, who changes Azure beside the deployments: by the same API, under the same rules. */

import { versionFor } from '../azure/resource-types.ts';
import { isObject, type JsonObject, textAt } from '../core/json.ts';
import { type LocalAzure, operationIdIn } from '../local/azure/index.ts';

export class Operator {
  constructor(readonly azure: LocalAzure) {}

  /**
   * Sends a request to the control plane, and waits for the operation that it starts.
   *
   * @throws Error with Azure's words when it refuses, or when the operation fails
   */
  async send(method: string, id: string, body: JsonObject = {}): Promise<JsonObject> {
    const { azure } = this;
    const { directory, operations } = azure.azure;
    const token = await directory.issue('https://management.azure.com');
    const answer = await azure.azure.dispatch({
      method,
      host: 'management.azure.com',
      path: id,
      query: new URLSearchParams({ 'api-version': versionFor(id) }),
      headers: { authorization: `Bearer ${token}` },
      body: Buffer.from(JSON.stringify(body)),
    });
    const said = isObject(answer.body) ? answer.body : {};
    if (answer.status >= 300)
      throw new Error(`${textAt(said, 'error', 'code')}: ${textAt(said, 'error', 'message')}`);
    const operation = operationIdIn(answer.headers?.['azure-asyncoperation']);
    const record = operation === undefined ? undefined : await operations.wait(operation);
    if (record?.error) throw new Error(`${record.error.code}: ${record.error.message}`);
    return said;
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
}
