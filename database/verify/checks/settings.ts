import { majorVersion, majorVersions, supportedVersions } from '../../../azure/versions.ts';
import type { Check, Finding, Outcome } from '../check.ts';
import { counted, judge, skip } from '../outcome.ts';
import type { Setting, Snapshot } from '../snapshot/facts.ts';

const day = 24 * 3600 * 1000;

interface Wanted {
  readonly name: string;
  readonly holds: (value: string) => boolean;
  /** What it should be, as a person would say it. */
  readonly should: string;
}

const on = (name: string): Wanted => ({ name, holds: (value) => value === 'on', should: 'on' });
const limited = (name: string): Wanted => ({
  name,
  holds: (value) => Number(value) > 0,
  should: 'limited (0 is no limit)',
});

/**
 * Judges parameters that a deployment sets. A server that is not Azure's, which nobody configured, has the
 * built-in values: those say nothing about a deployment.
 */
function parameters(snapshot: Snapshot, wanted: readonly Wanted[]): Outcome {
  const judged = wanted.flatMap(({ name, holds, should }) => {
    const setting = snapshot.settings.get(name);
    if (!setting || !(snapshot.server.isAzure || setting.value !== setting.builtIn)) return [];
    return [{ name, setting, should, fine: holds(setting.value) }];
  });
  if (judged.length === 0) {
    return skip(
      `${wanted.map(({ name }) => name).join(', ')} stand at the built-in value of a server that is not Azure's`,
    );
  }
  return judge(
    judged.map(({ name, setting }) => `${name} = ${withUnit(setting)}`).join(', '),
    judged
      .filter(({ fine }) => !fine)
      .map(({ name, setting, should }) => ({
        object: `parameter ${name}`,
        detail: `is ${withUnit(setting)}, should be ${should}`,
      })),
  );
}

function withUnit({ value, unit }: Setting): string {
  return unit ? `${value} ${unit}` : value || "''";
}

/** The same value, however the two sides write it: 1 and 1.0, ON and on, lists in another order. */
function sameValue(one: string, other: string): boolean {
  if (one === other) return true;
  if (one !== '' && other !== '' && Number(one) === Number(other)) return true;
  const members = (text: string) =>
    text
      .toLowerCase()
      .split(',')
      .map((member) => member.trim())
      .sort()
      .join(',');
  return members(one) === members(other);
}

const protocols = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
const strongEnough = (protocol: string) => protocols.indexOf(protocol) >= protocols.indexOf('TLSv1.2');

