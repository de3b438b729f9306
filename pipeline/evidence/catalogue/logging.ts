/** Logs and alerts: what is recorded, where it goes, who is notified. */
import { objectsAt, textAt } from '../../../core/json.ts';
import type { Control, Family } from '../control.ts';
import type { Expectation } from '../stack.ts';
import {
  anything,
  atLeast,
  attribute,
  equal,
  listing,
  parameter,
  placeAt,
  pointerOf,
  resourcesOf,
} from '../stack.ts';
import { types, watches } from './terms.ts';

const logs: Control['mapped'] = {
  'mcsb-v1': ['LT-3'],
  'mcsb-v2': ['LT-3'],
  soc2: ['CC7.2', 'CC7.3'],
  iso27001: ['A.8.15'],
  nis2: ['3.2.3.g'],
  fedramp: ['KSI-MLA'],
};

/** A diagnostic setting with all logs for every resource of a type. */
function allLogs(type: string, of: string): Expectation {
  return {
    ...equal('allLogs'),
    subject: `log categories of the diagnostic setting of ${of}`,
    ifNone: 'not applicable',
    find: (stack) =>
      resourcesOf(stack, type).map(([owner]) => {
        const found = resourcesOf(stack, types.diagnostics).find(
          ([, block]) => textAt(block, 'target_resource_id') === `\${${type}.${owner}.id}`,
        );
        if (!found) return { pointer: pointerOf(['resource', type, owner]), value: undefined };
        const index = objectsAt(found[1], 'enabled_log').findIndex(
          (one) => textAt(one, 'category_group') === 'allLogs',
        );
        return placeAt(stack, types.diagnostics, found[0], [
          'enabled_log',
          Math.max(index, 0),
          'category_group',
        ]);
      }),
  };
}

/** An enabled activity log alert for an operation. */
function alertOn(operation: string): Expectation {
  return attribute(types.activityAlert, ['enabled'], equal(true), {
    of: `the activity log alert on ${operation}`,
    only: watches(operation),
  });
}

const postgresql = 'Microsoft.DBforPostgreSQL/flexibleServers';

