/** Separation of tenants: row-level security, policies, keys and views. */
import type { CreatePolicyStmt, Node } from 'libpg-query';
import { applicationRole } from '../../../schema/roles.ts';
import { addedColumns, addedConstraints, changes, dropped } from '../commands.ts';
import type { Context, Family, Rule, Statement } from '../rule.ts';
import { tenantTablesIn } from '../schema.ts';
import { occurrences } from '../section.ts';
import { all, dotted, every, is, isOn, nameOf, option, relationsIn, roleName, textOf } from '../tree.ts';

/** The tenant of the transaction, as policies read it. */
const read = "(SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), ''))";

interface Policy {
  readonly table: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly expressions: readonly Node[];
}

/** Statements that read or change rows. */
const rowStatements = ['UpdateStmt', 'DeleteStmt', 'SelectStmt', 'InsertStmt', 'MergeStmt'] as const;

/** CREATE POLICY … AS RESTRICTIVE, by its table. */
const floorCreated = occurrences(({ node }) => {
  const policy = is(node, 'CreatePolicyStmt');
  return policy && policy.permissive !== true ? [nameOf(policy.table)] : [];
});

/** Operations of CREATE TRIGGER by their bits. */
const [insertBit, deleteBit, updateBit] = [4, 8, 16];

/** Conditions on current_user of a trigger that writes the audit trail, one per operation. */
function userConditions({ node }: Pick<Statement, 'node'>) {
  const trigger = is(node, 'CreateTrigStmt');
  const condition = is(trigger?.whenClause, 'A_Expr');
  if (!trigger || !condition || !/(?:^|\.)write_\w*audit/.test(dotted(trigger.funcname))) return [];
  const user = is(condition.lexpr, 'SQLValueFunction')?.op;
  const role = textOf(condition.rexpr);
  const operator = dotted(condition.name);
  if (user !== 'SVFOP_CURRENT_USER' || role === undefined || !['=', '<>'].includes(operator)) return [];
  const table = nameOf(trigger.relation);
  return [insertBit, deleteBit, updateBit]
    .filter((bit) => ((trigger.events ?? 0) & bit) > 0)
    .map((bit) => ({ table, role, operator, key: `${table} ${bit} ${role}` }));
}

/** Triggers that write the audit trail for one role alone. */
const auditedForRole = occurrences((statement) =>
  userConditions(statement).flatMap(({ operator, key }) => (operator === '=' ? [key] : [])),
);

