/** Functions, triggers and search paths. */
import type { AlterFunctionStmt, CreateFunctionStmt } from 'libpg-query';
import { applicationRole, writesAuditTrail } from '../../../schema/roles.ts';
import { changes, dropped } from '../commands.ts';
import { type Family, type Problem, type Rule, standIn } from '../rule.ts';
import { occurrences } from '../section.ts';
import { all, dotted, is, nameOf, objectNames, option, relationsIn, roleName, textOf } from '../tree.ts';

/** REVOKE … FROM PUBLIC, by the names of its objects. */
const revokedFromPublic = occurrences(({ node }) => {
  const revoke = is(node, 'GrantStmt');
  if (!revoke || revoke.is_grant === true) return [];
  const fromPublic = all(revoke.grantees, 'RoleSpec').some((role) => roleName(role) === 'public');
  return fromPublic ? objectNames(revoke.objects) : [];
});

/** CREATE TRIGGER, by its table. */
const triggerCreated = occurrences(({ node }) => {
  const trigger = is(node, 'CreateTrigStmt');
  return trigger ? [nameOf(trigger.relation)] : [];
});

const rules: readonly Rule[] = [
  {
    id: 'definer-search-path',
    severity: 'critical',
    title: 'SECURITY DEFINER functions set a search_path that ends with pg_temp',
    why: 'PostgreSQL searches pg_temp first unless the path names it, so a temporary table of the application role was used with the privileges of the function owner',
    remedy: 'Add SET search_path = pg_catalog, pg_temp, and qualify every name with its schema.',
    source: 'reproduced on 15 and 18; splinter 0011; pgrls SEC015',
    *check({ node }) {
      const changed = is(node, 'AlterFunctionStmt');
      if (changed) yield* searchPathAfter(changed);
      const fn = is(node, 'CreateFunctionStmt');
      if (!fn || textOf(option(fn.options, 'security')?.arg) !== 'true') return;
      const path = searchPath(fn.options);
      if (path === undefined) yield { detail: `${dotted(fn.funcname)} sets no search_path` };
      else if (path.at(-1) !== 'pg_temp') yield { detail: `${dotted(fn.funcname)} sets ${shown(path)}` };
    },
  },
  {
    id: 'function-search-path',
    severity: 'medium',
    title: 'Functions set their search_path',
    why: 'otherwise the path of the caller decides about its names, and since version 17 maintenance commands use another path than the application, so indexes and views with such functions fail',
    remedy: 'Add SET search_path = pg_catalog, pg_temp.',
    source: 'splinter 0011; reproduced on 18',
    *check({ node }) {
      const fn = is(node, 'CreateFunctionStmt');
      if (!fn || textOf(option(fn.options, 'security')?.arg) === 'true') return;
      // The names in BEGIN ATOMIC are resolved when the function is created.
      if (fn.sql_body === undefined && searchPath(fn.options) === undefined)
        yield { detail: `${dotted(fn.funcname)} sets no search_path` };
    },
  },
  {
    id: 'definer-open-to-public',
    severity: 'critical',
    title: 'The file that creates a SECURITY DEFINER function revokes EXECUTE from PUBLIC',
    why: 'by default every role may execute a new function, and this one runs with the privileges of its owner',
    remedy: 'REVOKE ALL ON FUNCTION … FROM PUBLIC, then GRANT EXECUTE to the roles that need it.',
    source: 'reproduced on 15 and 18; splinter 0028 and 0029',
    *check(statement, at) {
      const fn = is(statement.node, 'CreateFunctionStmt');
      if (!fn || textOf(option(fn.options, 'security')?.arg) !== 'true') return;
      const name = dotted(fn.funcname);
      // A replaced function keeps its privileges.
      if (fn.replace === true && at.schema.functions.has(name)) return;
      if (!revokedFromPublic.anywhere(at, name)) yield { detail: `PUBLIC may execute ${name}` };
    },
  },
  {
    id: 'unqualified-name',
    severity: 'medium',
    title: 'Relations are qualified with their schema',
    why: 'migrations run with an empty search_path, in which unqualified names fail; inside a function, a temporary table of that name takes precedence',
    remedy: 'Add the schema, as in llama.storage_records or pg_catalog.pg_class.',
    source: 'squawk require-table-schema; pgrls SEC015',
    sections: ['up', 'down'],
    places: ['migration', 'block', 'function'],
    *check({ node, place, top }) {
      // Statements inside a function are inspected on their own; BEGIN ATOMIC is part of the same tree.
      if (is(node, 'CreateFunctionStmt') && place === 'migration') return;
      const fn = is(top.node, 'CreateFunctionStmt');
      const own = new Set(
        all(is(top.node, 'CreateTrigStmt')?.transitionRels, 'TriggerTransition').map(({ name }) => name),
      );
      for (const relation of relationsIn(node)) {
        const name = relation.relname ?? '';
        if (relation.schemaname !== undefined || relation.relpersistence === 't' || own.has(name)) continue;
        // With a search_path, a function finds catalogs first. NEW, OLD and transition tables are not relations.
        if (
          place === 'function' &&
          (name.startsWith('pg_')
            ? searchPath(fn?.options) !== undefined
            : /^(new|old)(_rows|_table)?$/.test(name))
        )
          continue;
        if (name === '' || name.includes(standIn)) continue;
        yield { detail: `${name} is not qualified`, location: relation.location };
      }
    },
  },
  {
    id: 'trigger-disabled',
    severity: 'critical',
    title: 'Triggers stay enabled',
    why: 'triggers write the audit trail, so changes without them are not recorded',
    remedy: 'Leave them enabled; the trail then records the changes of the migration.',
    source: 'reproduced on 15: the owner can disable a trigger and edit unaudited',
    places: ['migration', 'block', 'function'],
    *check(statement) {
      for (const { table, command } of changes(statement)) {
        if (/^AT_DisableTrig|^AT_EnableReplicaTrig/.test(command.subtype ?? ''))
          yield { detail: `triggers of ${table} are disabled` };
      }
      const set = is(statement.node, 'VariableSetStmt');
      if (
        set?.name === 'session_replication_role' &&
        set.kind === 'VAR_SET_VALUE' &&
        textOf(set.args?.[0]) !== 'origin'
      ) {
        yield { detail: 'session_replication_role disables all triggers' };
      }
    },
  },
  {
    id: 'trigger-dropped',
    severity: 'critical',
    title: 'A file that drops a trigger creates one on the same table afterwards',
    why: 'triggers write the audit trail, so later changes would not be recorded',
    remedy: 'Add CREATE TRIGGER to the same file, after the DROP.',
    source: 'migrations/0008_audit_trail.sql',
    *check(statement, at) {
      for (const name of dropped(statement, 'OBJECT_TRIGGER')) {
        const table = name.split('.').slice(0, -1).join('.');
        if (!triggerCreated.after(at, statement, table))
          yield { detail: `${name.split('.').at(-1)} of ${table} is dropped` };
      }
    },
  },
  {
    id: 'function-open-to-public',
    severity: 'high',
    title: 'PUBLIC may execute no function',
    why: 'default privileges close the functions of llama_owner only; PostgreSQL lets every role execute a function that another role creates',
    remedy: 'REVOKE ALL ON FUNCTION … FROM PUBLIC in the same file.',
    source: 'check ISO-025; PostgreSQL manual, CREATE FUNCTION',
    *check(statement, at) {
      const fn = is(statement.node, 'CreateFunctionStmt');
      // definer-open-to-public reports the others.
      if (!fn || at.role === 'llama_owner' || textOf(option(fn.options, 'security')?.arg) === 'true') return;
      const name = dotted(fn.funcname);
      if (fn.replace === true && at.schema.functions.has(name)) return;
      if (!revokedFromPublic.anywhere(at, name)) yield { detail: `PUBLIC may execute ${name}` };
    },
  },
  {
    id: 'definer-reads-no-tenant',
    severity: 'critical',
    title: 'SECURITY DEFINER functions that tenants may call read the tenant of the transaction',
    why: 'such a function runs with the policies of its owner, so the caller would choose the tenant',
    remedy:
      "Filter by current_setting('app.current_tenant_id', true) inside the function, or REVOKE EXECUTE FROM application_role.",
    source: 'check ISO-026; pgrls SEC014',
    *atEnd(schema) {
      for (const [name, { definer, trigger, callers, source }] of schema.functions) {
        const open = definer && !trigger && (callers.has(applicationRole) || callers.has('public'));
        const reads = /\bapp\.current_tenant_id\b/.test(source);
        yield {
          table: name,
          detail: name,
          parts: open && !reads ? ['does not read app.current_tenant_id'] : [],
        };
      }
    },
  },
  {
    id: 'leakproof-function',
    severity: 'high',
    title: 'No function is LEAKPROOF',
    why: 'a leakproof function may run before the condition of a policy, on rows of other tenants',
    remedy: 'Remove LEAKPROOF.',
    source: 'check ISO-035; pgrls SEC017',
    *check({ node }) {
      const changed = is(node, 'AlterFunctionStmt');
      const fn = is(node, 'CreateFunctionStmt');
      const given = option(fn?.options ?? changed?.actions, 'leakproof');
      if (textOf(given?.arg) === 'true')
        yield { detail: `${dotted(fn?.funcname ?? changed?.func?.objname)} is LEAKPROOF` };
    },
  },
  {
    id: 'audit-function-changed',
    severity: 'high',
    title: 'The trigger functions that write the audit trail keep writing it',
    why: 'all audited tables share them, so a replaced body stops the trail of every table',
    remedy: 'Keep the INSERT INTO llama.audit_trail in the function.',
    source: 'migrations/0008_audit_trail.sql; checks AUD-001 and AUD-005',
    *check({ node }, at) {
      const changed = is(node, 'AlterFunctionStmt');
      const name = dotted(changed?.func?.objname);
      const before = at.schema.functions.get(name);
      const security = option(changed?.actions, 'security');
      if (before && writesAuditTrail(before.source) && security && textOf(security.arg) !== 'true')
        yield { detail: `${name} becomes SECURITY INVOKER` };
      const fn = is(node, 'CreateFunctionStmt');
      const known = at.schema.functions.get(dotted(fn?.funcname));
      if (!fn || !known?.trigger || !writesAuditTrail(known.source)) return;
      const as = option(fn.options, 'as')?.arg;
      const source = textOf(is(as, 'List')?.items?.[0] ?? as) ?? '';
      const lost = [
        ...(writesAuditTrail(source) ? [] : ['no longer writes llama.audit_trail']),
        ...(textOf(option(fn.options, 'security')?.arg) === 'true' ? [] : ['is no longer SECURITY DEFINER']),
      ];
      for (const detail of lost) yield { detail: `${dotted(fn.funcname)} ${detail}` };
    },
  },
];

