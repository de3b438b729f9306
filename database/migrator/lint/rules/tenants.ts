/** What keeps one tenant's rows from another: row-level security, policies, keys and views. */
import type { CreatePolicyStmt, Node } from 'libpg-query';
import { applicationRole } from '../../../schema/roles.ts';
import type { Context, Rule, Statement } from '../rule.ts';
import { tenantTablesIn } from '../schema.ts';
import { all, dotted, every, is, isOn, nameOf, option, relationsIn, roleName, textOf } from '../tree.ts';
import { addedConstraints, changes } from './common.ts';
import { dropped } from './locks.ts';

const read = "(SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), ''))";

interface Policy {
  readonly table: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly expressions: readonly Node[];
}

export const tenants: readonly Rule[] = [
  {
    id: 'row-security-off',
    severity: 'critical',
    title: 'Row-level security stays enabled and forced',
    why: 'every tenant sees every row the moment it is off; without FORCE the owner, and every function that it owns, does',
    instead: 'Give whoever needs to see more a policy of its own (CREATE POLICY … TO role).',
    source: 'splinter 0007 and 0013; pgrls SEC001 and SEC002',
    matters: 'existing',
    *check(statement) {
      for (const { table, command } of changes(statement)) {
        const off = { AT_DisableRowSecurity: 'DISABLE', AT_NoForceRowSecurity: 'NO FORCE' }[
          String(command.subtype)
        ];
        if (off !== undefined) yield { detail: `${table} ${off} ROW LEVEL SECURITY`, table };
      }
    },
  },
  {
    id: 'floor-dropped',
    severity: 'critical',
    title: 'A RESTRICTIVE policy stays, or is made again in the same file',
    why: 'it is the floor under every permissive policy that somebody adds later',
    instead: 'CREATE the new one in the same file.',
    source: 'pgrls SEC007; decision 15',
    *check(statement, at) {
      for (const name of dropped(statement, 'OBJECT_POLICY')) {
        const table = name.split('.').slice(0, -1).join('.');
        const policy = name.split('.').at(-1) ?? '';
        if (at.schema.tables.get(table)?.policies.get(policy)?.restrictive !== true) continue;
        const again = at.statements.slice(at.statements.indexOf(statement) + 1).some(({ node }) => {
          const made = is(node, 'CreatePolicyStmt');
          return made !== undefined && made.permissive !== true && nameOf(made.table) === table;
        });
        if (!again) yield { detail: `${policy} of ${table} goes and no restrictive policy comes` };
      }
    },
  },
  {
    id: 'policy-without-role',
    severity: 'high',
    title: 'A policy names the role it is for',
    why: 'without TO it is for everybody: permissive policies are ORed, so one meant for analysts opens the table to tenants',
    instead: 'CREATE POLICY … TO role.',
    source: 'reproduced on 15 and 18; pgrls SEC003; decision 15',
    *check(statement, at) {
      const policy = policyOf(statement, at);
      if (policy?.roles.includes('public'))
        yield { detail: `${policy.name} of ${policy.table} is for PUBLIC` };
    },
  },
  {
    id: 'policy-setting-per-row',
    severity: 'medium',
    title: 'A policy reads the tenant once a query',
    why: 'a bare current_setting() is evaluated for every row: 5 to 6 times the time of a scan',
    instead: `tenant_id = ${read}`,
    source: 'measured on 15 and 18 (2 million rows); splinter 0003; pgrls PERF001',
    *check(statement, at) {
      for (const call of settingsIn(policyOf(statement, at))) {
        if (!call.inside.includes('SubLink'))
          yield { detail: 'current_setting() outside a sub-select', location: call.location };
      }
    },
  },
  {
    id: 'policy-setting-empty',
    severity: 'high',
    title: 'A policy takes an unset tenant and an empty one for none',
    why: "current_setting() with one argument raises in a fresh session, and after one SET LOCAL the setting is '' for the rest of the session",
    instead: `tenant_id = ${read}`,
    source: 'reproduced on 15 and 18; pgrls SEC019, which wants half of it',
    *check(statement, at) {
      const policy = policyOf(statement, at);
      const guarded = new Set(
        (policy?.expressions ?? []).flatMap((expression) =>
          every(expression, 'A_Expr')
            .filter(({ kind, rexpr }) => kind === 'AEXPR_NULLIF' && textOf(rexpr) === '')
            .flatMap(({ lexpr }) => every(lexpr, 'FuncCall').map(({ location }) => location)),
        ),
      );
      for (const call of settingsIn(policy)) {
        const missing = textOf(call.args?.[1]);
        if (missing !== 'true' && missing !== 't')
          yield { detail: 'current_setting() raises where nothing is set', location: call.location };
        else if (!guarded.has(call.location))
          yield { detail: "'' is taken for a tenant", location: call.location };
      }
    },
  },
  {
    id: 'policy-casts-column',
    severity: 'medium',
    title: 'A policy compares the column as it is',
    why: 'a cast of the column makes its index useless: 394 ms instead of 0.6 for one tenant of 200',
    instead: 'Cast the setting, not the column.',
    source: 'measured on 15 and 18 (2 million rows)',
    *check(statement, at) {
      for (const expression of policyOf(statement, at)?.expressions ?? []) {
        for (const cast of every(expression, 'TypeCast')) {
          const column = dotted(is(cast.arg, 'ColumnRef')?.fields);
          if (column !== '') yield { detail: `${column} is cast`, location: cast.location };
        }
      }
    },
  },
  {
    id: 'policy-with-or',
    severity: 'high',
    title: "A bypass is a policy of its own, never an OR in the tenants'",
    why: 'the OR costs the index (571 to 1,355 ms instead of 0.6), and a setting that bypasses can be set by anybody',
    instead: 'CREATE POLICY … TO admin_role USING (true).',
    source: 'measured on 15 and 18 (2 million rows); pgrls SEC011; decision 15',
    *check(statement, at) {
      const policy = policyOf(statement, at);
      if (!policy?.roles.some((role) => role === 'public' || role === applicationRole)) return;
      for (const expression of policy.expressions) {
        for (const or of every(expression, 'BoolExpr')) {
          if (or.boolop === 'OR_EXPR')
            yield { detail: `${policy.name} of ${policy.table} is an OR`, location: or.location };
        }
      }
    },
  },
  {
    id: 'policy-always-true',
    severity: 'critical',
    title: 'A policy of a tenant role looks at the tenant',
    why: 'a policy that is true for every row lets every tenant see or write every row that nothing else keeps from it',
    instead: `USING (tenant_id = ${read})`,
    source: 'splinter 0024; pgrls SEC005, SEC008, SEC020 and SEC028',
    *check(statement, at) {
      const policy = policyOf(statement, at);
      if (!policy?.roles.some((role) => role === applicationRole)) return;
      for (const expression of policy.expressions) {
        if (every(expression, 'ColumnRef').length === 0) {
          yield {
            detail: `${policy.name} of ${policy.table} looks at no column, and is for ${policy.roles.join(', ')}`,
          };
        }
      }
    },
  },
  {
    id: 'tenant-key-order',
    severity: 'high',
    title: "A key of tenants' rows starts with tenant_id",
    why: 'a key across tenants answers "duplicate key" to one tenant about another\'s row',
    instead: 'PRIMARY KEY (tenant_id, …), UNIQUE (tenant_id, …).',
    source: 'PostgreSQL manual, Row Security Policies, on covert channels',
    *check(statement, at) {
      for (const { table, columns, location } of keysOf(statement, at)) {
        if (columns[0] !== 'tenant_id')
          yield { detail: `a key of ${table} starts with ${columns[0] ?? 'an expression'}`, location };
      }
    },
  },
  {
    id: 'view-passes-row-security',
    severity: 'high',
    title: "A view over tenants' rows runs with the rights of who reads it",
    why: "a view reads as its owner: whoever may select from it sees what the owner's policies show",
    instead:
      'CREATE VIEW … WITH (security_invoker = true), or a filter by tenant with security_barrier and a reason.',
    source: 'splinter 0010; pgrls VIEW001',
    *check(statement, at) {
      for (const { table, command } of changes(statement)) {
        const options = is(command.def, 'List')?.items;
        const lost = ['security_invoker', 'security_barrier'].filter(
          (name) =>
            option(options, name) &&
            (command.subtype === 'AT_ResetRelOptions' ||
              (command.subtype === 'AT_SetRelOptions' && !isOn(options, name))),
        );
        if (lost.length > 0) yield { detail: `${table} loses ${lost.join(', ')}` };
      }
      const view = is(statement.node, 'ViewStmt');
      if (!view || isOn(view.options, 'security_invoker')) return;
      const names = relationsIn(view.query).map(nameOf);
      const open = names.filter(
        (name) => at.schema.isTenants(name) || at.schema.tables.get(name)?.kind === 'materialized view',
      );
      if (open.length > 0)
        yield { detail: `${nameOf(view.view)} reads ${[...new Set(open)].join(', ')} as its owner` };
    },
  },
  {
    id: 'forced-security-hides-rows',
    severity: 'high',
    title: "A migration that reads or changes tenants' rows runs as a role that sees them",
    why: 'row-level security is forced and llama_owner has no policy: SELECT finds nothing, UPDATE and DELETE change nothing, without an error',
    instead:
      'SET LOCAL ROLE maintenance_role (or another with a policy) around it, and check how many rows it changed.',
    source: 'reproduced on 15 and 18: "DELETE 0"',
    *check({ node, place }, at) {
      if (place !== 'migration' || (at.role !== undefined && at.role !== 'llama_owner')) return;
      const works = ['UpdateStmt', 'DeleteStmt', 'SelectStmt', 'InsertStmt', 'MergeStmt'] as const;
      if (!works.some((kind) => is(node, kind))) return;
      for (const table of tenantTablesIn(node, at.schema)) {
        if (at.size(table) !== 'new') yield { detail: `${at.role ?? 'the login'} sees no row of ${table}` };
      }
    },
  },
];