export const settingChecks: readonly Check[] = [
  {
    id: 'SET-001',
    group: 'settings',
    severity: 'high',
    title: 'No parameter waits for a restart',
    looksAt: 'pg_settings.pending_restart',
    why: 'The settings say one thing and the server does another, until some restart in the middle of the day changes it.',
    mend: 'llama-db post-deploy restarts once when something is pending.',
    source: 'docs/decisions.md, 9',
    run: ({ snapshot }) =>
      judge(
        counted(snapshot.settings.size, 'parameter'),
        [...snapshot.settings]
          .filter(([, { pendingRestart }]) => pendingRestart)
          .map(([name]) => ({ object: `parameter ${name}`, detail: 'waits for a restart' })),
      ),
  },
  {
    id: 'SET-002',
    group: 'settings',
    severity: 'critical',
    title: 'The server speaks TLS 1.2 or newer and nothing else',
    looksAt: 'parameters ssl, ssl_min_protocol_version, and require_secure_transport where the server has it',
    why: "Without it logins' tokens and tenants' rows travel in the clear.",
    mend: 'ssl_min_protocol_version TLSv1.3 and require_secure_transport on, in the environment file; deploy.',
    source: 'Microsoft Learn, TLS in Azure Database for PostgreSQL',
    run: ({ snapshot }) => {
      const value = (name: string) => snapshot.settings.get(name)?.value;
      const minimum = value('ssl_min_protocol_version') ?? '';
      const findings: Finding[] = [];
      if (value('ssl') !== 'on') findings.push({ object: 'parameter ssl', detail: `is ${value('ssl')}` });
      if (!strongEnough(minimum)) {
        findings.push({ object: 'parameter ssl_min_protocol_version', detail: `is ${minimum || "''"}` });
      }
      const secure = value('require_secure_transport');
      if (secure !== undefined && secure !== 'on') {
        findings.push({ object: 'parameter require_secure_transport', detail: `is ${secure}` });
      }
      return judge(`ssl = ${value('ssl')}, ssl_min_protocol_version = ${minimum}`, findings);
    },
  },
  {
    id: 'SET-003',
    group: 'settings',
    severity: 'critical',
    title: 'This very connection is encrypted',
    looksAt: 'pg_stat_ssl of the session that verifies: what was negotiated, not what is configured',
    why: 'A proxy or a tunnel can end TLS before the server.',
    mend: 'Connect to the server itself with sslmode=verify-full.',
    source: 'PostgreSQL manual, pg_stat_ssl',
    run: ({ snapshot }) => {
      const { tls } = snapshot.server;
      if (!tls) return judge('pg_stat_ssl', [{ object: 'this connection', detail: 'is not encrypted' }]);
      return judge(
        `${tls.version}, ${tls.cipher}`,
        strongEnough(tls.version) ? [] : [{ object: 'this connection', detail: `uses ${tls.version}` }],
      );
    },
  },
  {
    id: 'SET-004',
    group: 'settings',
    severity: 'high',
    title: "Statements with tenants' data stay out of the log",
    looksAt: 'parameter log_statement, and what roles and the database set it to',
    why: "mod and all write every INSERT with its values, and every key that is set, into a log that is kept for months and read by others than the tenants' own.",
    mend: 'log_statement = ddl; who changed what is in the audit trail, who read what comes from pgaudit.',
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
    group: 'settings',
    severity: 'high',
    title: 'Bound values stay out of the log',
    looksAt: 'parameters log_parameter_max_length and log_parameter_max_length_on_error',
    why: "Azure's default logs every bound value in full when a statement is slow or fails: tenants' rows, and keys bound to the encryption functions.",
    mend: 'Both 0, in the environment file; deploy.',
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
    id: 'SET-006',
    group: 'settings',
    severity: 'high',
    title: 'No session can wait or hold on for ever',
    looksAt: 'parameters statement_timeout, lock_timeout, idle_in_transaction_session_timeout',
    why: 'One forgotten transaction stops vacuum for the whole server, and one statement that waits for a lock queues everybody behind it.',
    mend: 'Set them in the environment file; whoever needs longer sets it in the session.',
    source: 'postgresai G003; pgdoctor session-settings',
    run: ({ snapshot }) =>
      parameters(
        snapshot,
        ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'].map(limited),
      ),
  },
  {
    id: 'SET-007',
    group: 'settings',
    severity: 'medium',
    title: 'Connections are logged',
    looksAt: 'parameters log_connections and log_disconnections',
    why: 'Who was connected when something happened is the first question of every investigation.',
    mend: 'Both on, in the environment file; deploy.',
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
    group: 'settings',
    severity: 'medium',
    title: 'What makes a server slow is logged',
    looksAt:
      'parameters log_lock_waits, log_temp_files, log_autovacuum_min_duration, log_checkpoints, log_min_duration_statement',
    why: 'Lock queues, sorts on disk and vacuums that cannot keep up are only ever found by their traces.',
    mend: 'Set them in the environment file; deploy.',
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
    group: 'settings',
    severity: 'medium',
    title: 'Every line of the log says who and where',
    looksAt: 'parameter log_line_prefix: user (%u), database (%d) and time (%t, %m or %n)',
    why: "Azure's own prefix has time and session only: a line names neither the login nor the database it came from.",
    mend: 'log_line_prefix in the environment file; deploy.',
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
    id: 'SET-010',
    group: 'settings',
    severity: 'high',
    title: 'Autovacuum works everywhere',
    looksAt: 'parameters autovacuum and track_counts, and autovacuum_enabled of tables',
    why: 'Without it tables bloat, statistics age, and in the end the server stops taking writes to save its transaction ids.',
    mend: 'Both on; ALTER TABLE … RESET (autovacuum_enabled).',
    source: 'postgresai F001; pgdoctor vacuum-settings; PostgreSQL manual, Routine Vacuuming',
    run: ({ snapshot }) => {
      const off = ['autovacuum', 'track_counts'].filter(
        (name) => snapshot.settings.get(name)?.value !== 'on',
      );
      const tables = snapshot.relations.filter(({ options }) =>
        options.some((option) => /^autovacuum_enabled=(false|off|0|no)$/i.test(option)),
      );
      return judge(`parameters and ${counted(snapshot.relations.length, 'relation')}`, [
        ...off.map((name) => ({ object: `parameter ${name}`, detail: 'is off' })),
        ...tables.map(({ schema, name }) => ({
          object: `${schema}.${name}`,
          detail: 'autovacuum is switched off',
        })),
      ]);
    },
  },
  {
    id: 'SET-011',
    group: 'settings',
    severity: 'critical',
    title: 'The server takes writes',
    looksAt:
      'parameter default_transaction_read_only, on the server and in the settings of roles and the database',
    why: 'Azure switches it on when the disk is nearly full: every write fails from then on.',
    mend: 'Enlarge the storage (server.storage.sizeGb); remove a setting of a role or database that is meant for replicas.',
    source: 'Microsoft Learn, Limits (storage)',
    run: ({ snapshot }) => {
      const server = snapshot.settings.get('default_transaction_read_only')?.value;
      return judge(`default_transaction_read_only = ${server}`, [
        ...(server === 'off'
          ? []
          : [{ object: 'parameter default_transaction_read_only', detail: `is ${server}` }]),
        ...snapshot.roleSettings
          .filter(
            ({ name, value, role }) =>
              name === 'default_transaction_read_only' && value === 'on' && role === null,
          )
          .map(() => ({ object: 'database', detail: 'sets default_transaction_read_only to on' })),
      ]);
    },
  },
  {
    id: 'SET-012',
    group: 'settings',
    severity: 'high',
    title: 'A commit that was confirmed survives a crash',
    looksAt: 'parameter synchronous_commit, on the server and in the settings of roles and the database',
    why: 'With off the last confirmed transactions are lost with the server, the audit rows among them.',
    mend: 'Remove it from the environment file, or ALTER ROLE … RESET synchronous_commit.',
    source: 'PostgreSQL manual, Asynchronous Commit',
    run: ({ snapshot }) => {
      const server = snapshot.settings.get('synchronous_commit')?.value ?? '';
      const roles = snapshot.roleSettings.filter(
        ({ name, value }) => name === 'synchronous_commit' && value === 'off',
      );
      const findings: Finding[] = roles.map(({ role }) => ({
        object: role ? `role ${role}` : 'database',
        detail: 'sets synchronous_commit to off',
      }));
      if (!snapshot.server.isAzure && findings.length === 0 && server === 'off') {
        return skip(
          "the server is not Azure's and keeps nothing: its operator switched synchronous_commit off",
        );
      }
      if (server === 'off') findings.push({ object: 'parameter synchronous_commit', detail: 'is off' });
      return judge(`synchronous_commit = ${server}`, findings);
    },
  },
  {
    id: 'SET-013',
    group: 'settings',
    severity: 'high',
    title: 'The database stores UTF-8',
    looksAt: 'pg_database.encoding',
    why: 'Anything else refuses characters that tenants send, or stores them unconverted; it cannot be changed later.',
    mend: 'Create the database again with encoding UTF8, and move the data.',
    source: 'PostgreSQL manual, Character Set Support',
    run: ({ snapshot }) => {
      const { encoding, database } = snapshot.server;
      return judge(
        encoding,
        encoding === 'UTF8' ? [] : [{ object: `database ${database}`, detail: `encoding is ${encoding}` }],
      );
    },
  },
  {
    id: 'SET-014',
    group: 'settings',
    severity: 'high',
    title: 'Passwords are stored as SCRAM verifiers',
    looksAt: 'parameter password_encryption',
    why: 'An md5 hash can be used as the password itself by whoever reads it.',
    mend: 'password_encryption = scram-sha-256, and set every password again.',
    source: 'PostgreSQL manual, Password Authentication; CIS PostgreSQL',
    run: ({ snapshot }) => {
      const value = snapshot.settings.get('password_encryption')?.value ?? '';
      return judge(
        `password_encryption = ${value}`,
        value === 'scram-sha-256' ? [] : [{ object: 'parameter password_encryption', detail: `is ${value}` }],
      );
    },
  },
  {
    id: 'SET-015',
    group: 'settings',
    severity: 'high',
    title: 'pgaudit records what triggers cannot see',
    looksAt: 'parameters pgaudit.log and pgaudit.log_parameter',
    why: 'Reads, role changes and DDL leave no row in the audit trail; pgaudit with no class records none of them.',
    mend: 'server.auditClasses in the environment file; deploy.',
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
  {
    id: 'SET-016',
    group: 'settings',
    severity: 'high',
    title: "Every parameter has the environment's value",
    looksAt:
      'pg_settings against the parameters of the deployment; those that Azure keeps outside PostgreSQL (pgbouncer.*, metrics.*) cannot be seen here',
    why: "A value that was changed in the portal is in force and in no review; a restored server, or one that was promoted, has another's.",
    mend: 'Deploy the environment, or take the value into its file.',
    source: 'docs/decisions.md, 8; Microsoft Learn, Read replicas and Backup and restore',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      if (!snapshot.server.isAzure)
        return skip("the server is not Azure's: the deployment did not set its parameters");
      const names = Object.entries(deployment.parameters);
      const visible = names.filter(([name]) => snapshot.settings.has(name));
      return judge(
        `${visible.length} of ${counted(names.length, 'parameter')}`,
        visible.flatMap(([name, wanted]): Finding[] => {
          const found = snapshot.settings.get(name)?.value ?? '';
          // Waiting for a restart is SET-001's to say.
          if (sameValue(found, wanted) || snapshot.settings.get(name)?.pendingRestart) return [];
          return [{ object: `parameter ${name}`, detail: `is ${found || "''"}, settings say ${wanted}` }];
        }),
      );
    },
  },
  {
    id: 'SET-017',
    group: 'settings',
    severity: 'high',
    title: 'The version is supported, for half a year at least',
    looksAt: 'server_version_num, and the dates on which versions stop getting fixes',
    why: 'After its end of life a version gets no security fixes, and Azure bills extended support for it without asking.',
    mend: 'Raise server.version and follow the runbook for major upgrades.',
    source: 'https://www.postgresql.org/support/versioning/; docs/decisions.md, 25',
    run: ({ snapshot }) => {
      const major = Math.floor(snapshot.server.version / 10_000);
      const object = `PostgreSQL ${major}`;
      const newest = majorVersions.at(-1)?.version ?? 0;
      if (!supportedVersions.includes(major)) {
        const detail = major > newest ? 'is newer than what is tested here' : 'is not supported here';
        return judge(object, [{ object, detail }]);
      }
      const end = majorVersion(major)?.endOfLife ?? '';
      const left = Math.floor((new Date(end).getTime() - snapshot.server.now.getTime()) / day);
      return judge(
        `${object}, supported until ${end}`,
        left < 180 ? [{ object, detail: `gets no fixes after ${end}` }] : [],
      );
    },
  },
  {
    id: 'SET-018',
    group: 'settings',
    severity: 'high',
    title: "The version is the environment's",
    looksAt: 'server_version_num against the version of the deployment',
    why: 'A server that was upgraded by hand is planned for replacement by the next deployment.',
    mend: 'Set server.version to what the server is.',
    source: 'docs/decisions.md, 25',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      const major = Math.floor(snapshot.server.version / 10_000);
      return judge(
        `PostgreSQL ${major}`,
        major === deployment.version
          ? []
          : [{ object: `PostgreSQL ${major}`, detail: `settings say ${deployment.version}` }],
      );
    },
  },
  {
    id: 'SET-019',
    group: 'settings',
    severity: 'critical',
    title: 'Transaction ids are far from running out',
    looksAt: 'age(pg_database.datfrozenxid) against one billion of the two that there are',
    why: 'Before they run out the server stops taking writes, and then only hours of vacuum help.',
    mend: 'Find what holds vacuum back (an old transaction, a slot, a prepared transaction), then VACUUM (FREEZE) the oldest tables.',
    source: 'PostgreSQL manual, Preventing Transaction ID Wraparound Failures; check_postgres txn_wraparound',
    run: ({ snapshot }) => {
      const { frozenAge, database } = snapshot.server;
      const millions = Math.round(frozenAge / 1e6);
      return judge(
        `${millions} million of 2,000`,
        frozenAge > 1e9
          ? [{ object: `database ${database}`, detail: `oldest row is ${millions} million old` }]
          : [],
      );
    },
  },
];
