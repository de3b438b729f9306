/** Parameters of which a value is a control, and those of which a value has an effect on clients. */
import type { Judgement } from './row.ts';

const cis = (id: string) => `CIS Azure Database Services 2.0, ${id}`;

export interface Control {
  /** Whether the step from one value to the other weakens it. */
  weakens(before: string | undefined, after: string | undefined): boolean;
  readonly impact: 'security-weakened' | 'recovery-weakened';
  readonly says: string;
  readonly controls?: readonly string[];
}

export const isOff = (value: string | undefined) =>
  ['off', 'false', 'no', '0'].includes(value?.toLowerCase() ?? '');
const turnedOff = (before: string | undefined, after: string | undefined) => isOff(after) && !isOff(before);
const isOn = (value: string | undefined) => ['on', 'true', 'yes', '1'].includes(value?.toLowerCase() ?? '');
/** The escapes of a prefix of the log: `%u`. */
const prefixes = (value: string | undefined): readonly string[] => value?.match(/%\d*[a-zA-Z]/g) ?? [];
const members = (value: string | undefined) =>
  (value ?? '')
    .split(',')
    .map((one) => one.trim().toLowerCase())
    .filter(Boolean);
export const lost = (before: string | undefined, after: string | undefined) =>
  members(before).filter((one) => !members(after).includes(one));
const lower = (order: readonly string[]) => (before: string | undefined, after: string | undefined) =>
  order.indexOf(after?.toLowerCase() ?? '') < order.indexOf(before?.toLowerCase() ?? '');

const logged = (says: string, control?: string): Control => ({
  weakens: turnedOff,
  impact: 'security-weakened',
  says: `the log no longer has ${says}`,
  ...(control === undefined ? {} : { controls: [control] }),
});

/** Of the log, from the fewest messages to the most. */
const messageLevels = [
  ...['panic', 'fatal', 'log', 'error', 'warning', 'notice', 'info'],
  ...['debug1', 'debug2', 'debug3', 'debug4', 'debug5'],
];

