/** Roles, memberships, settings of roles, and privileges outside relations. */
import { type Override, overridesQuery } from '../../database/overrides.ts';
import { type Grant, grantsOf } from './grants.ts';
import { mapped, rows, userSchema } from './source.ts';

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
  readonly inherit: boolean;
  /** -1: no limit. */
  readonly connectionLimit: number;
  /** End of the password's validity as text; null: none. */
  readonly validUntil: string | null;
  /** Whether Entra made it an administrator of the server. */
  readonly entraAdministrator: boolean;
}

/** `member` is a member of `role`. */
export interface Membership {
  readonly role: string;
  readonly member: string;
  readonly admin: boolean;
  readonly inherit: boolean;
  readonly set: boolean;
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

/** An object of this database or of the whole server, and the role that owns it. */
export interface Owned {
  /** `view llama.tenant_performance`. */
  readonly object: string;
  readonly owner: string;
  /** Whether it is an extension or belongs to one: an extension belongs to the login that created it. */
  readonly ofExtension: boolean;
}

/** The right of an ordinary role to set a superuser's parameter. */
export interface ParameterGrant extends Grant {
  readonly parameter: string;
}

export const roleFacts = {
  roles: rows<Role>(`
    SELECT rolname AS name, oid = 10 AS bootstrap, rolsuper AS superuser, rolcreaterole AS "createRole", rolcreatedb AS "createDatabase",
      rolcanlogin AS login, rolreplication AS replication, rolbypassrls AS "bypassRls", rolinherit AS inherit,
      rolconnlimit AS "connectionLimit", nullif(rolvaliduntil, 'infinity')::text AS "validUntil",
      EXISTS (SELECT FROM pg_shseclabel l WHERE l.classoid = 'pg_authid'::regclass AND l.objoid = pg_roles.oid
                AND l.provider = 'pgaadauth' AND l.label ~* '\\madmin\\M') AS "entraAdministrator"
    FROM pg_roles`),
  /** Before version 16 inheritance was an attribute of the member, and SET ROLE was always allowed. */
  memberships: rows<Membership>(`
    SELECT g.rolname AS role, m.rolname AS member, bool_or(a.admin_option) AS admin,
      bool_or(coalesce((to_jsonb(a) ->> 'inherit_option')::boolean, m.rolinherit)) AS inherit,
      bool_or(coalesce((to_jsonb(a) ->> 'set_option')::boolean, true)) AS set
    FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
    GROUP BY 1, 2`),
  roleSettings: rows<Override>(overridesQuery),
  schemas: rows<Schema>(`
    SELECT n.nspname AS name, pg_get_userbyid(n.nspowner) AS owner,
      ${grantsOf(`coalesce(n.nspacl, acldefault('n', n.nspowner))`)} AS grants
    FROM pg_namespace n WHERE ${userSchema('n.nspname')}`),
  defaultPrivileges: rows<DefaultPrivilege>(`
    SELECT pg_get_userbyid(d.defaclrole) AS creator, n.nspname AS schema, d.defaclobjtype AS objects,
      ${grantsOf('d.defaclacl')} AS grants
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace`),
  /**
   * Every object with an owner, of each kind that PostgreSQL knows, by the dependency that DROP OWNED follows. The bootstrap
   * superuser has none. Left out are temporary objects, default privileges (ISO-028) and large
   * objects (ISO-060).
   */
  owned: rows<Owned>(`
    SELECT i.type || ' ' || i.identity AS object, pg_get_userbyid(d.refobjid) AS owner,
      d.classid = 'pg_extension'::regclass OR EXISTS (
        SELECT FROM pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e') AS "ofExtension"
    FROM pg_shdepend d, pg_identify_object(d.classid, d.objid, d.objsubid) i
    WHERE d.deptype = 'o' AND d.classid NOT IN ('pg_default_acl'::regclass, 'pg_largeobject'::regclass)
      AND (d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        OR d.dbid = 0 AND (d.classid <> 'pg_database'::regclass
          OR d.objid = (SELECT oid FROM pg_database WHERE datname = current_database())))
      AND i.identity IS NOT NULL AND coalesce(i.schema, '') !~ '^pg_(toast_)?temp'`),
  /** Objects that lead to other servers, or run in every statement of a kind. The bootstrap superuser may own them. */
  outward: mapped(
    rows<{ readonly object: string }>(`
    SELECT 'server ' || srvname AS object FROM pg_foreign_server
    UNION ALL
    SELECT format('user mapping for %s on server %s', CASE umuser WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(umuser) END, srvname)
    FROM pg_user_mappings
    UNION ALL
    SELECT 'subscription ' || subname FROM pg_subscription
    WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL
    SELECT 'event trigger ' || evtname FROM pg_event_trigger t
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = t.oid AND d.deptype = 'e')
    ORDER BY 1`),
    (found): readonly string[] => found.map(({ object }) => object),
  ),
  parameterGrants: rows<ParameterGrant>(`
    SELECT p.parname AS parameter, a.privilege_type AS privilege, a.is_grantable AS grantable,
      CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS grantee
    FROM pg_parameter_acl p, aclexplode(p.paracl) a WHERE a.grantee <> 10`),
};
