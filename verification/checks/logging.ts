/** What the server's log tells, and what it must not. */
import { checksOf, type Finding } from '../check.ts';
import { judge, skip } from '../outcome.ts';
import { on, parameters, type Wanted } from '../parameters.ts';

export const checks = checksOf('settings', [
  {
    id: 'SET-004',
    name: 'statements-kept-out-of-log',
    severity: 'high',
    title: "Statements with tenants' data stay out of the log",
    inspects: 'parameter log_statement, and what roles and the database set it to',
    why: "mod and all write every INSERT with its values, and every key that is set, into a log that is kept for months and read by others than the tenants' own.",
    remedy: 'log_statement = ddl; who changed what is in the audit trail, who read what comes from pgaudit.',
    source: 'docs/seed-corrections.md (log_statement)',
    run: ({ snapshot }) => {
      const fine = (value: string) => value === 'none' || value === 'ddl';
      const value = snapshot.settings.get('log_statement')?.value ?? 'none';
      return judge(`log_statement = ${value}`, [
        ...(fine(value) ? [] : [{ object: 'parameter log_statement', detail: `is ${value}` }]),
        ...snapshot.roleSettings
          .filter((setting) => setting.name === 'log_statement' && !fine(setting.value))
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
    severity: 'high',
    title: 'Bound values stay out of the log',
    inspects: 'parameters log_parameter_max_length and log_parameter_max_length_on_error',
    why: "Azure's default logs every bound value in full when a statement is slow or fails: tenants' rows, and keys bound to the encryption functions.",
    remedy: 'Both 0, in the environment file; deploy.',
    source: 'docs/decisions.md, 17; Microsoft Learn, server parameters (reporting and logging)',
    run: ({ snapshot }) =>
      parameters(
        snapshot,
        ['log_parameter_max_length', 'log_parameter_max_length_on_error'].map((name) => ({
          name,
          holds: (value) => value === '0',
          should: '0',
        })),
      ),
  },
  {
    id: 'SET-007',
    name: 'connections-logged',
    severity: 'medium',
    title: 'Connections are logged',
    inspects: 'parameters log_connections and log_disconnections',
    why: 'Who was connected when something happened is the first question of every investigation.',
    remedy: 'Both on, in the environment file; deploy.',
    source: 'CIS Microsoft Azure Foundations, 4.3; Microsoft Learn, Logging',
    run: ({ snapshot }) =>
      parameters(snapshot, [
        // 18 made a list of it: which stages of a connection are told.
        { name: 'log_connections', holds: (value) => !['off', '', 'none'].includes(value), should: 'on' },
        on('log_disconnections'),
      ]),
  },
  {
    id: 'SET-008',
    name: 'slow-operations-logged',
    severity: 'medium',
    title: 'What makes a server slow is logged',
    inspects:
      'parameters log_lock_waits, log_temp_files, log_autovacuum_min_duration, log_checkpoints, log_min_duration_statement',
    why: 'Lock queues, sorts on disk and vacuums that cannot keep up are only ever found by their traces.',
    remedy: 'Set them in the environment file; deploy.',
    source: 'postgresai D001; Microsoft Learn, Logging',
    run: ({ snapshot }) => {
      const told = (name: string): Wanted => ({
        name,
        holds: (value) => Number(value) >= 0,
        should: '0 or more (-1 is never)',
      });
      return parameters(snapshot, [
        on('log_lock_waits'),
        on('log_checkpoints'),
        told('log_temp_files'),
        told('log_autovacuum_min_duration'),
        told('log_min_duration_statement'),
      ]);
    },
  },
  {
    id: 'SET-009',
    name: 'log-lines-identify-session',
    severity: 'medium',
    title: 'Every line of the log says who and where',
    inspects: 'parameter log_line_prefix: user (%u), database (%d) and time (%t, %m or %n)',
    why: "Azure's own prefix has time and session only: a line names neither the login nor the database it came from.",
    remedy: 'log_line_prefix in the environment file; deploy.',
    source: 'Microsoft Learn, server parameters (reporting and logging)',
    run: ({ snapshot }) => {
      const prefix = snapshot.settings.get('log_line_prefix');
      // A server of a rehearsal has Azure's own prefix: nobody chose it either.
      if (!snapshot.server.isAzure && prefix?.value === '%t-%c-') {
        return skip("log_line_prefix stands at Azure's own value on a server that is not Azure's");
      }
      return parameters(snapshot, [
        {
          name: 'log_line_prefix',
          holds: (value) => /%u/.test(value) && /%d/.test(value) && /%[tmn]/.test(value),
          should: 'one with %u, %d and a time',
        },
      ]);
    },
  },
  {
    id: 'SET-015',
    name: 'pgaudit-configured',
    severity: 'high',
    title: 'pgaudit records what triggers cannot see',
    inspects: 'parameters pgaudit.log and pgaudit.log_parameter',
    why: 'Reads, role changes and DDL leave no row in the audit trail; pgaudit with no class records none of them.',
    remedy: 'server.auditClasses in the environment file; deploy.',
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
          detail: `is ${classes.value}, without ${lacking.join(', ')}`,
        });
      }
      if (snapshot.settings.get('pgaudit.log_parameter')?.value === 'on') {
        findings.push({
          object: 'parameter pgaudit.log_parameter',
          detail: 'is on: bound values go into the log',
        });
      }
      return judge(`pgaudit.log = ${classes.value}`, findings);
    },
  },
]);
