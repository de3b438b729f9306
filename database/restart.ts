/**
 * Static parameters take effect at a restart. Terraform sets them without one; here the servers restart once,
 * only when something is pending, and in the order that keeps the replica able to follow.
 */

import { parametersInheritedByStandby } from '../azure/parameters.ts';
import { otherRole, type ServerRole } from '../azure/vocabulary.ts';
import { Fault } from '../core/fault.ts';
import type { Reporter } from '../core/report.ts';
import { duration } from '../core/text.ts';
import { type AzureAccess, azureReason, parseResourceId, signedIn } from './azure-access.ts';
import { type Connection, type ConnectOptions, connect, withConnection } from './connection.ts';
import type { Deployment } from './deployment.ts';
import { standbyTarget, type Target } from './target.ts';

/** Restarts one server by its Azure resource id and returns when Azure says that it is done. */
export type RestartServer = (resourceId: string) => Promise<void>;

interface PendingParameter {
  readonly name: string;
  /** In the parameter's own unit, as it is in force. */
  readonly current: string;
}

interface PendingServer {
  readonly which: ServerRole;
  readonly target: Target;
  readonly parameters: readonly PendingParameter[];
}

/** Servers of the deployment that wait for a restart; a replica that cannot be asked is reported. */
export async function pendingRestarts(
  connection: Connection,
  reporter: Reporter,
): Promise<readonly PendingServer[]> {
  const { target } = connection;
  const writer = target.deployment?.writer ?? 'primary';
  const found: PendingServer[] = [{ which: writer, target, parameters: await pendingParameters(connection) }];
  const standby = standbyTarget(target);
  if (standby) {
    const which = otherRole(writer);
    const parameters = await askStandby(connection, standby, reporter);
    if (parameters) found.push({ which, target: standby, parameters });
  }
  return found.filter(({ parameters }) => parameters.length > 0);
}

/**
 * Restarts the servers that wait for it, one after the other, and checks that nothing is pending afterwards.
 *
 * @returns false when this target has no Azure resource ids: then it is only reported.
 * @throws Fault when the order cannot be right, Azure refuses, or something is still pending.
 */
export async function restart(
  pending: readonly PendingServer[],
  deployment: Deployment | undefined,
  options: ConnectOptions & { readonly reporter: Reporter; readonly restartServer?: RestartServer },
): Promise<boolean> {
  const { reporter, restartServer = (id) => restartThroughAzure(id) } = options;
  const ordered = inOrder(pending, deployment);
  const ids = ordered.map(({ which }) => deployment?.[which]?.id);
  if (ids.some((id) => id === undefined)) {
    for (const { which, parameters } of ordered) {
      reporter.warn(
        `The ${which} must be restarted for ${names(parameters)}; it is not known to Azure, so do it by hand`,
      );
    }
    return false;
  }
  for (const [index, server] of ordered.entries()) {
    const start = performance.now();
    reporter.line(`Restarting the ${server.which} for ${names(server.parameters)}`);
    await restartServer(ids[index] ?? '');
    await expectNothingPending(server, options);
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
  reporter: Reporter,
): Promise<readonly PendingParameter[] | undefined> {
  try {
    const options = { acceptStandby: true, attempts: 1, session: 'reading', credential } as const;
    return await withConnection(standby, options, async (connection) => {
      // Azure's certificates are for all of its servers: only the server itself says which one an address leads to.
      if (connection.inRecovery) return pendingParameters(connection);
      reporter.warn(`Replica ${standby.host} is not looked at: the given host address leads to the writer`);
      return undefined;
    });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    reporter.warn(`Replica ${standby.host} is not looked at: ${error.why}`);
    return undefined;
  }
}

/**
 * Whoever follows first when one of the inherited limits rises, whoever takes writes first when one falls; after a
 * switchover the follower is the server that the settings call the primary.
 *
 * @throws Fault when some rise and some fall, on two servers
 */
export function inOrder<Server extends Pick<PendingServer, 'which' | 'parameters'>>(
  pending: readonly Server[],
  deployment: Pick<Deployment, 'parameters' | 'writer'> | undefined,
): readonly Server[] {
  const changes = pending
    .flatMap(({ parameters }) => parameters)
    .filter(({ name }) => parametersInheritedByStandby.includes(name))
    .map(({ name, current }) => ({
      name,
      by: Number(deployment?.parameters[name] ?? current) - Number(current),
    }));
  const rising = changes.filter(({ by }) => by > 0);
  const falling = changes.filter(({ by }) => by < 0);
  if (pending.length > 1 && rising.length > 0 && falling.length > 0) {
    throw new Fault(
      'restart/1',
      `Restarting for ${names(rising)} and ${names(falling)} together cannot be done`,
      'what rises must reach the follower first and what falls the writer first (hot standby)',
      'Deploy the rising ones alone, then the falling ones.',
    );
  }
  const writer = deployment?.writer ?? 'primary';
  const follower = otherRole(writer);
  const first = rising.length > 0 ? follower : writer;
  return [...pending].sort((a, b) => Number(b.which === first) - Number(a.which === first));
}

/** Azure says "done" when the process is told, so the server is asked itself, for up to about two minutes. */
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
      'restart/2',
      `The ${server.which} ${server.target.host} still waits for a restart after one`,
      `pending: ${names(left)}`,
      'Look at its activity log (az monitor activity-log list); a failed restart is listed there.',
    );
  } finally {
    await connection.close();
  }
}

function names(parameters: readonly { readonly name: string }[]): string {
  // Of two servers that wait for the same, each says it.
  return [...new Set(parameters.map(({ name }) => name))].join(', ');
}

/** A plain restart: nothing found says that a planned failover applies pending parameters. */
export async function restartThroughAzure(resourceId: string, access?: AzureAccess): Promise<void> {
  const server = parseResourceId(resourceId);
  if (server?.type.toLowerCase() !== 'microsoft.dbforpostgresql/flexibleservers') {
    throw new Fault(
      'restart/3',
      `${resourceId} is not the id of a Flexible Server`,
      'it must be the id of a Microsoft.DBforPostgreSQL/flexibleServers in a resource group',
      'Deploy again with this version of the project.',
    );
  }
  // Loaded here because hardly any run restarts anything.
  const { PostgreSQLManagementFlexibleServerClient: Client } = await import('@azure/arm-postgresql-flexible');
  const { credential, options } = access ?? (await signedIn());
  try {
    const client = new Client(credential, server.subscription, options);
    await client.servers.beginRestartAndWait(server.group, server.name);
  } catch (error) {
    throw new Fault(
      'restart/4',
      `Azure did not restart ${server.name}`,
      azureReason(error),
      'The deploying identity needs Microsoft.DBforPostgreSQL/flexibleServers/restart/action; when the server is busy, run the command again.',
    );
  }
}
