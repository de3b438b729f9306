/** The connection, the lock and the audited identity that all commands on data keys share. */

import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { type Connection, type ConnectOptions, withConnection } from '../connection.ts';
import { withLock } from '../migrator/lock.ts';
import type { Target } from '../target.ts';

/** Advisory lock of runs that change data keys; neither deployments nor maintenance wait for it. */
const keysLock = 7_241_865_325_823_966n;

export interface KeysOptions extends ConnectOptions {
  readonly reporter: Reporter;
  /** Seconds to wait for another run. @default 60 */
  readonly lockWaitSeconds?: number;
}

/** Connects and takes the lock. Changes are audited under the login's identity. */
export function changingKeys<Result>(
  target: Target,
  options: KeysOptions,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const { reporter, lockWaitSeconds } = options;
  const lock = {
    key: keysLock,
    reporter,
    ...(lockWaitSeconds === undefined ? {} : { waitSeconds: lockWaitSeconds }),
  };
  const connect = { applicationName: 'llama-db keys', ...options, session: 'maintenance' } as const;
  return withConnection(target, connect, async (connection) => {
    await requireKeys(connection);
    const { client, credential } = connection;
    await client.query("SELECT pg_catalog.set_config('app.current_user_id', $1, false)", [
      credential.executor,
    ]);
    return withLock(connection, lock, () => work(connection));
  });
}

/** @throws Fault (exit 2) before migration 0013 */
export async function requireKeys({ client, circumstances }: Connection): Promise<void> {
  const { rows } = await client.query<{ there: boolean }>(
    "SELECT pg_catalog.to_regclass('llama.data_keys') IS NOT NULL AS there",
  );
  if (rows[0]?.there === true) return;
  throw new Fault(
    'keys/table-missing',
    `${circumstances.target} has no data keys`,
    'table llama.data_keys of migration 0013 does not exist',
    'Deploy the environment, or run llama-db migrate, first.',
    { exitCode: 2 },
  );
}