export const family: Family = { title: 'Functions and triggers', rules };

/** The faults of a search path after ALTER FUNCTION. */
function* searchPathAfter({ func, actions }: AlterFunctionStmt): Iterable<Problem> {
  const name = dotted(func?.objname);
  const sets = all(actions, 'DefElem').flatMap(({ arg }) => is(arg, 'VariableSetStmt') ?? []);
  const lost = sets.some(
    ({ kind, name: of }) => kind === 'VAR_RESET_ALL' || (kind === 'VAR_RESET' && of === 'search_path'),
  );
  const path = searchPath(actions);
  if (lost) yield { detail: `${name} loses its search_path` };
  else if (path && path.at(-1) !== 'pg_temp') yield { detail: `${name} sets ${shown(path)}` };
  else if (!path && textOf(option(actions, 'security')?.arg) === 'true')
    yield { detail: `${name} becomes SECURITY DEFINER without a search_path` };
}

function shown(path: readonly string[]): string {
  return path.length === 0 ? 'an empty search_path' : `search_path ${path.join(', ')}`;
}

/** The schemas of a function's SET search_path; undefined if it has none. */
function searchPath(options: CreateFunctionStmt['options'] | undefined): string[] | undefined {
  for (const { defname, arg } of all(options, 'DefElem')) {
    const set = is(arg, 'VariableSetStmt');
    if (defname !== 'set' || set?.name !== 'search_path' || set.kind !== 'VAR_SET_VALUE') continue;
    return (set.args ?? []).map((schema) => textOf(schema) ?? '').filter((name) => name !== '');
  }
  return undefined;
}
