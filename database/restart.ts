/**
 * Restarts servers whose static parameters are pending. Terraform sets such parameters without a restart. Here each
 * server restarts once, only if something is pending, and in the order in which the replica can still follow.
 */
import { setTimeout } from 'node:timers/promises';
import type pg from 'pg';
import { otherRole, type ServerRole } from '../azure/vocabulary.ts';
import { Fault } from '../core/fault.ts';
import type { Reporter } from '../core/report.ts';
import { duration } from '../core/text.ts';
import { type AzureAccess, azureReason, parseResourceId, signedIn } from './azure-access.ts';
import { type Connection, type ConnectOptions, connect, withConnection } from './connection.ts';
import type { Deployment } from './deployment.ts';
import { inOrder, names, type PendingParameter, refuseUnknownStandby } from './restart-order.ts';
import { standbyTarget, type Target } from './target.ts';

/** Restarts one server by its Azure resource id; returns once Azure reports the restart as done. */
export type RestartServer = (resourceId: string) => Promise<void>;

interface PendingServer {
  readonly which: ServerRole;
  readonly target: Target;
  readonly parameters: readonly PendingParameter[];
}

export interface PendingRestarts {
  readonly servers: readonly PendingServer[];
  readonly standby?: Target | undefined;
  /** Why the standby could not be inspected. */
  readonly unknown?: string;
}

/** Servers of the deployment with pending parameters. A replica that cannot be reached causes a warning. */
export async function pendingRestarts(connection: Connection, reporter: Reporter): Promise<PendingRestarts> {
  const { target } = connection;
  const writer = target.deployment?.writer ?? 'primary';
  const found: PendingServer[] = [{ which: writer, target, parameters: await pendingParameters(connection) }];
  const standby = standbyTarget(target);
  const answer = standby && (await askStandby(connection, standby));
  if (standby && answer && 'parameters' in answer)
    found.push({ which: otherRole(writer), target: standby, parameters: answer.parameters });
  const servers = found.filter(({ parameters }) => parameters.length > 0);
  if (!answer || !('unknown' in answer)) return { servers, standby };
  reporter.warn(`Replica ${standby?.host} is not inspected: ${answer.unknown}`);
  return { servers, standby, unknown: answer.unknown };
}

/**
 * Restarts the pending servers one after the other, and checks that nothing is pending afterwards.
 *
 * @returns false if the target has no Azure resource ids; pending servers are then only reported
 * @throws Fault if no order is right, if a limit rises and the standby is unknown, if the standby falls behind, if Azure
 * refuses, or if a parameter is still pending
 */
export async function restart(
  pending: PendingRestarts,
  deployment: Deployment | undefined,
  options: ConnectOptions & { readonly reporter: Reporter; readonly restartServer?: RestartServer },
): Promise<boolean> {
  const { reporter, restartServer = (id) => restartThroughAzure(id) } = options;
  const ordered = inOrder(pending.servers, deployment);
  refuseUnknownStandby(pending, deployment);
  const ids = ordered.map(({ which }) => deployment?.[which]?.id);
  if (ids.some((id) => id === undefined)) {
    for (const { which, parameters } of ordered) {
      reporter.warn(`Restart the ${which} by hand for ${names(parameters)}: it has no Azure resource id`);
    }
    return false;
  }
  for (const [index, server] of ordered.entries()) {
    const start = performance.now();
    reporter.line(`Restarting the ${server.which} for ${names(server.parameters)}`);
    await restartServer(ids[index] ?? '');
    await expectNothingPending(server, options);
    const next = ordered[index + 1];
    // A standby does not start with a limit below the one in the WAL that it has still to replay.
    if (next && next.target === pending.standby) await awaitReplay(server.target, next.target, options);
    reporter.line(`Restarted the ${server.which} (${duration(performance.now() - start)})`);
  }
  return true;
}

async function pendingParameters({ client }: Connection): Promise<readonly PendingParameter[]> {
  const { rows } = await client.query<PendingParameter>(
    'SELECT name, setting AS current FROM pg_catalog.pg_settings WHERE pending_restart ORDER BY name',
  );
  return rows;
}

