/** Restart, stop and start of a server, and incidents. */
import { storageSizesGb, storageTiers } from '../../../../azure/storage.ts';
import { at, type JsonObject, merge, numberAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import type { AzureRequest, AzureResponse } from '../../core/http.ts';
import { jsonBody } from '../../core/json-body.ts';
import { refuseWhenLocked } from '../../core/locks.ts';
import type { Resource } from '../../core/resource-store.ts';
import { notFound, refuseUnknownProperties } from '../../core/resource-types.ts';
import { server as refusals } from '../../refusals/flexible-server.ts';
import type { ServerEvents } from './events.ts';
import { applyPending } from './parameters.ts';
import { namespace, property, refuseUnlessReady, serverType, stateOf } from './server.ts';

export function registerActions(azure: Azure, events: ServerEvents): void {
  const action = (
    verb: string,
    handler: (server: Resource, request: AzureRequest) => Pick<Started, 'state' | 'effect'>,
  ) =>
    azure.router.on(
      'POST',
      `${namespace}/flexibleServers/{server}/${verb}`,
      ({ request }) => {
        const id = request.path.slice(0, request.path.lastIndexOf('/'));
        const server = azure.store.get(id);
        if (!server) throw notFound(azure, id);
        // A ReadOnly lock refuses every POST: https://learn.microsoft.com/azure/azure-resource-manager/management/lock-resources
        refuseWhenLocked(azure, server.id, 'write');
        azure.operations.refuseWhenBusy([server.id]);
        return started(azure, { request, server, ...handler(server, request) });
      },
      { type: serverType },
    );

  action('restart', (server, request) => {
    const sent = jsonBody(request);
    refuseUnknownProperties(sent, { restartWithFailover: 'any', failoverMode: 'any' }, 'a restart');
    refuseUnlessReady(server);
    const failover = at(sent, 'restartWithFailover') === true;
    if (failover) refuseWithoutStandby(server);
    return { state: 'Restarting', effect: () => restarted(azure, server, failover, events) };
  });
  action('stop', (server) => {
    refuseUnlessReady(server);
    return {
      state: 'Stopping',
      effect: async () => {
        await events({ kind: 'stopped', server: server.id });
        return 'Stopped';
      },
    };
  });
  action('start', (server) => {
    if (stateOf(server.body) !== 'Stopped') throw refusals.notStopped(server.name, stateOf(server.body));
    return {
      state: 'Starting',
      effect: async () => {
        applyPending(azure, server.id);
        await events({ kind: 'started', server: server.id });
        return 'Ready';
      },
    };
  });
}

interface Started {
  readonly request: AzureRequest;
  readonly server: Resource;
  /** State while the operation runs. */
  readonly state: string;
  /** @returns the state afterwards */
  readonly effect: () => Promise<string>;
}

function started(azure: Azure, { request, server, state, effect }: Started): AzureResponse {
  const { operations } = azure;
  const before = stateOf(server.body);
  const show = (next: string) => {
    server.body = merge(server.body, { properties: { state: next } });
  };
  const operation = operations.start({
    method: 'POST',
    target: request.path,
    busyOn: [server.id],
    effect: async () => show(await effect()),
    failed: () => show(before),
  });
  show(state);
  return { status: 202, headers: operations.pollingHeaders(operation, request) };
}

function refuseWithoutStandby(server: Resource): void {
  if (property(server.body, 'highAvailability', 'mode') === 'Disabled')
    throw refusals.failoverWithoutStandby(server.name);
}

async function restarted(
  azure: Azure,
  server: Resource,
  failover: boolean,
  events: ServerEvents,
): Promise<string> {
  if (failover) server.body = withZonesSwapped(server.body);
  await events({ kind: 'restarted', server: server.id, failover });
  applyPending(azure, server.id);
  return 'Ready';
}

/** The zones of a server and its standby after a failover. */
function withZonesSwapped(body: JsonObject): JsonObject {
  return merge(body, {
    properties: {
      availabilityZone: at(body, 'properties', 'highAvailability', 'standbyAvailabilityZone') ?? null,
      highAvailability: { standbyAvailabilityZone: at(body, 'properties', 'availabilityZone') ?? null },
    },
  });
}

/** Changes of a server that Azure makes by itself, without a request or an operation. */
export interface Incidents {
  /**
   * The primary fails, and its standby takes over in its own zone.
   * https://learn.microsoft.com/azure/reliability/reliability-postgresql-flexible-server, "Unplanned failover"
   */
  failOver(server: string): Promise<void>;
  /**
   * A nearly full disk doubles if auto-grow is on.
   * https://learn.microsoft.com/azure/postgresql/scale-compute-storage/concepts-storage-autogrow
   */
  growDisk(server: string): void;
}

export function incidents(azure: Azure, events: ServerEvents): Incidents {
  const find = (id: string): Resource => {
    const server = azure.store.get(id);
    if (!server) throw notFound(azure, id);
    return server;
  };
  return {
    async failOver(id) {
      const server = find(id);
      refuseWithoutStandby(server);
      await restarted(azure, server, true, events);
    },
    growDisk(id) {
      const server = find(id);
      const size = numberAt(server.body, 'properties', 'storage', 'storageSizeGB') ?? 0;
      const [next] = storageSizesGb.filter((one) => one >= size * 2);
      const grows = property(server.body, 'storage', 'autoGrow') === 'Enabled';
      // It never grows across 4,095 GB: "limitations" of the same page.
      if (!grows || next === undefined || (size <= 4096 && next > 4096))
        throw refusals.diskDoesNotGrow(server.name, size);
      server.body = merge(server.body, {
        properties: { storage: { storageSizeGB: next, tier: storageTiers(next)?.[0] } },
      });
    },
  };
}
