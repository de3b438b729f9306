/**
 * Server parameters whose default Azure computes from the size once, when it creates the server. Another size keeps the
 * old default, so that a scaled server needs these parameters set.
 *
 * Source: the Azure-specific notes of each parameter in
 * https://learn.microsoft.com/azure/postgresql/server-parameters/concepts-server-parameters. `max_wal_size` follows the disk
 * in the same way, and `azure_storage.blob_block_size_mb` belongs to an extension: neither is here.
 */
import type { Sku } from './skus.ts';

export const sizedParametersSource =
  'https://learn.microsoft.com/azure/postgresql/server-parameters/concepts-server-parameters';

const blocksPerGb = (1024 * 1024) / 8;

/** Defaults of a server that is created with the size, by parameter, each in the parameter's own unit. */
export function sizedDefaults({
  vCores,
  memoryGb,
  maxConnectionsDefault,
}: Pick<Sku, 'vCores' | 'memoryGb' | 'maxConnectionsDefault'>): Readonly<Record<string, number>> {
  const sharedBuffers = (memoryGb * blocksPerGb) / (memoryGb > 2 ? 4 : 8);
  return {
    max_connections: maxConnectionsDefault,
    shared_buffers: sharedBuffers,
    effective_cache_size: memoryGb * blocksPerGb - sharedBuffers,
    // Whole megabytes, as Azure's table has them.
    maintenance_work_mem: Math.trunc(82.5 * Math.log(memoryGb) + 40) * 1024,
    wal_buffers: vCores > 4 ? 16_384 : 2048,
  };
}
