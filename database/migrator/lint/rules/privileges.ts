/** Grants, roles and owners. */
import type { GrantStmt, Node } from 'libpg-query';
import {
  adminRole,
  analyticsRole,
  applicationRole,
  groupRoles,
  ownerRole,
  schemaRoles,
} from '../../../schema/roles.ts';
import { changes } from '../commands.ts';
import type { Family, Rule, Statement } from '../rule.ts';
import { occurrences } from '../section.ts';
import { all, every, is, nameOf, objectNames, option, roleName, textOf } from '../tree.ts';

interface Grant {
  readonly statement: GrantStmt;
  /** Lower case; empty for ALL. */
  readonly privileges: readonly string[];
  readonly grantees: readonly string[];
  readonly relations: readonly string[];
}

/** Privileges on tables that no role may have. */
const dangerous = ['truncate', 'trigger', 'references', 'maintain'];

/** REVOKE … ON SCHEMA, by the role. */
const revokedOnSchema = occurrences(({ node }) => {
  const revoke = is(node, 'GrantStmt');
  if (!revoke || revoke.is_grant === true || revoke.objtype !== 'OBJECT_SCHEMA') return [];
  return all(revoke.grantees, 'RoleSpec').map(roleName);
});

const rules: readonly Rule[] = [
  {
    id: 'grant-too-much',
    severity: 'critical',
    title: 'No role is granted TRUNCATE, TRIGGER, REFERENCES, MAINTAIN or ALL on a table',
    why: 'TRUNCATE bypasses row-level security, a trigger runs as the next role that writes, and a foreign key reveals whether a row of another tenant exists',
    remedy: 'Grant SELECT, INSERT, UPDATE and DELETE as needed.',
    source: 'PostgreSQL manual, Row Security Policies; reproduced on 15 and 18',
    *check(statement) {
      const grant = grantOf(statement.node);
      if (grant?.statement.objtype !== 'OBJECT_TABLE') return;
      const bad = grant.privileges.filter((name) => dangerous.includes(name));
      if (grant.privileges.length === 0) yield { detail: `ALL to ${grant.grantees.join(', ')}` };
      else if (bad.length > 0)
        yield { detail: `${bad.join(', ').toUpperCase()} to ${grant.grantees.join(', ')}` };
    },
  },
  {
    id: 'grant-on-leaf',
    severity: 'critical',
    title: 'No role has a privilege on a partition',
    why: 'policies of the parent do not apply to a partition that a statement names directly; a tenant read and wrote rows of both tenants that way',
    remedy: 'Grant on the parent, which reaches all of its partitions through its policies.',
    source: 'reproduced on 15 and 18; decision 14',
    *check(statement, at) {
      for (const name of grantOf(statement.node)?.relations ?? []) {
        if (at.schema.isLeaf(name)) yield { detail: `${name} is a partition` };
      }
    },
  },
  {
    id: 'grant-on-all-tables',
    severity: 'critical',
    title: 'Grants name their tables',
    why: 'ALL TABLES IN SCHEMA includes partitions, the ledger and other tables that the author may not expect',
    remedy: 'Use GRANT … ON table, table TO role.',
    source: 'reproduced on 15 and 18',
    *check(statement) {
      const grant = grantOf(statement.node);
      if (grant?.statement.targtype === 'ACL_TARGET_ALL_IN_SCHEMA') {
        yield {
          detail: `everything in ${grant.statement.objects?.map((name) => textOf(name)).join(', ')} to ${grant.grantees.join(', ')}`,
        };
      }
    },
  },
  {
    id: 'default-privileges-grant',
    severity: 'critical',
    title: 'Default privileges only revoke',
    why: 'default grants also apply to every later partition, and policies of the parent do not protect partitions',
    remedy: 'Grant on each new table by name.',
    source: 'reproduced on 15 and 18',
    *check({ node }) {
      const action = is(node, 'AlterDefaultPrivilegesStmt')?.action;
      if (action?.is_grant === true) {
        yield {
          detail: `default privileges for ${all(action.grantees, 'RoleSpec').map(roleName).join(', ')}`,
        };
      }
    },
  },
  {
    id: 'grant-to-public',
    severity: 'high',
    title: 'Nothing is granted to PUBLIC',
    why: 'every login of the server gets the privilege, including later ones',
    remedy: 'Use GRANT … TO role.',
    source: 'CIS PostgreSQL Benchmark, 4; splinter 0028',
    *check({ node }) {
      const grant = grantOf(node);
      if (grant?.grantees.includes('public'))
        yield { detail: `${grant.privileges.join(', ').toUpperCase() || 'ALL'} to PUBLIC` };
    },
  },
  {
    id: 'grant-materialized-view',
    severity: 'critical',
    title: 'Tenants read a materialized view only through a view that filters by tenant',
    why: 'row-level security does not apply to materialized views, so a role with SELECT sees the rows of all tenants',
    remedy: 'Grant on a security_barrier view that compares tenant_id, like llama.tenant_performance.',
    source: 'splinter 0016; pgrls VIEW003; reproduced on 15 and 18',
    *check({ node }, at) {
      const grant = grantOf(node);
      if (!grant?.grantees.some((role) => role === applicationRole)) return;
      for (const name of grant.relations) {
        if (at.schema.tables.get(name)?.kind === 'materialized view')
          yield { detail: `${name} to ${grant.grantees.join(', ')}` };
      }
    },
  },
  {
    id: 'grant-create-on-schema',
    severity: 'high',
    title: 'A file that grants CREATE on a schema revokes it again',
    why: 'a role with CREATE can place its own functions and tables where other roles expect theirs',
    remedy: 'Add REVOKE CREATE ON SCHEMA … FROM the role after the ALTER … OWNER TO that required it.',
    source: 'PostgreSQL manual, Schemas, Usage Patterns; splinter 0011',
    *check(statement, at) {
      const grant = grantOf(statement.node);
      if (grant?.statement.objtype !== 'OBJECT_SCHEMA') return;
      if (grant.privileges.length > 0 && !grant.privileges.includes('create')) return;
      for (const role of grant.grantees) {
        if (!revokedOnSchema.after(at, statement, role))
          yield {
            detail: `${role} keeps CREATE on ${grant.statement.objects?.map((name) => textOf(name)).join(', ')}`,
          };
      }
    },
  },
  {
    id: 'role-attributes',
    severity: 'critical',
    title: 'No role has BYPASSRLS, SUPERUSER, CREATEROLE or REPLICATION',
    why: 'BYPASSRLS and SUPERUSER see every row, and members of such a role can SET ROLE to it; CREATEROLE and REPLICATION reach the same indirectly',
    remedy: 'Create a NOLOGIN role with its own policies.',
    source: 'pgrls SEC016 and SEC029; reproduced on 15 and 18',
    sections: ['up', 'down'],
    *check({ node }) {
      const role = is(node, 'CreateRoleStmt') ?? is(node, 'AlterRoleStmt');
      const named: Readonly<Record<string, string>> = {
        bypassrls: 'BYPASSRLS',
        superuser: 'SUPERUSER',
        createrole: 'CREATEROLE',
        isreplication: 'REPLICATION',
      };
      for (const { defname = '', arg, location } of all(role?.options, 'DefElem')) {
        const attribute = named[defname];
        if (attribute !== undefined && textOf(arg) === 'true') yield { detail: attribute, location };
      }
    },
  },
  {
    id: 'predefined-role',
    severity: 'critical',
    title: 'No role of this schema is a member of a predefined role',
    why: 'pg_read_all_data reads every table without a policy, including partitions and materialized views; pg_monitor reads the statements of other sessions',
    remedy: 'Grant the required privileges by name.',
    source: 'PostgreSQL manual, Predefined Roles; checks ROL-009, ROL-010 and ROL-012',
    *check({ node }) {
      const grant = is(node, 'GrantRoleStmt');
      if (grant?.is_grant !== true) return;
      const given = all(grant.granted_roles, 'AccessPriv')
        .map(({ priv_name = '' }) => priv_name)
        .filter((name) => name.startsWith('pg_'));
      const to = all(grant.grantee_roles, 'RoleSpec').map(roleName);
      const ours = to.filter((role) => schemaRoles.includes(role));
      if (given.length > 0 && ours.length > 0) yield { detail: `${given.join(', ')} to ${ours.join(', ')}` };
    },
  },
  {
    id: 'table-owner',
    severity: 'critical',
    title: 'Tables belong to llama_owner, and other objects to roles that nobody logs in as',
    why: 'an owner can drop policies and disable triggers, and later migrations cannot alter tables of another role',
    remedy: 'Keep the owner, and grant the role the privileges that it needs.',
    source: 'decision 11a; check ROL-002',
    *check(statement) {
      const isTable = is(statement.node, 'AlterTableStmt')?.objtype === 'OBJECT_TABLE';
      for (const { table, command } of changes(statement)) {
        const role = command.subtype === 'AT_ChangeOwner' ? roleName(command.newowner) : ownerRole;
        if (isTable ? role !== ownerRole : !mayOwn(role))
          yield { detail: `${role || 'the current role'} becomes the owner of ${table}` };
      }
      const moved = is(statement.node, 'AlterOwnerStmt');
      const role = roleName(moved?.newowner);
      if (moved && !mayOwn(role))
        yield {
          detail: `${role || 'the current role'} becomes the owner of ${objectNames([moved.object ?? []].flat())[0]}`,
        };
    },
  },
  {
    id: 'password-in-sql',
    severity: 'critical',
    title: 'Migrations contain no passwords',
    why: 'the password would be readable in the repository, in the log, in pg_stat_statements, and in the message of a failing statement',
    remedy:
      'Log in with Entra. With password login, llama-db post-deploy sets passwords from its environment variables.',
    source: 'reproduced on 15 and 18; node-pg-migrate prints failing SQL whole',
    sections: ['up', 'down'],
    places: ['migration', 'block', 'function'],
    *check({ node }) {
      const role = is(node, 'CreateRoleStmt') ?? is(node, 'AlterRoleStmt');
      const password = option(role?.options, 'password');
      if (password?.arg) yield { detail: 'the password of a role', location: password.location };
      const foreign = is(node, 'CreateUserMappingStmt') ?? is(node, 'AlterUserMappingStmt');
      if (option(foreign?.options, 'password')) yield { detail: 'the password of a user mapping' };
      for (const constant of every(node, 'A_Const')) {
        const text = constant.sval?.sval ?? '';
        if (/\bpassword\s*=\s*\S|:\/\/[^\s/:@]+:[^\s/@]+@/i.test(text)) {
          yield { detail: 'a connection string with a password', location: constant.location };
        }
      }
    },
  },
  {
    id: 'membership-inherits',
    severity: 'high',
    title: 'Membership in a role of this schema is granted WITH INHERIT FALSE',
    why: 'an owner that inherits a tenant role is subject to its floor policy and saw 0 rows instead of 2; a login that inherits two roles has the union of their policies',
    remedy: 'Use GRANT role TO … WITH INHERIT FALSE, SET TRUE.',
    source: 'reproduced on 17; decision 11a',
    *check({ node }) {
      const grant = is(node, 'GrantRoleStmt');
      if (grant?.is_grant !== true) return;
      const roles = all(grant.granted_roles, 'AccessPriv').map(({ priv_name = '' }) => priv_name);
      const meant = roles.filter((role) => groupRoles.includes(role));
      if (meant.length > 0 && textOf(option(grant.opt, 'inherit')?.arg) !== 'false') {
        yield {
          detail: `${meant.join(', ')} to ${all(grant.grantee_roles, 'RoleSpec').map(roleName).join(', ')}`,
        };
      }
    },
  },
];

/** Whether a role may own a function or a view. */
function mayOwn(role: string): boolean {
  return (
    schemaRoles.includes(role) && ![applicationRole, adminRole, analyticsRole].some((one) => one === role)
  );
}

export const family: Family = { title: 'Privileges', rules };

function grantOf(node: Statement['node']): Grant | undefined {
  const statement = is(node, 'GrantStmt');
  if (statement?.is_grant !== true) return undefined;
  const objects: readonly Node[] = statement.objects ?? [];
  return {
    statement,
    privileges: all(statement.privileges, 'AccessPriv').map(({ priv_name = '' }) => priv_name.toLowerCase()),
    grantees: all(statement.grantees, 'RoleSpec').map(roleName),
    relations: statement.objtype === 'OBJECT_TABLE' ? all(objects, 'RangeVar').map(nameOf) : [],
  };
}
