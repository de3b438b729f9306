/** Functions, triggers and search paths. */
import type { AlterFunctionStmt, CreateFunctionStmt } from 'libpg-query';
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