export const family: Family = {
  prefix: 'LOG',
  title: 'Logs and alerts',
  controls: [
    {
      id: 'LOG-1',
      title: 'Connections are logged',
      why: 'Nothing else records who logged in.',
      setting: 'server.parameters',
      stack: [parameter('log_connections', equal('on'))],
      checks: ['SET-007', 'SET-009', 'AZU-024'],
      mapped: { ...logs, 'cis-database': ['6.9'], nis2: ['3.2.3.c', '3.2.3.e'] },
    },
    {
      id: 'LOG-2',
      title: 'Disconnections are logged',
      why: 'Without them a session has no end in the log.',
      setting: 'server.parameters',
      stack: [parameter('log_disconnections', equal('on'))],
      checks: ['SET-007', 'AZU-024'],
      mapped: { ...logs, 'cis-database': ['6.8'], nis2: ['3.2.3.c', '3.2.3.e'] },
    },
    {
      id: 'LOG-3',
      title: 'Checkpoints are logged',
      why: 'They show when a crash would lose how much time, and explain slow writes.',
      setting: 'server.parameters',
      stack: [parameter('log_checkpoints', equal('on'))],
      checks: ['SET-016', 'AZU-024'],
      mapped: { ...logs, 'cis-database': ['6.7'] },
    },
    {
      id: 'LOG-4',
      title: 'Log files on the server are kept for more than three days',
      why: 'If the workspace does not receive them, they are the only copy.',
      setting: 'server.parameters',
      stack: [parameter('logfiles.retention_days', atLeast(4))],
      checks: ['SET-016', 'AZU-024'],
      mapped: { ...logs, 'cis-database': ['6.6'], nis2: ['3.2.5'] },
    },
    {
      id: 'LOG-5',
      title: 'Statements that change structure or rights are recorded, without the values of tenants',
      why: 'Triggers record changes of rows only. A recorded value is in the log of every reader.',
      setting: 'server.auditClasses',
      stack: [
        parameter('pgaudit.log', listing('ddl', 'role')),
        parameter('pgaudit.log_parameter', equal('off')),
        parameter('log_statement', equal('ddl', 'none')),
        parameter('log_parameter_max_length', equal('0')),
        parameter('log_parameter_max_length_on_error', equal('0')),
      ],
      rules: ['parameters/audit-classes-are-distinct'],
      checks: ['SET-004', 'SET-005', 'SET-015'],
      mapped: { ...logs, soc2: ['CC7.2', 'C1.1'], nis2: ['3.2.3.e', '3.2.3.f'] },
    },
    {
      id: 'LOG-6',
      title: 'Servers and vault send all logs to a Log Analytics workspace',
      why: 'Logs that stay on the server are lost with it.',
      setting: 'logAnalytics',
      stack: [
        allLogs(types.server, 'every Flexible Server'),
        allLogs(types.vault, 'every key vault of the stack'),
      ],
      checks: ['AZU-034'],
      unseen: [
        'Logs of Entra and of the subscription (activity log, CIS 6.1.1.1) are set up once per tenant and subscription: ask their owners.',
      ],
      mapped: {
        ...logs,
        'cis-foundations': ['6.1.1.4', '6.1.4'],
        'mcsb-v1': ['LT-3', 'LT-5'],
        'mcsb-v2': ['LT-3', 'LT-5'],
      },
    },
    {
      id: 'LOG-7',
      title: 'The workspace keeps logs for at least a year',
      why: 'Attacks are often found after months.',
      setting: 'logAnalytics.retentionDays',
      stack: [
        attribute(types.workspace, ['retention_in_days'], atLeast(365), {
          of: 'every workspace of the stack',
          ifNone: 'not applicable',
        }),
      ],
      rules: ['operations/log-retention'],
      unseen: [
        'An adopted workspace (logAnalytics.existing) is configured by its owner: ask for its retention.',
      ],
      mapped: {
        'mcsb-v1': ['LT-6'],
        'mcsb-v2': ['LT-6'],
        soc2: ['CC7.2', 'C1.2'],
        iso27001: ['A.8.15'],
        nis2: ['3.2.5'],
        fedramp: ['KSI-MLA'],
      },
    },
    {
      id: 'LOG-8',
      title: 'Nobody can write records into the workspace with a shared key or from the internet',
      why: 'Forged records look like those of the server.',
      setting: 'logAnalytics',
      stack: [
        attribute(types.workspace, ['local_authentication_enabled'], equal(false), {
          of: 'every workspace of the stack',
          ifNone: 'not applicable',
        }),
        attribute(types.workspace, ['internet_ingestion_enabled'], equal(false), {
          of: 'every workspace of the stack',
          ifNone: 'not applicable',
        }),
      ],
      checks: ['AZU-037'],
      mapped: { ...logs, iso27001: ['A.8.15', 'A.8.3'], nis2: ['3.2.5'] },
    },
    {
      id: 'LOG-9',
      title: 'Deleted servers, opened firewalls, new administrators and removed locks raise an alert',
      why: 'Nothing else reports them while they can still be undone.',
      setting: 'monitoring',
      stack: [
        alertOn(`${postgresql}/firewallRules/write`),
        alertOn(`${postgresql}/delete`),
        alertOn(`${postgresql}/administrators/write`),
        alertOn('Microsoft.Authorization/locks/delete'),
      ],
      checks: ['AZU-031', 'AZU-032'],
      mapped: {
        'cis-foundations': ['6.1.2.7', '6.1.2.8'],
        'mcsb-v1': ['LT-1'],
        'mcsb-v2': ['LT-1'],
        soc2: ['CC7.2', 'CC7.3', 'CC7.4'],
        iso27001: ['A.8.16'],
        nis2: ['3.2.2', '3.2.3.f'],
        fedramp: ['KSI-MLA'],
      },
    },
    {
      id: 'LOG-10',
      title: 'Alerts reach people',
      why: 'An alert that nobody receives is a record, not an alert.',
      setting: 'monitoring.actionGroup',
      stack: [
        attribute(types.actionGroup, ['email_receiver', 0, 'email_address'], anything, {
          of: 'every action group',
        }),
      ],
      rules: ['operations/alert-receiver', 'operations/alert-address'],
      checks: ['AZU-030', 'AZU-032', 'AZU-033'],
      unseen: ['Who reads the mailbox, and within which time, is in the on-call plan: ask for it.'],
      mapped: {
        'mcsb-v1': ['IR-2', 'LT-1'],
        'mcsb-v2': ['IR-2', 'LT-1'],
        soc2: ['CC7.3', 'CC7.4'],
        iso27001: ['A.8.16', 'A.5.25'],
        nis2: ['3.2.4', '3.4.1'],
        fedramp: ['KSI-MLA'],
      },
    },
  ],
};
