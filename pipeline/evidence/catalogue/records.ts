/** Records of the database itself: the audit trail, retention, erasure. */
import type { Family } from '../control.ts';

export const family: Family = {
  prefix: 'TRL',
  title: 'Audit trail and retention',
  controls: [
    {
      id: 'TRL-1',
      title: 'Every change of a row of a tenant is in the audit trail',
      why: 'Without the record nobody can say who changed what.',
      stack: [],
      rules: ['parameters/triggers-fire'],
      checks: ['AUD-001', 'AUD-002', 'AUD-007', 'AUD-025', 'AUD-026', 'AUD-027', 'AUD-050'],
      mapped: {
        'mcsb-v1': ['LT-3'],
        'mcsb-v2': ['LT-3'],
        soc2: ['CC7.2', 'PI1.3'],
        iso27001: ['A.8.15'],
        nis2: ['3.2.3.f'],
        fedramp: ['KSI-MLA'],
      },
    },
    {
      id: 'TRL-2',
      title: 'Nobody can change the audit trail without a trace',
      why: 'A record that its subject can change proves nothing.',
      stack: [],
      checks: [
        'AUD-003',
        'AUD-004',
        'AUD-010',
        'AUD-011',
        'AUD-013',
        'AUD-021',
        'AUD-022',
        'AUD-024',
        'AUD-051',
      ],
      records: ['audit head', 'release chain'],
      mapped: {
        'mcsb-v1': ['LT-3', 'LT-6'],
        'mcsb-v2': ['LT-3', 'LT-6'],
        soc2: ['CC7.2', 'PI1.5'],
        iso27001: ['A.8.15', 'A.5.33'],
        nis2: ['3.2.5'],
        fedramp: ['KSI-MLA'],
      },
    },
    {
      id: 'TRL-3',
      title: 'Records are kept as long as the settings say, and no longer',
      why: 'Evidence that is removed early, and personal data that is kept, both break a promise.',
      setting: 'database',
      stack: [],
      rules: ['capacity/retention'],
      checks: ['PAR-008', 'PAR-012', 'AUD-012', 'AUD-020', 'AUD-028', 'ENC-019'],
      unseen: [
        'Requests of tenants to erase their data are in the ticket system: ask for a sample (docs/erasure.md).',
      ],
      mapped: {
        'mcsb-v1': ['LT-6'],
        'mcsb-v2': ['LT-6'],
        soc2: ['C1.2', 'P4.3'],
        iso27001: ['A.8.10', 'A.5.33'],
        nis2: ['3.2.5', '12.2.2.b'],
        fedramp: ['KSI-MLA'],
      },
    },
  ],
};
