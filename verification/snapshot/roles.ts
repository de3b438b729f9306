/** Roles, memberships, settings of roles, and privileges outside relations. */
import { type Grant, grantsOf } from './grants.ts';
import { rows, userSchema } from './source.ts';

export interface Role {
  readonly name: string;
  /** The superuser that initdb created, which belongs to the platform. */
  readonly bootstrap: boolean;
  readonly superuser: boolean;
  readonly createRole: boolean;
  readonly createDatabase: boolean;
  readonly login: boolean;
  readonly replication: boolean;
  readonly bypassRls: boolean;
}

/** `member` is a member of `role`. */
export interface Membership {
  readonly role: string;
  readonly member: string;
  readonly admin: boolean;
  readonly inherit: boolean;
  readonly set: boolean;
}

export interface RoleSetting {
  /** Null: all roles. */
  readonly role: string | null;
  /** True: only in this database. */
  readonly here: boolean;
  readonly name: string;
  readonly value: string;
}

export interface Schema {
  readonly name: string;
  readonly owner: string;
  readonly grants: readonly Grant[];
}

export interface DefaultPrivilege {
  /** The role that creates the objects. */
  readonly creator: string;
  /** Null: all schemas. */
  readonly schema: string | null;
  /** r tables, S sequences, f functions, T types, n schemas. */
  readonly objects: string;
  readonly grants: readonly Grant[];
}

/** The right of an ordinary role to set a superuser's parameter. */
export interface ParameterGrant extends Grant {
  readonly parameter: string;
}

export const roleFacts = {
  roles: rows<Role>(`
    SELECT rolname AS name, oid = 10 AS bootstrap, rolsuper AS superuser, rolcreaterole AS "createRole", rolcreatedb AS "createDatabase",
      rolcanlogin AS login, rolreplication AS replication, rolbypassrls AS "bypassRls"
    FROM pg_roles`),
  /** Before version 16 inheritance was an attribute of the member, and SET ROLE was always allowed. */
  memberships: rows<Membership>(`
    SELECT g.rolname AS role, m.rolname AS member, bool_or(a.admin_option) AS admin,
      bool_or(coalesce((to_jsonb(a) ->> 'inherit_option')::boolean, m.rolinherit)) AS inherit,
      bool_or(coalesce((to_jsonb(a) ->> 'set_option')::boolean, true)) AS set
    FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
    GROUP BY 1, 2`),
  /** ALTER ROLE … SET and ALTER DATABASE … SET, of this database or of all databases. */
  roleSettings: rows<RoleSetting>(`
    SELECT r.rolname AS role, s.setdatabase <> 0 AS here, split_part(c.setting, '=', 1) AS name,
      substr(c.setting, strpos(c.setting, '=') + 1) AS value
    FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) AS c(setting)
    WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))`),
  schemas: rows<Schema>(`
    SELECT n.nspname AS name, pg_get_userbyid(n.nspowner) AS owner,
      ${grantsOf(`coalesce(n.nspacl, acldefault('n', n.nspowner))`)} AS grants
    FROM pg_namespace n WHERE ${userSchema('n.nspname')}`),
  defaultPrivileges: rows<DefaultPrivilege>(`
    SELECT pg_get_userbyid(d.defaclrole) AS creator, n.nspname AS schema, d.defaclobjtype AS objects,
      ${grantsOf('d.defaclacl')} AS grants
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace`),
  parameterGrants: rows<ParameterGrant>(`
    SELECT p.parname AS parameter, a.privilege_type AS privilege, a.is_grantable AS grantable,
      CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS grantee
    FROM pg_parameter_acl p, aclexplode(p.paracl) a WHERE a.grantee <> 10`),
};
