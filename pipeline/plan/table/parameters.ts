/** Rows about server parameters. Static ones come from the catalogue of parameters. */
import { isStatic, parameter, parametersInheritedByStandby, refusal } from '../../../azure/parameters.ts';
import { effectOf } from '../../../azure/postgresql-settings.ts';
import { Fault } from '../../../core/fault.ts';
import { textAt } from '../../../core/json.ts';
import { inOrder } from '../../../database/restart-order.ts';
import { type Context, parameterType, type ServerFacts } from '../context.ts';
import type { ResourceChange } from '../facts.ts';
import { shown } from '../values.ts';
import { type About, fateOf, type Judgement, type Row, sources } from './row.ts';

const cis = (id: string) => `CIS Azure Database Services 2.0, ${id}`;

interface Control {
  /** Whether the step from one value to the other weakens it. */
  weakens(before: string | undefined, after: string | undefined): boolean;
  readonly impact: 'security-weakened' | 'recovery-weakened';
  readonly says: string;
  readonly controls?: readonly string[];
}

const isOff = (value: string | undefined) => ['off', 'false', 'no', '0'].includes(value?.toLowerCase() ?? '');
const turnedOff = (before: string | undefined, after: string | undefined) => isOff(after) && !isOff(before);
const members = (value: string | undefined) =>
  (value ?? '')
    .split(',')
    .map((one) => one.trim().toLowerCase())
    .filter(Boolean);
const lost = (before: string | undefined, after: string | undefined) =>
  members(before).filter((one) => !members(after).includes(one));
const lower = (order: readonly string[]) => (before: string | undefined, after: string | undefined) =>
  order.indexOf(after?.toLowerCase() ?? '') < order.indexOf(before?.toLowerCase() ?? '');

const logged = (says: string, control?: string): Control => ({
  weakens: turnedOff,
  impact: 'security-weakened',
  says: `the log no longer has ${says}`,
  ...(control === undefined ? {} : { controls: [control] }),
});

/** Parameters of which a value is a control. */
const controls: Readonly<Record<string, Control>> = {
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
    controls: ['MCSB LT-4'],
  },
  log_min_messages: {
    weakens: lower([
      'panic',
      'fatal',
      'log',
      'error',
      'warning',
      'notice',
      'info',
      'debug1',
      'debug2',
      'debug3',
      'debug4',
      'debug5',
    ]),
    impact: 'security-weakened',
    says: 'the log has fewer messages',
  },
  log_min_error_statement: {
    weakens: lower([
      'panic',
      'fatal',
      'log',
      'error',
      'warning',
      'notice',
      'info',
      'debug1',
      'debug2',
      'debug3',
      'debug4',
      'debug5',
    ]),
    impact: 'security-weakened',
    says: 'fewer failed statements are in the log',
  },
  'pgaudit.log': {
    weakens: (before, after) => {
      const kept = members(after);
      const had = members(before).filter((one) => one !== 'none');
      return kept.includes('all')
        ? false
        : had.some((one) => !kept.includes(one)) ||
            kept.some((one) => one.startsWith('-') && !had.includes(one));
    },
    impact: 'security-weakened',
    says: 'pgAudit records fewer classes of statements',
    controls: ['MCSB LT-4'],
  },
  'pgaudit.log_catalog': { ...logged(''), says: 'pgAudit leaves out reads of the catalogs' },
  'pgaudit.log_client': { weakens: () => false, impact: 'security-weakened', says: '' },
  'azure.extensions': {
    weakens: (before, after) => lost(before, after).includes('pgaudit'),
    impact: 'security-weakened',
    says: 'the audit extension pgaudit is no longer allowed',
    controls: ['MCSB LT-4'],
  },
  shared_preload_libraries: {
    weakens: (before, after) => lost(before, after).includes('pgaudit'),
    impact: 'security-weakened',
    says: 'pgaudit is not loaded, so nothing is audited',
    controls: ['MCSB LT-4'],
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
  hot_standby_feedback: { weakens: () => false, impact: 'recovery-weakened', says: '' },
};

/** Name of the parameter. */
const nameOf = (change: ResourceChange) =>
  textAt(change.after, 'name') ?? textAt(change.before, 'name') ?? '';

/** Value before and after; Azure's default stands for a parameter that the plan does not set. */
function valuesOf({ change, attribute }: About): {
  readonly before: string | undefined;
  readonly after: string | undefined;
  readonly isUnknown: boolean;
} {
  const byDefault = parameter(nameOf(change))?.default;
  const isUnknown = attribute.isUnknown;
  return {
    before: textAt(change.before, 'value') ?? byDefault,
    after: textAt(change.after, 'value') ?? (isUnknown ? undefined : byDefault),
    isUnknown,
  };
}