/** Parameters of which a value is a control. */
export const parameterControls: Readonly<Record<string, Control>> = {
  require_secure_transport: {
    weakens: turnedOff,
    impact: 'security-weakened',
    says: 'connections without TLS are accepted',
    controls: [cis('6.10'), 'MCSB DP-3'],
  },
  ssl_min_protocol_version: {
    weakens: lower(['', 'tlsv1', 'tlsv1.1', 'tlsv1.2', 'tlsv1.3']),
    impact: 'security-weakened',
    says: 'older versions of TLS are accepted',
    controls: [cis('6.11'), 'MCSB DP-3'],
  },
  ssl_max_protocol_version: {
    weakens: (before, after) =>
      (after ?? '') !== '' && lower(['tlsv1', 'tlsv1.1', 'tlsv1.2', 'tlsv1.3', ''])(before ?? '', after),
    impact: 'security-weakened',
    says: 'newer versions of TLS are not offered',
  },
  password_encryption: {
    weakens: (before, after) => after === 'md5' && before !== 'md5',
    impact: 'security-weakened',
    says: 'new passwords are stored as MD5',
  },
  'azure.accepted_password_auth_method': {
    weakens: (before, after) => members(after).includes('md5') && !members(before).includes('md5'),
    impact: 'security-weakened',
    says: 'MD5 passwords are accepted',
  },
  'connection_throttle.enable': {
    ...logged(''),
    says: 'failed logins are not slowed down',
    controls: [cis('6.5')],
  },
  'logfiles.retention_days': {
    weakens: (before, after) => Number(after) < Number(before),
    impact: 'security-weakened',
    says: 'log files are kept for fewer days',
    controls: [cis('6.6')],
  },
  log_checkpoints: logged('checkpoints', cis('6.7')),
  log_disconnections: logged('ends of sessions', cis('6.8')),
  log_connections: logged('logins', cis('6.9')),
  log_lock_waits: logged('waits for locks'),
  log_duration: logged('durations'),
  log_statement: {
    weakens: lower(['none', 'ddl', 'mod', 'all']),
    impact: 'security-weakened',
    says: 'the log has fewer statements',
    controls: ['MCSB LT-3'],
  },
  log_min_messages: {
    weakens: lower(messageLevels),
    impact: 'security-weakened',
    says: 'the log has fewer messages',
  },
  log_min_error_statement: {
    weakens: lower(messageLevels),
    impact: 'security-weakened',
    says: 'fewer failed statements are in the log',
  },
  'pgaudit.log': {
    weakens: (before, after) => {
      const kept = members(after);
      const had = members(before).filter((one) => one !== 'none');
      // `all,-read`: a class may be taken out again.
      const isTakenOut = kept.some((one) => one.startsWith('-') && !had.includes(one));
      return isTakenOut || (!kept.includes('all') && had.some((one) => !kept.includes(one)));
    },
    impact: 'security-weakened',
    says: 'pgAudit records fewer classes of statements',
    controls: ['MCSB LT-3'],
  },
  'pgaudit.log_catalog': { ...logged(''), says: 'pgAudit leaves out reads of the catalogs' },
  'pgaudit.log_parameter': logged('the values of audited statements'),
  'pgaudit.log_relation': logged('the tables of audited statements'),
  'pgaudit.log_rows': logged('the number of rows of audited statements'),
  'pgaudit.log_statement': logged('the text of audited statements'),
  'pgaudit.log_statement_once': {
    weakens: (before, after) => isOn(after) && !isOn(before),
    impact: 'security-weakened',
    says: 'the log has the text of an audited statement only once',
  },
  'pgaudit.role': {
    weakens: (before, after) => (before ?? '') !== '' && before !== after,
    impact: 'security-weakened',
    says: 'pgAudit no longer follows the grants of its role',
    controls: ['MCSB LT-3'],
  },
  'cron.log_run': logged('the runs of scheduled jobs'),
  log_error_verbosity: {
    weakens: lower(['terse', 'default', 'verbose']),
    impact: 'security-weakened',
    says: 'the log has fewer details of an error',
  },
  log_line_prefix: {
    weakens: (before, after) => prefixes(before).some((one) => !prefixes(after).includes(one)),
    impact: 'security-weakened',
    says: 'lines of the log have less of their origin',
  },
  session_replication_role: {
    weakens: (_, after) => after === 'replica',
    impact: 'security-weakened',
    says: 'triggers and foreign keys no longer act in new sessions, so that audit triggers record nothing and rows may contradict each other',
  },
  event_triggers: { ...logged(''), says: 'event triggers no longer act' },
  lo_compat_privileges: {
    weakens: (before, after) => isOn(after) && !isOn(before),
    impact: 'security-weakened',
    says: 'every role may read and write large objects',
  },
  standard_conforming_strings: {
    ...logged(''),
    says: 'a backslash escapes in plain strings, so that quoting of clients may fail',
  },
  backslash_quote: {
    weakens: (before, after) => isOn(after) && !isOn(before),
    impact: 'security-weakened',
    says: 'a quote may be escaped by a backslash, so that quoting of clients may fail',
  },
  'azure.extensions': {
    weakens: (before, after) => lost(before, after).includes('pgaudit'),
    impact: 'security-weakened',
    says: 'the audit extension pgaudit is no longer allowed',
    controls: ['MCSB LT-3'],
  },
  shared_preload_libraries: {
    weakens: (before, after) => lost(before, after).includes('pgaudit'),
    impact: 'security-weakened',
    says: 'pgaudit is not loaded, so nothing is audited',
    controls: ['MCSB LT-3'],
  },
  row_security: { ...logged(''), says: 'queries that row-level security filters fail' },
  synchronous_commit: {
    weakens: lower(['off', 'local', 'remote_write', 'on', 'remote_apply']),
    impact: 'recovery-weakened',
    says: 'a crash loses transactions that clients were answered',
  },
  fsync: { ...logged(''), impact: 'recovery-weakened', says: 'a crash damages the database' },
  full_page_writes: { ...logged(''), impact: 'recovery-weakened', says: 'a crash damages the database' },
  autovacuum: {
    ...logged(''),
    impact: 'recovery-weakened',
    says: 'nothing prevents bloat and the end of transaction ids',
  },
};

/** The effect of a value on clients, beside when it takes effect. */
export const parameterEffects: Readonly<
  Record<string, (before: string | undefined, after: string | undefined) => Judgement | undefined>
> = {
  default_transaction_read_only: (before, after) =>
    isOn(after) && !isOn(before)
      ? { impact: 'read-only', says: 'new sessions read, and their writes fail until they say otherwise' }
      : undefined,
  'pgbouncer.enabled': (before, after) =>
    isOff(after) && !isOff(before)
      ? { impact: 'long-outage', says: 'PgBouncer stops: clients of port 6432 can no longer connect' }
      : undefined,
  require_secure_transport: (before, after) =>
    isOn(after) && !isOn(before)
      ? { impact: 'online', says: 'clients without TLS fail at their next connection' }
      : undefined,
  ssl_min_protocol_version: (before, after) =>
    before !== after
      ? { impact: 'online', says: 'clients with an older TLS than the minimum fail at their next connection' }
      : undefined,
  'azure.accepted_password_auth_method': (before, after) =>
    lost(before, after).length > 0
      ? {
          impact: 'online',
          says: `passwords stored as ${lost(before, after).join(', ')} fail at their next connection`,
        }
      : undefined,
  wal_level: (before, after) =>
    before === 'logical' && after !== 'logical'
      ? {
          impact: 'recovery-weakened',
          says: 'logical replication ends: its slots have nothing to decode any more',
        }
      : undefined,
};
