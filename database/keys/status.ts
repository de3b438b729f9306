/** `llama-db keys status`: the data keys, the wrapping keys that wrap them, and the commands that are due. */

import type { Reporter } from '../../core/report.ts';
import { type KeyState, valuesPerKey } from '../../runtime/encryption/key-store.ts';
import type { Purpose, WrappingAlgorithm, WrappingKey } from '../../runtime/encryption/wrapping-key.ts';
import { type ConnectOptions, withConnection } from '../connection.ts';
import type { Target } from '../target.ts';
import { asAdministrator } from './administrator.ts';
import { requireKeys } from './session.ts';

export interface StatusOptions extends ConnectOptions {
  readonly reporter: Reporter;
  /** The wrapping key whose newest version is requested. @default - none; keys under an older version are not counted */
  readonly wrapping?: WrappingKey;
  /** Days after which a data key is due to be replaced. @default 365 */
  readonly maxKeyAgeDays?: number;
}

export interface WrappingUse {
  readonly wrappingKey: string;
  readonly version: string;
  readonly algorithm: WrappingAlgorithm;
  readonly keys: number;
  /** Undefined without `wrapping`. */
  readonly newest: boolean | undefined;
}

export interface KeysStatus {
  readonly target: string;
  readonly tenants: number;
  readonly keys: readonly { readonly purpose: Purpose; readonly state: KeyState; readonly count: number }[];
  readonly wrapping: readonly WrappingUse[];
  /** Data keys for `llama-db keys rewrap`. Undefined without `wrapping`. */
  readonly toRewrap: number | undefined;
  /** Tenants whose key is too old, or has reserved half of its limit of values. */
  readonly toRotate: number;
  /** Keys whose values are still being moved to a newer one. */
  readonly retiring: number;
}

export function keysStatus(target: Target, options: StatusOptions): Promise<KeysStatus> {
  const { wrapping, maxKeyAgeDays = 365 } = options;
  const connect = { applicationName: 'llama-db keys', ...options, session: 'reading' } as const;
  return withConnection(target, connect, async (connection) => {
    await requireKeys(connection);
    const newest = await wrapping?.newest(true);
    const { client } = connection;
    return asAdministrator(client, async () => {
      const { rows: keys } = await client.query<KeysStatus['keys'][number]>(
        'SELECT purpose, state, count(*)::int AS count FROM llama.data_keys GROUP BY 1, 2 ORDER BY 1, 2',
      );
      const { rows: uses } = await client.query<Omit<WrappingUse, 'newest'>>(
        `SELECT wrapping_key AS "wrappingKey", wrapping_key_version AS version, algorithm, count(*)::int AS keys
           FROM llama.data_keys WHERE wrapped IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, min(wrapped_at)`,
      );
      const { rows } = await client.query<{ tenants: number; due: number }>(
        `SELECT count(DISTINCT tenant_id)::int AS tenants,
                count(*) FILTER (WHERE purpose = 'encryption' AND state = 'active'
                  AND (created_at < now() - make_interval(days => $1) OR values_reserved >= $2::bigint))::int AS due
           FROM llama.data_keys`,
        [maxKeyAgeDays, valuesPerKey / 2],
      );
      const wraps = uses.map((use) => ({
        ...use,
        newest: newest === undefined ? undefined : use.wrappingKey === wrapping?.id && use.version === newest,
      }));
      return {
        target: connection.circumstances.target,
        tenants: rows[0]?.tenants ?? 0,
        keys,
        wrapping: wraps,
        toRewrap:
          newest === undefined
            ? undefined
            : wraps.filter((use) => !use.newest).reduce((sum, use) => sum + use.keys, 0),
        toRotate: rows[0]?.due ?? 0,
        retiring: keys.filter(({ state }) => state === 'retiring').reduce((sum, { count }) => sum + count, 0),
      };
    });
  });
}

/** Whether `rewrap` or `rotate` should run. */
export function isDue({ toRewrap = 0, toRotate, retiring }: KeysStatus): boolean {
  return toRewrap > 0 || toRotate > 0 || retiring > 0;
}

/** Lines for a person. */
export function describeKeys(status: KeysStatus): string {
  const { tenants, keys, wrapping, toRewrap, toRotate, retiring } = status;
  const plural = (count: number, one: string) => `${count} ${count === 1 ? one : `${one}s`}`;
  return [
    `${plural(tenants, 'tenant')} with data keys`,
    ...keys.map(({ purpose, state, count }) => `  ${purpose}, ${state}: ${count}`),
    ...wrapping.map(({ wrappingKey, version, algorithm, keys: count, newest }) => {
      const age = newest === undefined ? '' : newest ? ', newest version' : ', older version';
      return `Wrapped by ${wrappingKey} version ${version} (${algorithm}${age}): ${count}`;
    }),
    ...(toRewrap === undefined ? ['Whether a newer version of the wrapping key exists was not asked'] : []),
    ...(toRewrap ? [`Due: llama-db keys rewrap, for ${plural(toRewrap, 'data key')}`] : []),
    ...(toRotate > 0 ? [`Due: llama-db keys rotate, for ${plural(toRotate, 'tenant')}`] : []),
    ...(retiring > 0
      ? [`Due: llama-db keys rotate, to move what ${plural(retiring, 'key')} still holds to a newer one`]
      : []),
    ...(isDue(status) ? [] : ['Nothing is due']),
  ].join('\n');
}
