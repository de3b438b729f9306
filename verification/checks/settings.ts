import { majorVersion, majorVersions, supportedVersions } from '../../azure/versions.ts';
import { placeOf } from '../../database/overrides.ts';
import { checksOf, type Finding } from '../check.ts';
import { blind, counted, hiddenSettings, judge, skip } from '../outcome.ts';
import { limited, parameters, sameValue } from '../parameters.ts';

const day = 24 * 3600 * 1000;

/** Days of support that a version must have left, so that an upgrade can be planned. */
const supportDays = 180;
/** Age in transactions at which half of the transaction ids are used. */
const frozenAgeLimit = 1e9;

const protocols = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
const strongEnough = (protocol: string) => protocols.indexOf(protocol) >= protocols.indexOf('TLSv1.2');

export const checks = checksOf('settings', [
  {
    id: 'SET-001',
    name: 'no-pending-restart',
    loses: 'review',
    title: 'No parameter waits for a restart',
    inspects: 'pg_settings.pending_restart',
    why: 'The server runs with another value than the settings until the next restart, at a time that nobody chose.',
    remedy: 'Run llama-db post-deploy, which restarts once if a change is pending.',
    source: 'docs/decisions.md, 9',
    run: ({ snapshot }) =>
      hiddenSettings(snapshot) ??
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
    loses: 'secrets',
    title: 'The server accepts only TLS 1.2 or newer',
    inspects: 'parameters ssl, ssl_min_protocol_version, and require_secure_transport if the server has it',
    why: 'Without TLS, tokens of logins and rows of tenants travel in clear.',
    remedy:
      'Set ssl_min_protocol_version to TLSv1.3 and require_secure_transport to on in the environment file, and deploy.',
    source: 'Microsoft Learn, TLS in Azure Database for PostgreSQL',
    run: ({ snapshot }) => {
      const value = (name: string) => snapshot.settings.get(name)?.value;
      const minimum = value('ssl_min_protocol_version');
      if (minimum === undefined) return blind('the login may not read ssl_min_protocol_version');
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
    loses: 'secrets',
    title: 'The connection of the verification is encrypted',
    inspects: 'pg_stat_ssl of the session that verifies: the negotiated TLS, not the configured one',
    why: 'A proxy or a tunnel can end TLS before the server.',
    remedy: 'Connect to the server directly with sslmode=verify-full.',
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
    loses: 'availability',
    title: 'Statements, lock waits and idle transactions have a timeout',
    inspects: 'parameters statement_timeout, lock_timeout, idle_in_transaction_session_timeout',
    why: 'One forgotten transaction stops vacuum on the whole server, and one statement that waits for a lock makes every later one wait.',
    remedy: 'Set them in the environment file. A job that needs longer sets its own limit in its session.',
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
    loses: 'availability',
    title: 'Autovacuum is enabled on the server and on every table',
    inspects: 'parameters autovacuum and track_counts, and autovacuum_enabled of tables',
    why: 'Without it tables bloat, statistics age, and the server finally stops accepting writes to protect its transaction ids.',
    remedy: 'Set both parameters to on; ALTER TABLE … RESET (autovacuum_enabled).',
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
          detail: 'disables autovacuum',
        })),
      ]);
    },
  },
  {
    id: 'SET-011',
    name: 'server-accepts-writes',
    loses: 'service',
    title: 'The server accepts writes',
    inspects:
      'parameter default_transaction_read_only of the server, and its values in pg_db_role_setting: of each role, database and pair of them',
    why: 'Azure sets it when the disk is nearly full, and every role can set it for itself; from then on every write fails.',
    remedy: 'Enlarge the storage (server.storage.sizeGb), or ALTER ROLE … RESET (ALTER DATABASE … RESET).',
    source: 'Microsoft Learn, Limits (storage)',
    run: ({ snapshot }) => {
      const server = snapshot.settings.get('default_transaction_read_only')?.value;
      return judge(`default_transaction_read_only = ${server}`, [
        ...(server === 'off'
          ? []
          : [{ object: 'parameter default_transaction_read_only', detail: `is ${server}` }]),
        ...snapshot.roleSettings
          .filter(
            ({ name, value }) =>
              name === 'default_transaction_read_only' && !/^(off?|fa?l?s?e?|no?|0)$/i.test(value),
          )
          .map((override) => ({
            object: placeOf(override),
            detail: `sets default_transaction_read_only to ${override.value}`,
          })),
      ]);
    },
  },
  {
    id: 'SET-012',
    name: 'commits-durable',
    loses: 'recovery',
    title: 'A confirmed commit survives a crash',
    inspects:
      'parameter synchronous_commit of the server, and settings of roles and the database that override it',
    why: 'With off, the last confirmed transactions are lost when the server crashes, including their audit rows.',
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
        return skip("the server is not Azure's: its operator set synchronous_commit to off");
      }
      if (server === 'off') findings.push({ object: 'parameter synchronous_commit', detail: 'is off' });
      return judge(`synchronous_commit = ${server}`, findings);
    },
  },
  {
    id: 'SET-013',
    name: 'encoding-utf8',
    loses: 'correctness',
    title: 'The database encoding is UTF-8',
    inspects: 'pg_database.encoding',
    why: 'Any other encoding rejects characters that tenants send, or stores them unconverted, and it cannot be changed later.',
    remedy: 'Create a new database with encoding UTF8, and move the data.',
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
    loses: 'barrier',
    title: 'Passwords are stored as SCRAM verifiers',
    inspects: 'parameter password_encryption',
    why: 'Anyone who reads an md5 hash can log in with it.',
    remedy: 'Set password_encryption to scram-sha-256, and set every password again.',
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
    loses: 'review',
    title: 'Every parameter has the value of the environment',
    inspects:
      'pg_settings against the parameters of the deployment; AZU-024 covers those that Azure keeps outside PostgreSQL (pgbouncer.*, metrics.*)',
    why: 'A value that was changed in the portal is in force without a review. A restored or promoted server has other values.',
    remedy: 'Deploy the environment, or put the value into its file.',
    source: 'docs/decisions.md, 8; Microsoft Learn, Read replicas and Backup and restore',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      if (!snapshot.server.isAzure)
        return skip("the server is not Azure's: the deployment does not set its parameters");
      const hidden = hiddenSettings(snapshot);
      if (hidden) return hidden;
      const names = Object.entries(deployment.parameters);
      const visible = names.filter(([name]) => snapshot.settings.has(name));
      return judge(
        `${visible.length} of ${counted(names.length, 'parameter')}`,
        visible.flatMap(([name, wanted]): Finding[] => {
          const found = snapshot.settings.get(name)?.value ?? '';
          // SET-001 reports a parameter that waits for a restart.
          if (sameValue(found, wanted) || snapshot.settings.get(name)?.pendingRestart) return [];
          return [{ object: `parameter ${name}`, detail: `is ${found || "''"}, expected ${wanted}` }];
        }),
      );
    },
  },
  {
    id: 'SET-017',
    name: 'version-supported',
    loses: 'barrier',
    title: `The PostgreSQL version is supported for at least ${supportDays} days`,
    inspects: 'server_version_num, and the end-of-life dates of major versions',
    why: 'After its end of life a version gets no security fixes, and Azure charges for extended support without asking.',
    remedy: 'Raise server.version and follow the steps of a major upgrade.',
    source: 'https://www.postgresql.org/support/versioning/; docs/decisions.md, 25',
    run: ({ snapshot }) => {
      const major = Math.floor(snapshot.server.version / 10_000);
      const object = `PostgreSQL ${major}`;
      const newest = majorVersions.at(-1)?.version ?? 0;
      if (!supportedVersions.includes(major)) {
        const detail = major > newest ? 'is newer than the tested versions' : 'is not supported here';
        return judge(object, [{ object, detail }]);
      }
      const end = majorVersion(major)?.endOfLife ?? '';
      const left = Math.floor((new Date(end).getTime() - snapshot.server.now.getTime()) / day);
      return judge(
        `${object}, supported until ${end}`,
        left < supportDays ? [{ object, detail: `gets no fixes after ${end}` }] : [],
      );
    },
  },
  {
    id: 'SET-018',
    name: 'version-matches-settings',
    loses: 'availability',
    title: 'The PostgreSQL version matches the environment',
    inspects: 'server_version_num against the version of the deployment',
    why: 'The next deployment plans the replacement of a server that was upgraded by hand.',
    remedy: 'Set server.version to the version of the server.',
    source: 'docs/decisions.md, 25',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      const major = Math.floor(snapshot.server.version / 10_000);
      return judge(
        `PostgreSQL ${major}`,
        major === deployment.version
          ? []
          : [{ object: `PostgreSQL ${major}`, detail: `the settings expect ${deployment.version}` }],
      );
    },
  },
  {
    id: 'SET-019',
    name: 'transaction-ids-not-exhausted',
    loses: 'service',
    title: 'Transaction ids are far from exhausted',
    inspects: 'age(pg_database.datfrozenxid), against one billion of the two billion ids',
    why: 'Before the ids are exhausted the server stops accepting writes, and only hours of vacuum restore it.',
    remedy:
      'Find what blocks vacuum (an old transaction, a slot, a prepared transaction), then VACUUM (FREEZE) the oldest tables.',
    source: 'PostgreSQL manual, Preventing Transaction ID Wraparound Failures; check_postgres txn_wraparound',
    run: ({ snapshot }) => {
      const { frozenAge, database } = snapshot.server;
      const millions = Math.round(frozenAge / 1e6);
      return judge(
        `${millions} million of 2,000`,
        frozenAge > frozenAgeLimit
          ? [
              {
                object: `database ${database}`,
                detail: `its oldest unfrozen row is ${millions} million transactions old`,
              },
            ]
          : [],
      );
    },
  },
]);