/** ALTER POLICY without TO leaves the roles that the policy has. */
function policyOf({ node }: Statement, { schema }: Context): Policy | undefined {
  const policy:
    | Pick<CreatePolicyStmt, 'table' | 'policy_name' | 'roles' | 'qual' | 'with_check'>
    | undefined = is(node, 'CreatePolicyStmt') ?? is(node, 'AlterPolicyStmt');
  if (!policy) return undefined;
  const table = nameOf(policy.table);
  const name = policy.policy_name ?? '';
  const roles = all(policy.roles, 'RoleSpec').map(roleName);
  const before = schema.tables.get(table)?.policies.get(name)?.roles ?? [];
  return {
    table,
    name,
    roles: roles.length > 0 ? roles : before,
    expressions: [policy.qual, policy.with_check].flatMap((expression) => expression ?? []),
  };
}

function settingsIn(policy: Policy | undefined) {
  return (policy?.expressions ?? [])
    .flatMap((expression) => every(expression, 'FuncCall'))
    .filter(({ funcname }) => /^(pg_catalog\.)?current_setting$/.test(dotted(funcname)));
}

function keysOf(statement: Statement, at: Context) {
  const keys: { table: string; columns: string[]; location: number | undefined }[] = [];
  const create = is(statement.node, 'CreateStmt');
  const columns = all(create?.tableElts, 'ColumnDef');
  if (create && columns.some(({ colname }) => colname === 'tenant_id')) {
    const table = nameOf(create.relation);
    for (const { contype, keys: names, location } of all(create.tableElts, 'Constraint')) {
      if (contype === 'CONSTR_PRIMARY' || contype === 'CONSTR_UNIQUE') {
        keys.push({ table, columns: all(names, 'String').map(({ sval = '' }) => sval), location });
      }
    }
    for (const { colname = '', constraints } of columns) {
      for (const { contype, location } of all(constraints, 'Constraint')) {
        if (contype === 'CONSTR_PRIMARY' || contype === 'CONSTR_UNIQUE')
          keys.push({ table, columns: [colname], location });
      }
    }
  }
  for (const { table, constraint, column } of addedConstraints(statement)) {
    const { contype, keys: names, location, indexname } = constraint;
    if (!at.schema.isTenants(table) || indexname !== undefined) continue;
    if (contype !== 'CONSTR_PRIMARY' && contype !== 'CONSTR_UNIQUE') continue;
    const list = column === undefined ? all(names, 'String').map(({ sval = '' }) => sval) : [column];
    keys.push({ table, columns: list, location });
  }
  const index = is(statement.node, 'IndexStmt');
  if (index?.unique === true && at.schema.isTenants(nameOf(index.relation))) {
    const names = all(index.indexParams, 'IndexElem').map(({ name = '' }) => name);
    keys.push({ table: nameOf(index.relation), columns: names, location: index.relation?.location });
  }
  return keys;
}

