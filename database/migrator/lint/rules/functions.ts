/** Functions, triggers and the search path. */
import type { AlterFunctionStmt, CreateFunctionStmt } from 'libpg-query';
import { type Problem, type Rule, standIn } from '../rule.ts';
import {
  all,
  dotted,
  every,
  is,
  nameOf,
  objectNames,
  option,
  relationsIn,
  roleName,
  textOf,
} from '../tree.ts';
import { changes } from './common.ts';
import { dropped } from './locks.ts';

export const functions: readonly Rule[] = [
  {
    id: 'definer-search-path',
    severity: 'critical',
    title: 'A SECURITY DEFINER function sets its search_path, with pg_temp last',
    why: "pg_temp is looked through first unless it is named: the application's role made a temporary table and the function used it with its owner's rights",
    instead: 'SET search_path = pg_catalog, pg_temp, and every name with its schema.',
    source: 'reproduced on 15 and 18; splinter 0011; pgrls SEC015',
    *check({ node }) {
      const changed = is(node, 'AlterFunctionStmt');
      if (changed) yield* searchPathAfter(changed);
      const fn = is(node, 'CreateFunctionStmt');
      if (!fn || textOf(option(fn.options, 'security')?.arg) !== 'true') return;
      const path = searchPath(fn.options);
      if (path === undefined) yield { detail: `${dotted(fn.funcname)} sets none` };
      else if (path.at(-1) !== 'pg_temp')
        yield { detail: `${dotted(fn.funcname)} sets ${path.join(', ') || 'an empty one'}` };
    },
  },
  {
    id: 'function-search-path',
    severity: 'medium',
    title: 'A function sets its search_path',
    why: 'otherwise its names mean what the caller wants; and from 17 on maintenance runs with another path than the application, so indexes and views that use it fail',
    instead: 'SET search_path = pg_catalog, pg_temp.',
    source: 'splinter 0011; reproduced on 18',
    *check({ node }) {
      const fn = is(node, 'CreateFunctionStmt');
      if (!fn || textOf(option(fn.options, 'security')?.arg) === 'true') return;
      // BEGIN ATOMIC is bound when the function is made.
      if (fn.sql_body === undefined && searchPath(fn.options) === undefined)
        yield { detail: `${dotted(fn.funcname)} sets none` };
    },
  },
  {
    id: 'definer-open-to-public',
    severity: 'critical',
    title: 'EXECUTE on a SECURITY DEFINER function is taken from PUBLIC in the file that makes it',
    why: 'everybody may run a new function, and this one runs with the rights of its owner',
    instead: 'REVOKE ALL ON FUNCTION … FROM PUBLIC, then GRANT EXECUTE to whom it is for.',
    source: 'reproduced on 15 and 18; splinter 0028 and 0029',
    *check(statement, at) {
      const fn = is(statement.node, 'CreateFunctionStmt');
      if (!fn || textOf(option(fn.options, 'security')?.arg) !== 'true') return;
      const name = dotted(fn.funcname);
      // Replacing a function leaves its privileges.
      if (fn.replace === true && at.schema.functions.has(name)) return;
      const taken = at.statements.some(({ node }) => {
        const revoke = is(node, 'GrantStmt');
        return (
          revoke !== undefined &&
          revoke.is_grant !== true &&
          all(revoke.grantees, 'RoleSpec').some((role) => roleName(role) === 'public') &&
          objectNames(revoke.objects).includes(name)
        );
      });
      if (!taken) yield { detail: `PUBLIC may run ${name}` };
    },
  },
  {
    id: 'unqualified-name',
    severity: 'medium',
    title: 'Relations are named with their schema',
    why: 'migrations run with an empty search_path, where such a name is not found; in a function a temporary table of that name comes first',
    instead: 'llama.storage_records, pg_catalog.pg_class.',
    source: 'squawk require-table-schema; pgrls SEC015',
    sections: ['up', 'down'],
    places: ['migration', 'block', 'function'],
    *check({ node, place, top }) {
      // What a function reads is looked at inside it; BEGIN ATOMIC is one tree with it.
      if (is(node, 'CreateFunctionStmt') && place === 'migration') return;
      const fn = is(top.node, 'CreateFunctionStmt');
      const own = new Set(
        every(top.node, 'CreateTrigStmt').flatMap(({ transitionRels }) =>
          all(transitionRels, 'TriggerTransition').map(({ name }) => name),
        ),
      );
      for (const relation of relationsIn(node)) {
        const name = relation.relname ?? '';
        if (relation.schemaname !== undefined || relation.relpersistence === 't' || own.has(name)) continue;
        // With its own path a function finds the catalogs first; NEW, OLD and transition tables are no relations.
        if (
          place === 'function' &&
          (name.startsWith('pg_')
            ? searchPath(fn?.options) !== undefined
            : /^(new|old)(_rows|_table)?$/.test(name))
        )
          continue;
        if (name === '' || name.includes(standIn)) continue;
        yield { detail: `${name} has no schema`, location: relation.location };
      }
    },
  },
  {
    id: 'trigger-disabled',
    severity: 'critical',
    title: 'Triggers stay enabled',
    why: 'the audit trail is written by triggers: what is changed without them has never happened',
    instead: 'Leave them on; the trail says what the migration did.',
    source: 'reproduced on 15: the owner can disable a trigger and edit unaudited',
    places: ['migration', 'block', 'function'],
    *check(statement) {
      for (const { table, command } of changes(statement)) {
        if (/^AT_DisableTrig|^AT_EnableReplicaTrig/.test(command.subtype ?? ''))
          yield { detail: `triggers of ${table}` };
      }
      const set = is(statement.node, 'VariableSetStmt');
      if (
        set?.name === 'session_replication_role' &&
        set.kind === 'VAR_SET_VALUE' &&
        textOf(set.args?.[0]) !== 'origin'
      ) {
        yield { detail: 'session_replication_role switches all of them off' };
      }
    },
  },
  {
    id: 'trigger-dropped',
    severity: 'critical',
    title: 'A trigger stays, or one of its table is made again in the same file',
    why: 'the audit trail is written by triggers: what is changed after the file has never happened',
    instead: 'CREATE TRIGGER in the same file, after the DROP.',
    source: 'migrations/0008_audit_trail.sql',
    *check(statement, at) {
      for (const name of dropped(statement, 'OBJECT_TRIGGER')) {
        const table = name.split('.').slice(0, -1).join('.');
        const later = at.statements.slice(at.statements.indexOf(statement) + 1);
        const again = later.some(({ node }) => nameOf(is(node, 'CreateTrigStmt')?.relation) === table);
        if (!again) yield { detail: `${name.split('.').at(-1)} of ${table}` };
      }
    },
  },
];