async function askStandby(
  { credential }: Connection,
  standby: Target,
): Promise<{ readonly parameters: readonly PendingParameter[] } | { readonly unknown: string }> {
  try {
    const options = { acceptStandby: true, attempts: 1, session: 'reading', credential } as const;
    return await withConnection(standby, options, async (connection) =>
      // Azure's certificates are valid for all of its servers, so only the server shows which one an address reaches.
      connection.inRecovery
        ? { parameters: await pendingParameters(connection) }
        : { unknown: 'the given host address leads to the writer' },
    );
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { unknown: error.why };
  }
}

/** Azure reports the restart as done once it has begun, so poll the server itself, for up to about two minutes. */
async function expectNothingPending(server: PendingServer, options: ConnectOptions): Promise<void> {
  const connection = await connect(server.target, {
    ...options,
    database: server.target.database,
    acceptStandby: true,
    attempts: 9,
  });
  try {
    const left = await pendingParameters(connection);
    if (left.length === 0) return;
    throw new Fault(
      'restart/still-pending',
      `The ${server.which} ${server.target.host} still needs a restart after a restart`,
      `pending: ${names(left)}`,
      'Look for a failed restart in its activity log (az monitor activity-log list).',
    );
  } finally {
    await connection.close();
  }
}

/** Seconds that a standby may take to replay what its writer wrote until its restart was over. */
const replaySeconds = 120;

/** @throws Fault `restart/standby-behind` */
async function awaitReplay(writer: Target, standby: Target, options: ConnectOptions): Promise<void> {
  const ask = async (target: Target, work: (client: pg.Client) => Promise<void>) => {
    const connection = await connect(target, { ...options, database: target.database, acceptStandby: true });
    try {
      await work(connection.client);
    } finally {
      await connection.close();
    }
  };
  let written = '';
  await ask(writer, async (client) => {
    const { rows } = await client.query<{ lsn: string }>(
      'SELECT pg_catalog.pg_current_wal_insert_lsn()::text AS lsn',
    );
    written = rows[0]?.lsn ?? '';
  });
  await ask(standby, async (client) => {
    for (const end = Date.now() + replaySeconds * 1000; ; await setTimeout(500)) {
      const { rows } = await client.query<{ replayed: boolean }>(
        'SELECT pg_catalog.pg_last_wal_replay_lsn() >= $1::pg_catalog.pg_lsn AS replayed',
        [written],
      );
      if (rows[0]?.replayed) return;
      if (Date.now() < end) continue;
      throw new Fault(
        'restart/standby-behind',
        `Replica ${standby.host} is not restarted`,
        `it has not replayed the restart of its writer within ${replaySeconds} s, and would not start with a lower limit before that`,
        'Wait until the replica has caught up (pg_stat_replication on the writer) and deploy again.',
      );
    }
  });
}

/** Restarts without failover: no source states that a planned failover applies pending parameters. */
export async function restartThroughAzure(resourceId: string, access?: AzureAccess): Promise<void> {
  const server = parseResourceId(resourceId);
  if (server?.type.toLowerCase() !== 'microsoft.dbforpostgresql/flexibleservers') {
    throw new Fault(
      'restart/not-a-flexible-server',
      `${resourceId} is not the id of a Flexible Server`,
      'the deployment must name a Microsoft.DBforPostgreSQL/flexibleServers in a resource group',
      'Deploy again with this version of the project.',
    );
  }
  // Loaded on demand, because few runs restart a server.
  const { PostgreSQLManagementFlexibleServerClient: Client } = await import('@azure/arm-postgresql-flexible');
  const { credential, options } = access ?? (await signedIn());
  try {
    const client = new Client(credential, server.subscription, options);
    await client.servers.beginRestartAndWait(server.group, server.name);
  } catch (error) {
    throw new Fault(
      'restart/refused-by-azure',
      `Azure did not restart ${server.name}`,
      azureReason(error),
      'Grant the deploying identity Microsoft.DBforPostgreSQL/flexibleServers/restart/action. If the server is busy, run the command again.',
    );
  }
}
