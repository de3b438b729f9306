/** Objects and evidence that belong to certain roles only. */
import {
  analyticsRole,
  auditRole,
  auditTable,
  groupRoles,
  schema as home,
  ownerRole,
  schemaRoles,
  sealRole,
} from '../../../schema/roles.ts';
import { changes } from '../commands.ts';
import type { Family, Rule, Statement } from '../rule.ts';
import { occurrences } from '../section.ts';
import { all, dotted, every, is, nameOf, objectNames, roleName, textOf } from '../tree.ts';

/** Who may change evidence and registries, by table and privilege; other roles may not. */
const keepers: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  [auditTable]: { insert: [auditRole], update: [], delete: [] },
  [`${home}.audit_seals`]: { insert: [sealRole], update: [], delete: [] },
  [`${home}.audit_sealing`]: { insert: [sealRole], update: [sealRole], delete: [] },
  [`${home}.data_keys`]: { delete: [] },
  [`${home}.encrypted_columns`]: { insert: [], update: [], delete: [] },
  [`${home}.partitioned_tables`]: { insert: [], update: [], delete: [] },
};

const registries = [`${home}.partitioned_tables`, `${home}.encrypted_columns`];

/** All that the role of the audit functions may do with tables. */
const auditRights = [`${auditTable} insert`, `${home}.tenant_configs select`];

const sequence = `${home}.audit_sequence`;

/** ALTER … OWNER TO, by the object. */
const ownerChanged = occurrences(({ node }) => {
  const function_ = is(node, 'AlterOwnerStmt');
  const table = is(node, 'AlterTableStmt');
  const moved = all(table?.cmds, 'AlterTableCmd').some(({ subtype }) => subtype === 'AT_ChangeOwner');
  return [
    ...objectNames(function_?.object ? [function_.object] : []),
    ...(moved ? [nameOf(table?.relation)] : []),
  ];
});

