/** The key store of an application on connections of its own. */
import type pg from 'pg';
import type { ServerOptions, SharedOptions } from '../configuration/options.ts';
import { resolveServer } from '../configuration/server.ts';
import { Target } from '../pool/target.ts';
import { type KeyStore, keyStoreOf } from './key-store.ts';

/** Milliseconds that a statement of the store may take. */
const statementMs = 10_000;

export interface ServerKeyStore extends KeyStore {
  /** Ends its connections. */
  close(): Promise<void>;
}

/**
 * The store on at most two connections of its own, made like those of `Database`: verified, with a password or a credential.
 *
 * @param options the same as those of `new Database`
 * @throws ConfigurationError if the configuration is unusable
 */
export function keyStoreFor(
  options: ServerOptions & Pick<SharedOptions, 'applicationName' | 'breaker' | 'timeouts'>,
): ServerKeyStore {
  const { applicationName = 'llama_mapper', breaker = {}, timeouts = {} } = options;
  const target = new Target({
    ...{ server: resolveServer(options), kind: 'writer', name: 'keys', breaker, timeouts },
    ...{ applicationName: `${applicationName}_keys`, pool: { max: 2 } },
  });
  const store = keyStoreOf({
    async connect() {
      const connection = await target.acquire();
      return {
        query: (text: string, values?: unknown[]) =>
          connection.run(statementMs, () => connection.client.query(text, values)),
        release(error?: Error) {
          if (error) connection.destroy(error);
          target.release(connection);
        },
      } as unknown as pg.PoolClient;
    },
  });
  return { ...store, close: () => target.close(0) };
}
