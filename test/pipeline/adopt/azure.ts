/** The local Azure as `adopt` asks it, without a network in between. */

import { versionFor } from '../../../azure/resource-types.ts';
import { isObject, objectsAt } from '../../../core/json.ts';
import type { LocalAzure } from '../../../local/azure/index.ts';
import type { Azure } from '../../../pipeline/adopt/azure.ts';

export function within(local: LocalAzure): Azure {
  const ask = async (path: string, query: Record<string, string> = {}) => {
    const { status, body } = await local.azure.dispatch({
      method: 'GET',
      host: 'management.azure.com',
      path,
      query: new URLSearchParams({ 'api-version': versionFor(path), ...query }),
      headers: { authorization: `Bearer ${await local.directory.issue('https://management.azure.com')}` },
      body: Buffer.alloc(0),
    });
    if (status === 404) return undefined;
    if (status !== 200 || !isObject(body)) throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`);
    return body;
  };
  return {
    subscriptionId: local.subscriptionId,
    get: (path) => ask(path),
    list: async (path, filter) =>
      objectsAt(await ask(path, filter === undefined ? {} : { $filter: filter }), 'value'),
    blob: () => Promise.reject(new Error('blobs are asked for over the network')),
  };
}