const rules: readonly Rule[] = [
  {
    id: 'owner-not-a-group-role',
    severity: 'high',
    title: 'Tables are created by llama_owner, and other objects by a role without logins',
    why: 'an owner can drop policies and disable triggers, and later migrations cannot change objects of another role',
    remedy:
      'Remove "run as: login" or SET LOCAL ROLE for this statement, or add ALTER … OWNER TO llama_owner.',
    source: 'decision 11a; check ROL-002',
    *check(statement, at) {
      const made = created(statement);
      if (made === undefined || !made.name.startsWith(`${home}.`) || statement.place !== 'migration') return;
      const able = at.role === ownerRole || (!made.table && groupRoles.includes(at.role ?? ''));
      if (able || ownerChanged.after(at, statement, made.name)) return;
      yield { detail: `${made.name} belongs to ${at.role ?? 'the login of the deployment'}` };
    },
  },
  {
    id: 'grant-to-unknown-role',
    severity: 'high',
    title: 'Tables of tenants are granted to the group roles only',
    why: 'a grant to a login does not show in the group roles, and remains when the login leaves them',
    remedy: 'GRANT to a group role, and make the login a member of it.',
    source: 'decision 11a; check ISO-039',
    *check(statement, at) {
      for (const { table, role } of tableGrants(statement)) {
        if (at.schema.isTenants(table) && role !== '' && role !== 'public' && !schemaRoles.includes(role))
          yield { detail: `${table} to ${role}` };
      }
    },
  },
  {
    id: 'grant-beyond-role',
    severity: 'critical',
    title: 'Evidence, keys and registries are changed only by the roles that keep them',
    why: 'a trail that its subjects can change proves nothing, a deleted data key loses its values, and analysts and the audit functions need no other right',
    remedy: 'Remove the privilege from the GRANT.',
    source: 'decision 11a; checks AUD-003, AUD-006, AUD-013, AUD-014, ENC-005, ENC-018 and ROL-007',
    *check(statement) {
      for (const { table, role, privilege } of tableGrants(statement)) {
        const allowed = keepers[table]?.[privilege];
        const beyond =
          (allowed !== undefined && !allowed.includes(role)) ||
          (role === analyticsRole && privilege !== 'select') ||
          (role === auditRole && !auditRights.includes(`${table} ${privilege}`));
        if (beyond) yield { detail: `${privilege.toUpperCase()} on ${table} to ${role}` };
      }
    },
  },
  {
    id: 'registry-rewritten',
    severity: 'high',
    title: 'Registries keep the rows of existing tables',
    why: 'maintenance, key rotation and verification act on registered tables only: a lost row loses partitions, or values with their key',
    remedy:
      'Register with INSERT, or llama.register_encrypted_column. Remove a row only with its table or column, with an allowance that names them.',
    source:
      'migrations/0005_partitions.sql; migrations/0014_encrypted_columns.sql; checks PAR-007 and ENC-014',
    *check({ node }, at) {
      const write = is(node, 'UpdateStmt') ?? is(node, 'DeleteStmt');
      const table = nameOf(write?.relation);
      const removed = is(node, 'DeleteStmt') ? every(write?.whereClause, 'A_Const') : [];
      const stays =
        removed.length === 0 || removed.some(({ sval }) => at.schema.tables.has(`${home}.${sval?.sval}`));
      if (registries.includes(table) && (table !== registries[0] || stays))
        yield { detail: `rows of ${table} change` };
      for (const { funcname } of every(is(node, 'SelectStmt'), 'FuncCall')) {
        if (dotted(funcname) === `${home}.forget_encrypted_column`)
          yield { detail: 'values of the forgotten column are lost with their key' };
      }
    },
  },
  {
    id: 'group-role-changed',
    severity: 'critical',
    title: 'Group roles are members of no role, and have no attribute',
    why: 'a tenant role that reaches another group role sees the rows of all tenants, and a login of a group role has no person',
    remedy: 'Create logins as members of one group role, outside migrations.',
    source: 'decision 11a; checks ISO-021 and ROL-001',
    *check({ node }) {
      const role = is(node, 'AlterRoleStmt');
      const name = roleName(role?.role);
      const given = all(role?.options, 'DefElem').filter(({ arg }) => textOf(arg) !== 'false');
      if (schemaRoles.includes(name) && given.length > 0)
        yield { detail: `${name}: ${given.map(({ defname }) => defname?.toUpperCase()).join(', ')}` };
      const grant = is(node, 'GrantRoleStmt');
      if (grant?.is_grant !== true) return;
      const members = all(grant.grantee_roles, 'RoleSpec')
        .map(roleName)
        .filter((one) => groupRoles.includes(one));
      const granted = all(grant.granted_roles, 'AccessPriv').map(({ priv_name = '' }) => priv_name);
      // predefined-role reports the others.
      const named = granted.filter((one) => !one.startsWith('pg_'));
      if (members.length > 0 && named.length > 0)
        yield { detail: `${named.join(', ')} to ${members.join(', ')}` };
    },
  },
  {
    id: 'audit-sequence-changed',
    severity: 'critical',
    title: 'The sequence of the audit trail keeps its definition',
    why: 'sealing relies on consecutive numbers: with a cache, a cycle or another start, rows get numbers that sealing has already passed',
    remedy:
      'Leave llama.audit_sequence and the default of llama.audit_trail.sequence as migration 0003 makes them.',
    source: 'check AUD-016; migrations/0012_audit_seals.sql',
    *check(statement) {
      const alter = is(statement.node, 'AlterSeqStmt');
      const names = all(alter?.options, 'DefElem').map(({ defname = '' }) => defname);
      if (nameOf(alter?.sequence) === sequence && names.some((name) => name !== 'owned_by'))
        yield { detail: `ALTER SEQUENCE … ${names.join(', ').toUpperCase()}` };
      for (const { table, command } of changes(statement)) {
        if (table === auditTable && command.name === 'sequence' && command.subtype === 'AT_ColumnDefault')
          yield { detail: 'the default of llama.audit_trail.sequence changes' };
      }
    },
  },
];

export const family: Family = { title: 'Owners and evidence', rules };

function created({ node }: Statement): { readonly name: string; readonly table: boolean } | undefined {
  const table = is(node, 'CreateStmt');
  if (table) return { name: nameOf(table.relation), table: true };
  const as = is(node, 'CreateTableAsStmt');
  if (as) return { name: nameOf(as.into?.rel), table: as.objtype !== 'OBJECT_MATVIEW' };
  const view = is(node, 'ViewStmt');
  if (view) return { name: nameOf(view.view), table: false };
  const fn = is(node, 'CreateFunctionStmt');
  return fn && fn.replace !== true ? { name: dotted(fn.funcname), table: false } : undefined;
}

function tableGrants({ node }: Statement) {
  const grant = is(node, 'GrantStmt');
  if (grant?.is_grant !== true || grant.objtype !== 'OBJECT_TABLE') return [];
  const roles = all(grant.grantees, 'RoleSpec').map(roleName);
  const privileges = all(grant.privileges, 'AccessPriv').map(({ priv_name = '' }) => priv_name.toLowerCase());
  return all(grant.objects, 'RangeVar')
    .map(nameOf)
    .flatMap((table) => roles.flatMap((role) => privileges.map((privilege) => ({ table, role, privilege }))));
}
