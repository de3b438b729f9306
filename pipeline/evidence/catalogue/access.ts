/** Logins: who may log in, with what, and which rights follow. */
import type { Family } from '../control.ts';
import { attribute, equal, parameter } from '../stack.ts';
import { isPrimary, types } from './terms.ts';

const inEntra =
  'Members of the groups in the settings, their access reviews and conditional access are in Entra: ask for the last review and for the export of the members.';

export const family: Family = {
  prefix: 'ACC',
  title: 'Access',
  controls: [
    {
      id: 'ACC-1',
      title: 'Logins need an Entra token: password login is off',
      why: 'A leaked password works until somebody changes it.',
      setting: 'server.authentication',
      stack: [
        attribute(types.server, ['authentication', 'active_directory_auth_enabled'], equal(true), {
          of: 'every server that is not a replica',
          only: isPrimary,
        }),
        attribute(types.server, ['authentication', 'password_auth_enabled'], equal(false), {
          of: 'every server that is not a replica',
          only: isPrimary,
        }),
      ],
      rules: ['authentication/password-settings-without-login'],
      checks: ['AZU-022', 'SET-014'],
      mapped: {
        'cis-database': ['6.2'],
        'mcsb-v1': ['IM-1'],
        'mcsb-v2': ['IM-1'],
        soc2: ['CC6.1'],
        iso27001: ['A.5.16', 'A.8.5'],
        nis2: ['11.6.1'],
        fedramp: ['KSI-IAM'],
      },
    },
    {
      id: 'ACC-2',
      title: 'Administrators of the server are the Entra groups of the settings',
      why: 'An administrator reads every row of every tenant. A group outlives the people in it.',
      setting: 'server.authentication.administrators',
      stack: [
        attribute(types.administrator, ['principal_type'], equal('Group'), {
          of: 'every Entra administrator',
        }),
      ],
      rules: [
        'authentication/has-administrator',
        'authentication/first-administrator-is-a-group',
        'authentication/administrators-are-distinct',
      ],
      checks: ['AZU-023', 'ROL-004'],
      unseen: [inEntra],
      mapped: {
        'mcsb-v1': ['IM-1', 'PA-1'],
        'mcsb-v2': ['IM-1', 'PA-1'],
        soc2: ['CC6.1', 'CC6.3'],
        iso27001: ['A.5.18', 'A.8.2'],
        nis2: ['11.3.1'],
        fedramp: ['KSI-IAM'],
      },
    },
    {
      id: 'ACC-3',
      title: 'Roles and logins have only the rights that the migrations and the settings give',
      why: 'A right that was granted by hand stays, and no review has seen it.',
      setting: 'database.logins',
      stack: [],
      rules: [
        'authentication/login-is-not-a-role',
        'authentication/login-is-not-an-administrator',
        'authentication/logins-are-distinct',
      ],
      checks: [
        'ROL-001',
        'ROL-005',
        'ROL-006',
        'ROL-007',
        'ROL-008',
        'ROL-009',
        'ROL-010',
        'ROL-011',
        'ROL-013',
        'DRI-010',
        'DRI-013',
      ],
      unseen: [inEntra],
      mapped: {
        'mcsb-v1': ['PA-7'],
        'mcsb-v2': ['PA-7'],
        soc2: ['CC6.1', 'CC6.3'],
        iso27001: ['A.5.15', 'A.5.18', 'A.8.2', 'A.8.3'],
        nis2: ['11.2.1'],
        fedramp: ['KSI-IAM'],
      },
    },
    {
      id: 'ACC-4',
      title: 'Repeated failed logins of one address are slowed down',
      why: 'Without it an attacker can try credentials at full speed.',
      setting: 'server.parameters',
      stack: [parameter('connection_throttle.enable', equal('on'))],
      checks: ['SET-016', 'AZU-024'],
      mapped: {
        'cis-database': ['6.5'],
        'mcsb-v1': ['PV-1'],
        'mcsb-v2': ['PV-1'],
        soc2: ['CC6.6'],
        iso27001: ['A.8.5'],
      },
    },
    {
      id: 'ACC-5',
      title: 'Tenants cannot reach rows of other tenants',
      why: 'One missing policy shows the rows of every customer to every other one.',
      stack: [],
      rules: ['parameters/row-security', 'parameters/pool-mode'],
      checks: [
        'ISO-001',
        'ISO-002',
        'ISO-003',
        'ISO-004',
        'ISO-006',
        'ISO-020',
        'ISO-021',
        'ISO-023',
        'ISO-051',
        'ISO-052',
        'ISO-053',
        'ISO-054',
        'ISO-055',
        'ISO-056',
        'DRI-005',
      ],
      mapped: {
        'mcsb-v1': ['PA-7', 'DP-2'],
        'mcsb-v2': ['PA-7', 'DP-2'],
        soc2: ['CC6.1', 'C1.1'],
        iso27001: ['A.5.15', 'A.8.3'],
        nis2: ['11.2.1'],
        fedramp: ['KSI-IAM', 'KSI-SVC'],
      },
    },
  ],
};
