/** Results of previews, written by hand, for tests of reports. */
import type { Preview } from '../../rehearsal/preview/result.ts';

export function previewOf(parts: Partial<Preview> = {}): Preview {
  return {
    environment: 'production',
    base: { ref: 'main', commit: '0123456789', hasOtherPackages: false },
    change: '1234567',
    quick: true,
    rows: 10_000,
    outcome: 'deployed',
    milliseconds: 22_000,
    resources: ['update azurerm_postgresql_flexible_server.server', 'create terraform_data.post_deploy'],
    servers: [{ name: 'server-production', restarts: 1, failovers: 0, others: [] }],
    clients: [
      {
        name: 'writer',
        host: 'server-production.postgres.database.azure.com',
        statements: 812,
        outages: [{ startedAt: 13_000, endedAt: 14_300, kind: '57P01 admin_shutdown', isOver: true }],
        refused: { '57P01 admin_shutdown': 1 },
        connecting: { '57P03 cannot_connect_now': 11, ECONNRESET: 6 },
        waits: [{ startedAt: 17_000, endedAt: 17_800, statement: 'write llama.storage_records' }],
      },
    ],
    migrations: [
      {
        file: '0018_note.sql',
        isApplied: true,
        milliseconds: 900,
        locks: [
          {
            on: 'llama.storage_records',
            isInPartitions: false,
            mode: 'ACCESS EXCLUSIVE',
            milliseconds: 810,
            waiting: 1,
          },
        ],
      },
    ],
    filled: [
      { table: 'llama.storage_records', rows: 10_000 },
      { table: 'llama.data_keys', rows: 0, why: 'duplicate key value' },
    ],
    secondPlan: [],
    verification: { appeared: {}, resolved: [], remaining: ['AZU-030'] },
    exitCode: 0,
    timeline: {
      ...{ environment: 'production', title: 'Preview of production', startedAt: 0, endedAt: 22_000 },
      ...{ bars: [], operations: [], idle: [], checks: [] },
      figures: {
        ...{ firstDeployment: undefined, providerOnly: 0, waits: [], operations: 0 },
        ...{ refused: 0, requests: 0, memory: 0 },
      },
    },
    ...parts,
  };
}