const rules: readonly Rule[] = [
  {
    id: 'row-security-off',
    severity: 'critical',
    title: 'Row-level security stays enabled and forced',
    why: 'without it every tenant sees all rows; without FORCE, the owner and every function that it owns see all rows',
    remedy: 'Give a role that needs to see more its own policy (CREATE POLICY … TO role).',
    source: 'splinter 0007 and 0013; pgrls SEC001 and SEC002',
    matters: 'existing',
    *check(statement) {
      for (const { table, command } of changes(statement)) {
        const off = { AT_DisableRowSecurity: 'DISABLE', AT_NoForceRowSecurity: 'NO FORCE' }[
          String(command.subtype)
        ];
        if (off !== undefined) yield { detail: `${off} ROW LEVEL SECURITY on ${table}`, table };
      }
    },
  },
  {
    id: 'floor-dropped',
    severity: 'critical',
    title: 'A file that drops a RESTRICTIVE policy creates one on the same table afterwards',
    why: 'the floor policy limits every permissive policy, including later ones',
    remedy: 'Create the new floor policy in the same file, after the DROP.',
    source: 'pgrls SEC007; decision 15',
    *check(statement, at) {
      for (const name of dropped(statement, 'OBJECT_POLICY')) {
        const table = name.split('.').slice(0, -1).join('.');
        const policy = name.split('.').at(-1) ?? '';
        if (at.schema.tables.get(table)?.policies.get(policy)?.restrictive !== true) continue;
        if (!floorCreated.after(at, statement, table))
          yield { detail: `${policy} of ${table} is dropped without a new restrictive policy` };
      }
    },
  },
  {
    id: 'policy-without-role',
    severity: 'high',
    title: 'Policies name their roles',
    why: 'without TO, a policy applies to all roles, and permissive policies are combined with OR, so a policy for analysts would open the table to tenants',
    remedy: 'Use CREATE POLICY … TO role.',
    source: 'reproduced on 15 and 18; pgrls SEC003; decision 15',
    *check(statement, at) {
      const policy = policyOf(statement, at);
      if (policy?.roles.includes('public'))
        yield { detail: `${policy.name} of ${policy.table} applies to PUBLIC` };
    },
  },
  {
    id: 'policy-setting-per-row',
    severity: 'medium',
    title: 'Policies read the tenant once per query',
    why: 'PostgreSQL evaluates a bare current_setting() per row, which takes 5 to 6 times as long for a scan',
    remedy: `Compare with the setting in a sub-select: tenant_id = ${read}.`,
    source: 'measured on 15 and 18 (2 million rows); splinter 0003; pgrls PERF001',
    *check(statement, at) {
      for (const call of settingsIn(policyOf(statement, at))) {
        if (!call.inside.includes('SubLink'))
          yield { detail: 'current_setting() is outside a sub-select', location: call.location };
      }
    },
  },
  {
    id: 'policy-setting-empty',
    severity: 'high',
    title: 'Policies treat an unset and an empty tenant as no tenant',
    why: "current_setting() with one argument raises an error in a new session, and after a SET LOCAL the setting stays '' for the rest of the session",
    remedy: `Compare with the setting in a sub-select: tenant_id = ${read}.`,
    source: 'reproduced on 15 and 18; pgrls SEC019, which requires half of it',
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
          yield { detail: 'current_setting() raises an error if it is unset', location: call.location };
        else if (!guarded.has(call.location))
          yield { detail: "'' counts as a tenant", location: call.location };
      }
    },
  },
  {
    id: 'policy-casts-column',
    severity: 'medium',
    title: 'Policies compare columns without a cast',
    why: 'a cast of the column prevents the use of its index: 394 ms instead of 0.6 ms for one tenant of 200',
    remedy: 'Cast the setting, not the column.',
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
    title: 'Policies of tenants contain no OR',
    why: 'OR prevents the use of the index (571 to 1,355 ms instead of 0.6 ms), and any role could set a bypass setting',
    remedy: 'Create a separate policy for the bypass: CREATE POLICY … TO admin_role USING (true).',
    source: 'measured on 15 and 18 (2 million rows); pgrls SEC011; decision 15',
    *check(statement, at) {
      const policy = policyOf(statement, at);
      if (!policy?.roles.some((role) => role === 'public' || role === applicationRole)) return;
      for (const expression of policy.expressions) {
        for (const or of every(expression, 'BoolExpr')) {
          if (or.boolop === 'OR_EXPR')
            yield { detail: `${policy.name} of ${policy.table} contains OR`, location: or.location };
        }
      }
    },
  },
  {
    id: 'policy-always-true',
    severity: 'critical',
    title: 'Policies of tenant roles depend on a column',
    why: 'a policy without a column is true for all rows, so every tenant could read or write rows of other tenants',
    remedy: `Use USING (tenant_id = ${read}).`,
    source: 'splinter 0024; pgrls SEC005, SEC008, SEC020 and SEC028',
    *check(statement, at) {
      const policy = policyOf(statement, at);
      if (!policy?.roles.some((role) => role === applicationRole)) return;
      for (const expression of policy.expressions) {
        if (every(expression, 'ColumnRef').length === 0) {
          yield {
            detail: `${policy.name} of ${policy.table} for ${policy.roles.join(', ')} contains no column`,
          };
        }
      }
    },
  },
  {
    id: 'tenant-key-order',
    severity: 'high',
    title: 'Keys of tables with tenant rows start with tenant_id',
    why: 'the error "duplicate key" of a key across tenants reveals that a row of another tenant exists',
    remedy: 'Use PRIMARY KEY (tenant_id, …) and UNIQUE (tenant_id, …).',
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
    title: 'Views over tenant rows run with the privileges of the reader',
    why: 'by default a view reads as its owner, so every role with SELECT sees the rows that the policies of the owner allow',
    remedy:
      'Use CREATE VIEW … WITH (security_invoker = true), or security_barrier with a filter by tenant and an allowance.',
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
    title: 'Migrations read and change tenant rows as a role that sees them',
    why: 'row-level security is forced and llama_owner has no policy, so SELECT returns no rows and UPDATE and DELETE change none, without an error',
    remedy:
      'Use SET LOCAL ROLE maintenance_role (or another role with a policy) around the statement, and check the number of changed rows.',
    source: 'reproduced on 15 and 18: "DELETE 0"',
    *check({ node, place }, at) {
      if (place !== 'migration' || (at.role !== undefined && at.role !== 'llama_owner')) return;
      if (!rowStatements.some((kind) => is(node, kind))) return;
      for (const table of tenantTablesIn(node, at.schema)) {
        if (at.size(table) !== 'new') yield { detail: `${at.role ?? 'the login'} sees no row of ${table}` };
      }
    },
  },
  {
    id: 'policy-without-tenant',
    severity: 'critical',
    title: 'Policies of tenant roles compare tenant_id with the tenant of the transaction',
    why: 'any other condition shows rows of other tenants, or hides those of the own one',
    remedy: `Use USING and WITH CHECK (tenant_id = ${read}).`,
    source: 'checks ISO-006 and ISO-007; pgrls SEC005 and SEC008',
    *check(statement, at) {
      const policy = policyOf(statement, at);
      if (!policy?.roles.some((role) => role === applicationRole)) return;
      if (at.schema.tables.get(policy.table)?.columns.has('tenant_id') === false) return;
      for (const expression of policy.expressions) {
        // policy-always-true and the rules about the setting report the other faults.
        if (every(expression, 'ColumnRef').length === 0 || comparesTenant(expression)) continue;
        yield {
          detail: `${policy.name} of ${policy.table} does not compare tenant_id with app.current_tenant_id`,
        };
      }
    },
  },
  {
    id: 'rewrite-rule',
    severity: 'high',
    title: 'No table has a rewrite rule',
    why: "its statements run with the rights of its owner, without the caller's policies, and audit triggers do not see what it replaces",
    remedy: 'Use a trigger.',
    source: 'PostgreSQL manual, Rules and Privileges; check ISO-036',
    *check({ node }) {
      const rule = is(node, 'RuleStmt');
      if (rule) yield { detail: `${rule.rulename} of ${nameOf(rule.relation)}` };
    },
  },
  {
    id: 'policy-on-leaf',
    severity: 'high',
    title: 'Partitions have no policies of their own',
    why: 'a leaf is closed as long as it has neither policy nor grant; its own policy opens it to statements that name it',
    remedy: 'Create the policy on the parent.',
    source: 'decision 14; check ISO-005',
    *check(statement, at) {
      const policy = policyOf(statement, at);
      if (policy && at.schema.isLeaf(policy.table))
        yield { detail: `${policy.name} is a policy of ${policy.table}, a partition` };
    },
  },
  {
    id: 'audit-column-unsealed',
    severity: 'critical',
    title: 'Table llama.audit_trail gets no further column',
    why: 'no seal covers it, so nobody could notice a change of it',
    remedy:
      'Put the fact into old_values or new_values, or into a table of its own with llama.audit_trail.id as its key.',
    source: 'migrations/0012_audit_seals.sql; AUD-024',
    places: ['migration', 'block', 'function'],
    *check(statement) {
      for (const { table, column } of addedColumns(statement)) {
        if (table !== 'llama.audit_trail') continue;
        yield { detail: `column ${column.colname ?? ''} of ${table} is added`, location: column.location };
      }
    },
  },
  {
    id: 'audit-trigger-leaves-role-out',
    severity: 'critical',
    title: 'An audit trigger leaves no role out without another trigger for that role in the same file',
    why: 'the changes of that role would have no audit row, and anybody who may become it could write without a trace',
    remedy:
      'CREATE TRIGGER … WHEN (current_user = the role) EXECUTE FUNCTION llama.write_audit… on the same table and operation, or leave the condition out.',
    source: 'migrations/0008_audit_trail.sql; AUD-001',
    places: ['migration', 'block'],
    *check(statement, at) {
      for (const { table, role, operator, key } of userConditions(statement)) {
        if (operator === '=' || auditedForRole.anywhere(at, key)) continue;
        yield { detail: `changes of ${table} by ${role} are not recorded` };
      }
    },
  },
];

export const family: Family = { title: 'Tenants', rules };

/** The policy that a statement creates or changes. ALTER POLICY without TO keeps the roles of the policy. */
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

/** Whether an expression contains `tenant_id = … app.current_tenant_id …`. */
function comparesTenant(expression: Node): boolean {
  return every(expression, 'A_Expr').some(({ kind, name, lexpr, rexpr }) => {
    const columns = every([lexpr, rexpr], 'ColumnRef').map(({ fields }) => dotted(fields).split('.').at(-1));
    const settings = every([lexpr, rexpr], 'A_Const').map(({ sval }) => sval?.sval);
    return (
      kind === 'AEXPR_OP' &&
      dotted(name) === '=' &&
      columns.includes('tenant_id') &&
      settings.includes('app.current_tenant_id')
    );
  });
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
