/** Recovery: backups, redundancy, and protection from deletion. */

import type { Family } from '../control.ts';
import { atLeast, attribute, companion, equal, matching } from '../stack.ts';
import { isPrimary, types } from './terms.ts';

const primaries = { of: 'every server that is not a replica', only: isPrimary } as const;

export const family: Family = {
  prefix: 'REC',
  title: 'Recovery',
  controls: [
    {
      id: 'REC-1',
      title: 'Backups are kept for 35 days',
      why: 'Damage that is found later cannot be undone.',
      setting: 'server.backup.retentionDays',
      stack: [attribute(types.server, ['backup_retention_days'], atLeast(35), primaries)],
      rules: ['compute/backup-retention'],
      checks: ['AZU-005', 'AZU-006', 'AZU-007'],
      mapped: {
        'mcsb-v1': ['BR-1'],
        'mcsb-v2': ['BR-1'],
        soc2: ['A1.2'],
        iso27001: ['A.8.13'],
        nis2: ['4.2.2'],
        fedramp: ['KSI-RPL'],
      },
    },
    {
      id: 'REC-2',
      title: 'Backups are also in the paired region',
      why: 'It can only be chosen when a server is created. After the loss of a region it is too late.',
      setting: 'server.backup.geoRedundant',
      stack: [attribute(types.server, ['geo_redundant_backup_enabled'], equal(true), primaries)],
      rules: ['compute/geo-backup-pair'],
      checks: ['AZU-008'],
      mapped: {
        'mcsb-v1': ['BR-1', 'BR-2'],
        'mcsb-v2': ['BR-1', 'BR-2'],
        soc2: ['A1.2'],
        iso27001: ['A.8.13', 'A.8.14'],
        nis2: ['4.2.2'],
        fedramp: ['KSI-RPL'],
      },
    },
    {
      id: 'REC-3',
      title: 'A standby in another zone takes over if the server fails',
      why: 'Without one, the failure of a zone takes the database down until a restore has finished.',
      setting: 'server.highAvailability',
      stack: [
        attribute(types.server, ['high_availability', 'mode'], equal('ZoneRedundant', 'SameZone'), primaries),
      ],
      rules: [
        'compute/zone-redundancy',
        'compute/standby-in-another-zone',
        'compute/burstable-without-standby',
      ],
      checks: ['AZU-002', 'AZU-003', 'AZU-004'],
      mapped: {
        'mcsb-v1': ['BR-1'],
        'mcsb-v2': ['BR-1'],
        soc2: ['A1.2'],
        iso27001: ['A.8.14'],
        nis2: ['4.2.4'],
        fedramp: ['KSI-RPL'],
      },
    },
    {
      id: 'REC-4',
      title: 'A replica in another region is close behind',
      why: 'A restore in the other region takes hours and loses the last minutes.',
      setting: 'replica',
      stack: [
        attribute(types.server, ['location'], matching('a region', /^[a-z]+\d*$/), {
          of: 'every replica',
          only: (block) => !isPrimary(block),
          ifNone: 'not applicable',
        }),
      ],
      rules: ['replica/recovery-region-apart', 'replica/enough-compute', 'replica/enough-disk'],
      checks: ['REP-002', 'REP-003', 'AZU-014', 'AZU-015'],
      mapped: {
        'mcsb-v1': ['BR-1'],
        'mcsb-v2': ['BR-1'],
        soc2: ['A1.2'],
        iso27001: ['A.8.14', 'A.5.30'],
        nis2: ['4.1.2.g'],
        fedramp: ['KSI-RPL'],
      },
    },
    {
      id: 'REC-5',
      title: 'Servers and vault cannot be deleted by mistake',
      why: 'The backups of a deleted server are gone after five days.',
      setting: 'protection',
      stack: [
        companion(types.server, types.lock, ['scope'], 'management lock of every Flexible Server'),
        attribute(types.server, ['lifecycle', 'prevent_destroy'], equal(true), {
          of: 'every Flexible Server',
        }),
        companion(types.vault, types.lock, ['scope'], 'management lock of every key vault of the stack'),
      ],
      checks: ['AZU-035'],
      mapped: {
        'cis-foundations': ['6.2'],
        'mcsb-v1': ['BR-2', 'AM-4'],
        'mcsb-v2': ['BR-2', 'AM-4'],
        soc2: ['A1.2', 'CC6.1'],
        iso27001: ['A.8.13', 'A.5.33'],
        nis2: ['4.2.2'],
        fedramp: ['KSI-RPL'],
      },
    },
    {
      id: 'REC-6',
      title: 'Weekly backups are kept for years in a vault that refuses early deletion',
      why: 'Backups of the server itself end after 35 days, and with the server.',
      setting: 'longTermBackup',
      stack: [
        attribute(
          types.backupPolicy,
          ['default_retention_rule', 'life_cycle', 0, 'duration'],
          matching('an ISO 8601 duration of a year or longer', /^P\d+Y/),
          { of: 'every policy of long-term backup', ifNone: 'not applicable' },
        ),
        attribute(types.backupVault, ['soft_delete'], equal('On', 'AlwaysOn'), {
          of: 'every backup vault',
          ifNone: 'not applicable',
        }),
      ],
      rules: ['operations/long-term-retention', 'compute/long-term-backup-size'],
      unseen: ['Completed runs of long-term backup are in the Backup vault: ask for its jobs of the period.'],
      mapped: {
        'mcsb-v1': ['BR-1', 'BR-2', 'BR-3'],
        'mcsb-v2': ['BR-1', 'BR-2', 'BR-3'],
        soc2: ['A1.2', 'C1.1'],
        iso27001: ['A.8.13', 'A.5.33'],
        nis2: ['4.2.2'],
        fedramp: ['KSI-RPL'],
      },
    },
    {
      id: 'REC-7',
      title: 'Restores are tested',
      why: 'A backup that nobody has restored may not be one.',
      stack: [],
      unseen: [
        'A restore of Azure is proven by a restore: ask for the record of the last drill, its time and the result of llama-db verify afterwards (docs/restoring.md).',
      ],
      mapped: {
        'mcsb-v1': ['BR-4'],
        'mcsb-v2': ['BR-4'],
        soc2: ['A1.3'],
        iso27001: ['A.8.13', 'A.5.30'],
        nis2: ['4.1.4', '4.2.6'],
        fedramp: ['KSI-RPL'],
      },
    },
  ],
};