function judge(about: About): Judgement[] {
  const { change, server } = about;
  const fate = fateOf(server);
  if (fate) return [fate];
  const name = nameOf(change);
  const { before, after, isUnknown } = valuesOf(about);
  const found: Judgement[] = [];
  const control = Object.hasOwn(controls, name) ? controls[name] : undefined;
  if (control && control.says !== '' && (isUnknown || control.weakens(before, after)))
    found.push({
      impact: control.impact,
      says: control.says,
      ...(control.controls ? { controls: control.controls } : {}),
    });
  if (name === 'azure.extensions') {
    const gone = lost(before, after);
    if (gone.length > 0 && !isUnknown)
      found.push({
        impact: 'online',
        says: `${gone.join(', ')} can no longer be created; Azure refuses the change while one is installed`,
      });
  }
  const known = parameter(name);
  const refused =
    known && known.apply !== 'read-only' && after !== undefined && change.action !== 'delete'
      ? refusal(known, name, after)
      : undefined;
  if (refused !== undefined)
    found.push({ impact: 'refused-by-azure', says: `Azure refuses the value: it ${refused}` });
  return [...found, ...(server ? limits(about, server) : []), inForce(about, name)];
}

/** When the value takes effect. */
function inForce({ context, change }: About, name: string): Judgement {
  const known = parameter(name);
  if (known?.apply === 'read-only')
    return { impact: 'refused-by-azure', says: `${name} is read-only: only Azure sets it` };
  const effect = known ? (isStatic(name) ? 'restart' : 'online') : effectOf(name);
  if (effect === undefined)
    return {
      impact: 'unknown',
      says: `${name} is in no catalogue: the change may wait for a restart or make one`,
    };
  const set = change.action === 'create' ? ` = ${shown(change.after['value'])}` : '';
  if (effect === 'online')
    return { impact: 'online', says: `${name}${set} takes effect at once, in new sessions at the latest` };
  const is = `${name}${set} is static`;
  if (context.facts.restartsForParameters)
    return {
      impact: 'restart',
      says: `${is}: the provider restarts the server at once, for this parameter alone`,
    };
  if (context.postDeploy)
    return {
      impact: 'restart',
      says: `${is}: the post-deploy step restarts the server once for all such parameters`,
      later: true,
    };
  return { impact: 'online', says: `${is}: it waits for the next restart, which this plan does not make` };
}

/** Limits that a standby needs at least as high as its primary has them. */
function limits({ change, context, attribute }: About, server: ServerFacts): Judgement[] {
  const name = nameOf(change);
  if (!parametersInheritedByStandby.includes(name)) return [];
  return context.partnersOf(server).flatMap((partner): Judgement[] => {
    const other = context.childrenOf(partner, parameterType).find((one) => nameOf(one) === name);
    const [primary, replica] = context.primaryOf(server) === partner ? [other, change] : [change, other];
    // The pair is reported once, at its primary if that changes.
    if (primary && primary !== change && primary.action !== 'nothing') return [];
    const rule = `a replica has at least the ${name} of its primary`;
    if (attribute.isUnknown)
      return [{ impact: 'refused-by-azure', says: rule, when: 'the value is too high for the replica' }];
    const value = (one: ResourceChange | undefined, side: 'before' | 'after') => {
      const text = one && textAt(one[side], 'value');
      return Number(text ?? parameter(name)?.default ?? Number.NaN);
    };
    const [was, is] = [value(primary, 'before'), value(primary, 'after')];
    const [had, has] = [value(replica, 'before'), value(replica, 'after')];
    if (is > has)
      return [
        { impact: 'refused-by-azure', says: `${rule}, and the primary would have ${is}, the replica ${has}` },
      ];
    if (!context.facts.restartsForParameters)
      return context.primaryOf(server) === partner
        ? restarts(partner, server, context)
        : restarts(server, partner, context);
    if (!primary || !replica) return [];
    const order = context.order(primary, replica);
    const wrong = is > had ? 'first' : was > has ? 'second' : undefined;
    if (wrong === undefined || (order !== wrong && order !== 'none')) return [];
    return [
      {
        impact: 'refused-by-azure',
        says: `${rule}: ${wrong === 'first' ? 'the replica rises first' : 'the primary falls first'}, and this plan ${order === 'none' ? 'sets no order' : 'changes them in the other order'}`,
        ...(order === 'none' ? { when: 'Terraform begins with the wrong one' } : {}),
      },
    ];
  });
}

/** Whether the post-deploy step finds an order for its restarts. */
function restarts(primary: ServerFacts, replica: ServerFacts, context: Context): Judgement[] {
  const parameters: Record<string, string> = {};
  const pending = (['primary', 'replica'] as const).map((which) => ({
    which,
    parameters: context
      .childrenOf(which === 'primary' ? primary : replica, parameterType)
      .filter(({ action }) => action === 'update' || action === 'create')
      .map((change) => {
        const name = nameOf(change);
        parameters[name] ??= textAt(change.after, 'value') ?? '';
        return { name, current: textAt(change.before, 'value') ?? parameter(name)?.default ?? '' };
      }),
  }));
  try {
    inOrder(
      pending.filter((one) => one.parameters.length > 0),
      { parameters, writer: 'primary' },
    );
    return [];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return [{ impact: 'refused-by-azure', says: `the post-deploy step refuses it: ${error.why}` }];
  }
}

const row = (id: string, on: Row['on']): Row => ({
  id: `parameter/${id}`,
  type: parameterType,
  on,
  source: sources.parameters,
  judge,
});

export const parameterRows: readonly Row[] = [
  row('value', ['value']),
  row('set', 'create'),
  row('reset', 'delete'),
  row('replaced', 'replace'),
];
