/**
 * Backups of a server, automatic and on demand.
 * https://learn.microsoft.com/azure/postgresql/backup-restore/concepts-backup-restore
 */

import { merge } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import type { Resource } from '../../core/resource-store.ts';
import { registerList, registerResourceType } from '../../core/resource-types.ts';
import { children as refusals } from '../../refusals/server-children.ts';
import { isReplica, namespace, property, refuseUnlessReady, serverOf, serverType } from './server.ts';

const type = `${serverType}/backups` as const;

/** "The first snapshot backup is scheduled immediately after a server is created"; from then on it can be restored. */
export function noteFirstBackup(azure: Azure, server: Resource): void {
  const time = new Date(azure.clock.now());
  server.body = merge(server.body, {
    properties: { state: 'Ready', backup: { earliestRestoreDate: time.toISOString() } },
  });
  azure.store.put(`${server.id}/backups/backup_1`, {
    properties: { backupType: 'Full', completedTime: time.toISOString(), source: 'Automatic' },
  });
}

export function registerBackups(azure: Azure): void {
  registerResourceType(azure, {
    type,
    change: 'accepted',
    busyOn: (_sent, change) => [serverOf(azure, change).id],
    whileRunning: (body) => body,
    accept: (_sent, change) => {
      const server = serverOf(azure, change);
      refuseUnlessReady(server);
      if (isReplica(server)) throw refusals.backupOfReplica(server.name);
      return {
        properties: {
          backupType: 'Customer On-Demand',
          completedTime: new Date(azure.clock.now()).toISOString(),
          source: 'Customer Initiated',
        },
      };
    },
    mayDelete: (backup) => {
      if (property(backup.body, 'source') === 'Automatic') throw refusals.backupIsAutomatic(backup.name);
    },
  });
  registerList(azure, type, { template: `${namespace}/flexibleServers/{server}/backups` });
}
