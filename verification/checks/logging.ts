/** Contents of the server's log: required entries, and data that must stay out. */
import { checksOf, type Finding } from '../check.ts';
import { judge, skip } from '../outcome.ts';
import { on, parameters, type Wanted } from '../parameters.ts';

export const checks = checksOf('settings', [
  {
    id: 'SET-004',
    name: 'statements-kept-out-of-log',
    loses: 'barrier',
    title: 'Statements with passwords or tenant data are kept out of the log',
    inspects: 'parameter log_statement, and settings of roles and the database that override it',
    why: 'ddl writes the password of every ALTER ROLE, and mod and all every INSERT with its values and every key that is set, into a log that is kept for months and has other readers.',
    remedy:
      'Set log_statement to none. The audit trail records changes; pgaudit records reads and, without passwords, DDL.',
    source: 'docs/seed-corrections.md (log_statement)',
    run: ({ snapshot }) => {
      const value = snapshot.settings.get('log_statement')?.value ?? 'none';
      return judge(`log_statement = ${value}`, [
        ...(value === 'none' ? [] : [{ object: 'parameter log_statement', detail: `is ${value}` }]),
        ...snapshot.roleSettings
          .filter((setting) => setting.name === 'log_statement' && setting.value !== 'none')
          .map((setting) => ({
            object: setting.role ? `role ${setting.role}` : 'database',
            detail: `sets log_statement to ${setting.value}`,
          })),
      ]);
    },
  },
  {
    id: 'SET-005',
    name: 'parameters-kept-out-of-log',
    loses: 'barrier',
    title: 'Bound parameter values are kept out of the log',
    inspects: 'parameters log_parameter_max_length and log_parameter_max_length_on_error',
    why: 'By default Azure logs every bound value in full when a statement is slow or fails: rows of tenants, and keys for the encryption functions.',
    remedy: 'Set both to 0 in the environment file and deploy.',
    source: 'docs/decisions.md, 17; Microsoft Learn, server parameters (reporting and logging)',
    run: ({ snapshot }) =>
      parameters(
        snapshot,
        ['log_parameter_max_length', 'log_parameter_max_length_on_error'].map((name) => ({
          name,
          holds: (value) => value === '0',
          expected: '0',
        })),
      ),
  },
  {
    id: 'SET-007',
    name: 'connections-logged',
    loses: 'traces',
    title: 'Connections and disconnections are logged',
    inspects: 'parameters log_connections and log_disconnections',
    why: 'Every investigation starts with the question which logins were connected.',
    remedy: 'Set both to on in the environment file and deploy.',
    source: 'CIS Microsoft Azure Foundations, 4.3; Microsoft Learn, Logging',
    run: ({ snapshot }) =>
      parameters(snapshot, [
        // From version 18 on the value is a list of the stages to log.
        { name: 'log_connections', holds: (value) => !['off', '', 'none'].includes(value), expected: 'on' },
        on('log_disconnections'),
      ]),
  },
  {
    id: 'SET-008',
    name: 'slow-operations-logged',
    loses: 'time',
    title: 'Slow operations are logged',
    inspects:
      'parameters log_lock_waits, log_temp_files, log_autovacuum_min_duration, log_checkpoints, log_min_duration_statement',
    why: 'Only the log shows lock queues, sorts on disk and vacuums that fall behind.',
    remedy: 'Set them in the environment file and deploy.',
    source: 'postgresai D001; Microsoft Learn, Logging',
    run: ({ snapshot }) => {
      const logged = (name: string): Wanted => ({
        name,
        holds: (value) => Number(value) >= 0,
        expected: '0 or more (-1 disables it)',
      });
      return parameters(snapshot, [
        on('log_lock_waits'),
        on('log_checkpoints'),
        logged('log_temp_files'),
        logged('log_autovacuum_min_duration'),
        logged('log_min_duration_statement'),
      ]);
    },
  },
  {
    id: 'SET-009',
    name: 'log-lines-identify-session',
    loses: 'traces',
    title: 'Every log line names the user, the database and the time',
    inspects: 'parameter log_line_prefix: user (%u), database (%d) and time (%t, %m or %n)',
    why: 'The default prefix of Azure has only time and session: a line names neither the login nor the database.',
    remedy: 'Set log_line_prefix in the environment file and deploy.',
    source: 'Microsoft Learn, server parameters (reporting and logging)',
    run: ({ snapshot }) => {
      const prefix = snapshot.settings.get('log_line_prefix');
      // A rehearsal's server has Azure's default too, which no deployment chose.
      if (!snapshot.server.isAzure && prefix?.value === '%t-%c-') {
        return skip("log_line_prefix has Azure's default on a server that is not Azure's");
      }
      return parameters(snapshot, [
        {
          name: 'log_line_prefix',
          holds: (value) => /%u/.test(value) && /%d/.test(value) && /%[tmn]/.test(value),
          expected: 'a prefix with %u, %d and a time',
        },
      ]);
    },
  },
  {
    id: 'SET-015',
    name: 'pgaudit-configured',
    loses: 'traces',
    title: 'pgaudit records DDL and role changes, but no bound values',
    inspects: 'parameters pgaudit.log and pgaudit.log_parameter',
    why: 'Reads, role changes and DDL write no row into the audit trail; without a class pgaudit records none of them.',
    remedy: 'Set server.auditClasses in the environment file and deploy.',
    source: 'Microsoft Learn, Audit logging',
    run: ({ snapshot }) => {
      const classes = snapshot.settings.get('pgaudit.log');
      if (!classes) return skip('pgaudit is not loaded on this server');
      const list = classes.value.split(',').map((name) => name.trim().toLowerCase());
      const lacking = ['ddl', 'role'].filter((name) => !list.includes(name) && !list.includes('all'));
      const findings: Finding[] = [];
      if (lacking.length > 0) {
        findings.push({
          object: 'parameter pgaudit.log',
          detail: `is ${classes.value}, without ${lacking.join(' and ')}`,
        });
      }
      if (snapshot.settings.get('pgaudit.log_parameter')?.value === 'on') {
        findings.push({
          object: 'parameter pgaudit.log_parameter',
          detail: 'is on, which writes bound values into the log',
        });
      }
      return judge(`pgaudit.log = ${classes.value}`, findings);
    },
  },
]);
