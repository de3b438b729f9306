/** Pieces of SQL that the queries of a description share. */
import { ownerRole, schemaRoles } from './roles.ts';

/** The roles that the migrations make, as a list of literals. */
export const names = schemaRoles.map((name) => `'${name}'`).join(', ');

export const relations = 'pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace';
export const relation = "n.nspname || '.' || c.relname";

const leafSuffix = "'_y[0-9]{4}m[0-9]{2}$'";

/**
 * Whether relation `c` is a partition, attached or detached. Months come and go on every server, so neither the manifest
 * nor the comparison names partitions. A detached one keeps the name of its month and waits to be archived.
 */
export const isPartition = `(c.relispartition OR c.relkind = 'r' AND c.relname ~ ${leafSuffix} AND EXISTS (
  SELECT FROM pg_class p WHERE p.relnamespace = c.relnamespace AND p.relkind = 'p'
    AND p.relname = regexp_replace(c.relname, ${leafSuffix}, '')))`;

export const role = (oid: string) =>
  `CASE WHEN ${oid} = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(${oid})::text END`;

/** Role `oid` as an owner. The logins that deploy have other names on each server; each is a member of the owner role. */
export const owner = (oid: string) => `(SELECT CASE WHEN o.rolname NOT IN (${names}) AND NOT o.rolsuper
    AND pg_has_role(o.oid, to_regrole('${ownerRole}')::oid, 'MEMBER') THEN 'a login that deploys' ELSE o.rolname::text END
  FROM pg_roles o WHERE o.oid = ${oid})`;

/** `{"SELECT to analytics_role": "granted"}`, without the owner's privileges and those of Azure's own roles. */
export const grants = (acl: string, owner: string) => `coalesce((
  SELECT jsonb_object_agg(format('%s to %s', g.privilege_type, ${role('g.grantee')}),
    CASE WHEN g.is_grantable THEN 'granted with grant option' ELSE 'granted' END)
  FROM aclexplode(${acl}) g
  WHERE g.grantee <> ${owner} AND (g.grantee = 0 OR pg_get_userbyid(g.grantee) !~ '^azure')), '{}')`;

/** A JSON object of facts by name; those that are NULL are left out. */
export const facts = (expressions: Readonly<Record<string, string>>) =>
  `jsonb_strip_nulls(jsonb_build_object(${Object.entries(expressions)
    .map(([name, value]) => `'${name}', ${value}`)
    .join(', ')}))`;

export const kinds = `CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
  WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'composite type'
  ELSE c.relkind::text END`;

/** Members of an array as one text. */
export const sorted = (array: string) => `(SELECT string_agg(x, ', ' ORDER BY x) FROM unnest(${array}) x)`;

/** Of trigger `t`. */
export const triggerState = `CASE t.tgenabled WHEN 'O' THEN 'enabled' WHEN 'A' THEN 'enabled always' WHEN 'R' THEN 'on replicas only' ELSE 'disabled' END`;

/** Whether an object belongs to no extension: members of one are described by it. */
export const notOfExtension = (catalog: string, oid: string) =>
  `NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '${catalog}'::regclass AND d.objid = ${oid} AND d.deptype = 'e')`;