/** What ALTER FUNCTION leaves of a search path. */
function* searchPathAfter({ func, actions }: AlterFunctionStmt): Iterable<Problem> {
  const name = dotted(func?.objname);
  const sets = all(actions, 'DefElem').flatMap(({ arg }) => is(arg, 'VariableSetStmt') ?? []);
  const lost = sets.some(
    ({ kind, name: of }) => kind === 'VAR_RESET_ALL' || (kind === 'VAR_RESET' && of === 'search_path'),
  );
  const path = searchPath(actions);
  if (lost) yield { detail: `${name} loses it` };
  else if (path && path.at(-1) !== 'pg_temp')
    yield { detail: `${name} sets ${path.join(', ') || 'an empty one'}` };
  else if (!path && textOf(option(actions, 'security')?.arg) === 'true')
    yield { detail: `${name} becomes one, and sets none here` };
}

/** The schemas of a function's SET search_path; undefined where it has none. */
function searchPath(options: CreateFunctionStmt['options'] | undefined): string[] | undefined {
  for (const { defname, arg } of all(options, 'DefElem')) {
    const set = is(arg, 'VariableSetStmt');
    if (defname !== 'set' || set?.name !== 'search_path' || set.kind !== 'VAR_SET_VALUE') continue;
    return (set.args ?? []).map((schema) => textOf(schema) ?? '').filter((name) => name !== '');
  }
  return undefined;
}
