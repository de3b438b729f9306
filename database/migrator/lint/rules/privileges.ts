/** Who is given what. */
import type { GrantStmt, Node } from 'libpg-query';
import { applicationRole, groupRoles, schemaRoles } from '../../../schema/roles.ts';
import type { Rule, Statement } from '../rule.ts';
import { all, every, is, nameOf, option, roleName, textOf } from '../tree.ts';
import { changes } from './common.ts';

interface Grant {
  readonly statement: GrantStmt;
  /** Empty for ALL. */
  readonly privileges: readonly string[];
  readonly grantees: readonly string[];
  readonly relations: readonly string[];
}

export const privileges: readonly Rule[] = [
  {
    id: 'grant-too-much',
    severity: 'critical',
    title: 'Nobody is granted TRUNCATE, TRIGGER, REFERENCES or ALL on a table',
    why: "TRUNCATE passes row-level security by, a trigger runs as whoever writes next, a foreign key tells whether another tenant's row exists",
    instead: 'GRANT SELECT, INSERT, UPDATE, DELETE as needed.',
    source: 'PostgreSQL manual, Row Security Policies; reproduced on 15 and 18',
    *check(statement) {
      const grant = grantOf(statement.node);
      if (grant?.statement.objtype !== 'OBJECT_TABLE') return;
      const bad = grant.privileges.filter((name) =>
        ['truncate', 'trigger', 'references', 'maintain'].includes(name),
      );
      if (grant.privileges.length === 0) yield { detail: `ALL to ${grant.grantees.join(', ')}` };
      else if (bad.length > 0)
        yield { detail: `${bad.join(', ').toUpperCase()} to ${grant.grantees.join(', ')}` };
    },
  },
  {
    id: 'grant-on-leaf',
    severity: 'critical',
    title: 'Nobody is granted anything on a partition',
    why: 'policies of the parent do not guard a partition that is named directly: a tenant read and wrote rows of both tenants that way',
    instead: 'GRANT on the parent, which reaches all its partitions through its policies.',
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
    why: 'ALL TABLES IN SCHEMA reaches partitions, the ledger and every table that nobody thought of',
    instead: 'GRANT … ON table, table TO role.',
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
    title: 'Default privileges only take away',
    why: 'what they grant is on every later partition too, which policies of the parent do not guard',
    instead: 'GRANT on each new table by name.',
    source: 'reproduced on 15 and 18',
    *check({ node }) {
      const action = is(node, 'AlterDefaultPrivilegesStmt')?.action;
      if (action?.is_grant === true) {
        yield { detail: `to ${all(action.grantees, 'RoleSpec').map(roleName).join(', ')}` };
      }
    },
  },
  {
    id: 'grant-to-public',
    severity: 'high',
    title: 'Nothing is granted to PUBLIC',
    why: 'every login of the server has it, those made later too',
    instead: 'GRANT … TO role.',
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
    title: 'Tenants reach a materialized view only through a view that filters by tenant',
    why: 'row-level security cannot guard a materialized view: it shows every tenant to whoever may select from it',
    instead: 'GRANT on a security_barrier view that compares tenant_id, as llama.tenant_performance does.',
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
    title: 'CREATE on a schema is lent, and taken back in the same file',
    why: 'who may create in a schema can put a function or table of its own where others look for theirs',
    instead: 'REVOKE CREATE ON SCHEMA … FROM the role after the ALTER … OWNER TO that needed it.',
    source: 'PostgreSQL manual, Schemas, Usage Patterns; splinter 0011',
    *check(statement, at) {
      const grant = grantOf(statement.node);
      if (grant?.statement.objtype !== 'OBJECT_SCHEMA') return;
      if (grant.privileges.length > 0 && !grant.privileges.includes('create')) return;
      const later = at.statements.slice(at.statements.indexOf(statement) + 1);
      for (const role of grant.grantees) {
        const back = later.some(({ node }) => {
          const revoke = is(node, 'GrantStmt');
          return (
            revoke !== undefined &&
            revoke.is_grant !== true &&
            revoke.objtype === 'OBJECT_SCHEMA' &&
            all(revoke.grantees, 'RoleSpec').some((grantee) => roleName(grantee) === role)
          );
        });
        if (!back)
          yield {
            detail: `${role} keeps CREATE on ${grant.statement.objects?.map((name) => textOf(name)).join(', ')}`,
          };
      }
    },
  },
  {
    id: 'role-attributes',
    severity: 'critical',
    title: 'No role passes row-level security by, and none makes roles',
    why: 'BYPASSRLS and SUPERUSER see every row; a member may SET ROLE to it. CREATEROLE and REPLICATION reach as far by a detour',
    instead: 'A NOLOGIN role with policies of its own.',
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
    title: 'No role of this schema is given one of PostgreSQL’s own',
    why: 'pg_read_all_data opens every table without a policy, partitions and materialized views among them; pg_monitor shows what others run',
    instead: 'GRANT what is needed, by name.',
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
    title: 'Tables belong to llama_owner',
    why: 'an owner can drop policies and disable triggers, and the next migration cannot alter what another role owns',
    instead: 'Leave the owner, and GRANT what the role needs.',
    source: 'decision 11a; check ROL-002',
    *check(statement) {
      if (is(statement.node, 'AlterTableStmt')?.objtype !== 'OBJECT_TABLE') return;
      for (const { table, command } of changes(statement)) {
        const role = command.subtype === 'AT_ChangeOwner' ? roleName(command.newowner) : 'llama_owner';
        if (role !== 'llama_owner') yield { detail: `${table} becomes ${role || 'the current role'}'s` };
      }
    },
  },
  {
    id: 'password-in-sql',
    severity: 'critical',
    title: 'No password stands in a migration',
    why: 'it is in the repository, in the log, in pg_stat_statements verbatim, and in the message when the statement fails',
    instead:
      'Log in with Entra; where an environment has password login, llama-db post-deploy sets it from its environment.',
    source: 'reproduced on 15 and 18; node-pg-migrate prints failing SQL whole',
    sections: ['up', 'down'],
    places: ['migration', 'block', 'function'],
    *check({ node }) {
      const role = is(node, 'CreateRoleStmt') ?? is(node, 'AlterRoleStmt');
      const password = option(role?.options, 'password');
      if (password?.arg) yield { detail: 'PASSWORD', location: password.location };
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
    title: 'Membership in a role of this schema is WITH INHERIT FALSE',
    why: "an owner that inherits the tenants' role gets the tenants' floor: it saw 0 rows instead of 2. A login that inherits two roles has the union of their policies",
    instead: 'GRANT role TO … WITH INHERIT FALSE, SET TRUE.',
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
