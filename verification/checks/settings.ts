import { majorVersion, majorVersions, supportedVersions } from '../../azure/versions.ts';
import { checksOf, type Finding } from '../check.ts';
import { counted, judge, skip } from '../outcome.ts';
import { limited, parameters, sameValue } from '../parameters.ts';

const day = 24 * 3600 * 1000;

const protocols = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
const strongEnough = (protocol: string) => protocols.indexOf(protocol) >= protocols.indexOf('TLSv1.2');

export const checks = checksOf('settings', [
  {
    id: 'SET-001',
    name: 'no-pending-restart',
    severity: 'high',
    title: 'No parameter waits for a restart',
    inspects: 'pg_settings.pending_restart',
    why: 'The settings say one thing and the server does another, until some restart in the middle of the day changes it.',
    remedy: 'llama-db post-deploy restarts once when something is pending.',
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
    name: 'tls-1-2-required',
    severity: 'critical',
    title: 'The server speaks TLS 1.2 or newer and nothing else',
    inspects:
      'parameters ssl, ssl_min_protocol_version, and require_secure_transport where the server has it',
    why: "Without it logins' tokens and tenants' rows travel in the clear.",
    remedy:
      'ssl_min_protocol_version TLSv1.3 and require_secure_transport on, in the environment file; deploy.',
    source: 'Microsoft Learn, TLS in Azure Database for PostgreSQL',
    run: ({ snapshot }) => {
      const value = (name: string) => snapshot.settings.get(name)?.value;
      const minimum = value('ssl_min_protocol_version');
      if (minimum === undefined) return skip('the login may not read ssl_min_protocol_version');
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
    name: 'connection-encrypted',
    severity: 'critical',
    title: 'This very connection is encrypted',
    inspects: 'pg_stat_ssl of the session that verifies: what was negotiated, not what is configured',
    why: 'A proxy or a tunnel can end TLS before the server.',
    remedy: 'Connect to the server itself with sslmode=verify-full.',
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
    id: 'SET-006',
    name: 'sessions-have-timeouts',
    severity: 'high',
    title: 'No session can wait or hold on for ever',
    inspects: 'parameters statement_timeout, lock_timeout, idle_in_transaction_session_timeout',
    why: 'One forgotten transaction stops vacuum for the whole server, and one statement that waits for a lock queues everybody behind it.',
    remedy: 'Set them in the environment file; whoever needs longer sets it in the session.',
    source: 'postgresai G003; pgdoctor session-settings',
    run: ({ snapshot }) =>
      parameters(
        snapshot,
        ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'].map(limited),
      ),
  },
  {
    id: 'SET-010',
    name: 'autovacuum-enabled',
    severity: 'high',
    title: 'Autovacuum works everywhere',
    inspects: 'parameters autovacuum and track_counts, and autovacuum_enabled of tables',
    why: 'Without it tables bloat, statistics age, and in the end the server stops taking writes to save its transaction ids.',
    remedy: 'Both on; ALTER TABLE … RESET (autovacuum_enabled).',
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
    name: 'server-accepts-writes',
    severity: 'critical',
    title: 'The server takes writes',
    inspects:
      'parameter default_transaction_read_only, on the server and in the settings of roles and the database',
    why: 'Azure switches it on when the disk is nearly full: every write fails from then on.',
    remedy:
      'Enlarge the storage (server.storage.sizeGb); remove a setting of a role or database that is meant for replicas.',
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
    name: 'commits-durable',
    severity: 'high',
    title: 'A commit that was confirmed survives a crash',
    inspects: 'parameter synchronous_commit, on the server and in the settings of roles and the database',
    why: 'With off the last confirmed transactions are lost with the server, the audit rows among them.',
    remedy: 'Remove it from the environment file, or ALTER ROLE … RESET synchronous_commit.',
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
    name: 'encoding-utf8',
    severity: 'high',
    title: 'The database stores UTF-8',
    inspects: 'pg_database.encoding',
    why: 'Anything else refuses characters that tenants send, or stores them unconverted; it cannot be changed later.',
    remedy: 'Create the database again with encoding UTF8, and move the data.',
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
    name: 'passwords-scram',
    severity: 'high',
    title: 'Passwords are stored as SCRAM verifiers',
    inspects: 'parameter password_encryption',
    why: 'An md5 hash can be used as the password itself by whoever reads it.',
    remedy: 'password_encryption = scram-sha-256, and set every password again.',
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
    id: 'SET-016',
    name: 'parameters-match-settings',
    severity: 'high',
    title: "Every parameter has the environment's value",
    inspects:
      'pg_settings against the parameters of the deployment; those that Azure keeps outside PostgreSQL (pgbouncer.*, metrics.*) cannot be seen here',
    why: "A value that was changed in the portal is in force and in no review; a restored server, or one that was promoted, has another's.",
    remedy: 'Deploy the environment, or take the value into its file.',
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
    name: 'version-supported',
    severity: 'high',
    title: 'The version is supported, for half a year at least',
    inspects: 'server_version_num, and the dates on which versions stop getting fixes',
    why: 'After its end of life a version gets no security fixes, and Azure bills extended support for it without asking.',
    remedy: 'Raise server.version and follow the runbook for major upgrades.',
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
    name: 'version-matches-settings',
    severity: 'high',
    title: "The version is the environment's",
    inspects: 'server_version_num against the version of the deployment',
    why: 'A server that was upgraded by hand is planned for replacement by the next deployment.',
    remedy: 'Set server.version to what the server is.',
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
    name: 'transaction-ids-not-exhausted',
    severity: 'critical',
    title: 'Transaction ids are far from running out',
    inspects: 'age(pg_database.datfrozenxid) against one billion of the two that there are',
    why: 'Before they run out the server stops taking writes, and then only hours of vacuum help.',
    remedy:
      'Find what holds vacuum back (an old transaction, a slot, a prepared transaction), then VACUUM (FREEZE) the oldest tables.',
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
]);
