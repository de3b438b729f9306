import type { Group } from '../check.ts';

/** What each group is about, for people who did not write it. */
export const groupTexts: Readonly<Record<Group, { readonly title: string; readonly about: string }>> = {
  isolation: { title: 'Isolation', about: 'no tenant reads, changes or infers what is another’s' },
  partitions: { title: 'Partitions', about: 'months are there, complete, closed, and removed in time' },
  indexes: { title: 'Indexes', about: 'valid, complete on every partition, none twice' },
  audit: { title: 'Audit trail', about: 'every change leaves a row that nobody can take back' },
  encryption: { title: 'Encryption', about: 'keys and plaintext stay out of settings, logs and statistics' },
  roles: { title: 'Roles', about: 'everybody has what they need and cannot become anybody else' },
  extensions: { title: 'Extensions', about: 'allowed, loaded, created, and none that leads out' },
  settings: { title: 'Settings', about: 'the server runs with the reviewed parameters' },
  connections: { title: 'Connections', about: 'encrypted, enough of them, and nobody stuck' },
  schedules: { title: 'Schedules', about: 'maintenance runs when it is due, and succeeds' },
  ledger: { title: 'Ledger', about: 'what was applied is what the files say' },
  schema: { title: 'Schema', about: 'tables, constraints and functions that the application relies on' },
  drift: { title: 'Drift', about: 'the same as a database that was migrated just now' },
  replication: { title: 'Replication', about: 'the replica follows, and nothing is held for nobody' },
  azure: { title: 'Azure', about: 'servers, backups, network, alerts and locks as deployed' },
};
