import type { Group } from '../check.ts';

/** Title and topic of each group. */
export const groupTexts: Readonly<Record<Group, { readonly title: string; readonly about: string }>> = {
  isolation: { title: 'Isolation', about: 'no tenant reads, changes or infers data of another' },
  partitions: { title: 'Partitions', about: 'months exist, are complete and protected, and expire in time' },
  indexes: { title: 'Indexes', about: 'valid, present on every partition, no duplicates' },
  audit: { title: 'Audit trail', about: 'every change leaves a row that nobody can remove' },
  encryption: { title: 'Encryption', about: 'keys and plaintext stay out of settings, logs and statistics' },
  roles: { title: 'Roles', about: 'every role has what it needs and reaches no other' },
  extensions: { title: 'Extensions', about: 'allowed, loaded and created, none that reaches outside' },
  settings: { title: 'Settings', about: 'the server runs with the reviewed parameters' },
  connections: { title: 'Connections', about: 'encrypted, available, and not blocked' },
  schedules: { title: 'Schedules', about: 'maintenance runs on time and succeeds' },
  ledger: { title: 'Ledger', about: 'the applied migrations match the files' },
  schema: { title: 'Schema', about: 'constraints, types and functions are sound' },
  drift: { title: 'Drift', about: 'the same as a database that was migrated just now' },
  replication: { title: 'Replication', about: 'the replica keeps up, and no slot retains WAL' },
  azure: { title: 'Azure', about: 'servers, backups, network, alerts and locks as deployed' },
};
