/**
 * Deleted servers, whose last backup Azure keeps for five days.
 * https://learn.microsoft.com/azure/postgresql/backup-restore/how-to-restore-deleted-server
 */

import type { JsonObject } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import type { Resource } from '../../core/resource-store.ts';
import { replicas as refusals } from '../../refusals/replicas.ts';
import { property, serverType } from './server.ts';

const keptFor = 5 * 24 * 60 * 60 * 1000;

interface Dropped {
  readonly server: Resource;
  /** Databases, Entra administrators and parameters. */
  readonly children: readonly Resource[];
  readonly at: number;
}

const memory = (azure: Azure) => azure.memory.map<Dropped>('droppedServers');

export function noteDropped(azure: Azure, server: Resource): void {
  const children = ['databases', 'administrators', 'configurations'].flatMap((type) =>
    azure.store.children(server.id, `${serverType}/${type}`),
  );
  memory(azure).set(server.id.toLowerCase(), structuredClone({ server, children, at: azure.clock.now() }));
}

/** The deleted server that a request revives. @throws ArmError if it is not kept, or not for that time */
export function droppedSource(azure: Azure, sent: JsonObject, name: string): Dropped {
  const id = property(sent, 'sourceServerResourceId') ?? '';
  const found = memory(azure).get(id.toLowerCase());
  if (!found || azure.clock.now() - found.at > keptFor) throw refusals.sourceNotFound(id, name);
  const earliest = property(found.server.body, 'backup', 'earliestRestoreDate') ?? '';
  const time = property(sent, 'pointInTimeUTC') ?? '';
  if (!(Date.parse(time) >= Date.parse(earliest) && Date.parse(time) <= azure.clock.now()))
    throw refusals.restoreTimeOutOfRange(found.server.name, earliest, time);
  return found;
}

/** Gives a revived server the databases, administrators and parameters of its last backup. */
export function reviveChildren(azure: Azure, { children }: Dropped, server: Resource): void {
  for (const { type, name, body } of children)
    azure.store.put(`${server.id}/${type.slice(serverType.length + 1)}/${name}`, structuredClone(body));
}