/** Tables with a column tenant_id that stay open when all files have run, with what they lack. */
export function openTables(schema: Context['schema']): { readonly table: string; readonly lacks: string }[] {
  return [...schema.tables].flatMap(([table, known]) => {
    if (!schema.isTenants(table) || known.partition) return [];
    const floor = [...known.policies.values()].some(({ restrictive }) => restrictive);
    const lacks = [
      ...(known.rowSecurity ? [] : ['ENABLE ROW LEVEL SECURITY']),
      ...(known.forced ? [] : ['FORCE ROW LEVEL SECURITY']),
      ...(floor ? [] : ['a RESTRICTIVE policy']),
    ];
    return lacks.length === 0 ? [] : [{ table, lacks: lacks.join(', ') }];
  });
}

/** Not about one statement: whatever order the files take, the table must be closed at the end of them. */
export const tenantTableOpen: Rule = {
  id: 'tenant-table-open',
  severity: 'critical',
  title: 'A table with a column tenant_id gets row-level security, forced, and a RESTRICTIVE floor',
  why: 'without them every role that is granted anything on it reads every tenant; without FORCE its owner does; without a floor one careless policy opens it',
  instead:
    'ENABLE and FORCE ROW LEVEL SECURITY, and CREATE POLICY … AS RESTRICTIVE … TO application_role, in this file or a later one.',
  source: 'splinter 0013; pgrls SEC001, SEC002 and SEC007; decision 15',
  *check() {
    // openTables looks, after the last file.
  },
};
