/**
 * What a schema says of itself, in words that PostgreSQL 16, 17 and 18 use alike: one query an area, one row an
 * object, `says` what can differ about it. Names come out qualified, because the search path holds pg_catalog only.
 *
 * Left out is what differs without anybody's doing: object ids, the order of columns, statistics, versions of
 * extensions, NOT NULL as a constraint (18 has a name for each), and what the owner of an object may do with it.
 */
import { groupRoles, schema } from '../model.ts';

const inSchema = `n.nspname = '${schema}'`;
const leafSuffix = "'_y[0-9]{4}m[0-9]{2}$'";

/** A detached leaf waits for its archive: neither foreign nor a table that a migration makes. */
const isLeaf = `(c.relispartition OR c.relkind = 'r' AND c.relname ~ ${leafSuffix} AND EXISTS (
  SELECT FROM pg_class p WHERE p.relnamespace = c.relnamespace AND p.relkind = 'p'
    AND p.relname = regexp_replace(c.relname, ${leafSuffix}, '')))`;

const notOfExtension = (catalog: string, oid: string) =>
  `NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '${catalog}'::regclass AND d.objid = ${oid} AND d.deptype = 'e')`;

const relations = `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace`;
const relation = "n.nspname || '.' || c.relname";
const ours = `${inSchema} AND NOT ${isLeaf}`;

const routine =
  "format('function %s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))";

/** Whoever deploys has another name on each server, and is the same. */
const role = (oid: string) =>
  `CASE WHEN ${oid} = 0 THEN 'PUBLIC' WHEN pg_get_userbyid(${oid}) = session_user THEN 'the deploying login' ELSE pg_get_userbyid(${oid})::text END`;

/** `{"SELECT to analytics_role": "granted"}`; Azure's own roles are Azure's. */
const grants = (acl: string, owner: string) => `coalesce((
  SELECT jsonb_object_agg(format('%s to %s', g.privilege_type, ${role('g.grantee')}),
    CASE WHEN g.is_grantable THEN 'granted, to be passed on' ELSE 'granted' END)
  FROM aclexplode(${acl}) g
  WHERE g.grantee <> ${owner} AND (g.grantee = 0 OR pg_get_userbyid(g.grantee) !~ '^azure')), '{}')`;

const says = (facts: Readonly<Record<string, string>>) =>
  `jsonb_strip_nulls(jsonb_build_object(${Object.entries(facts)
    .map(([name, value]) => `'${name}', ${value}`)
    .join(', ')}))`;

const kinds = `CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
  WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' ELSE c.relkind::text END`;

const sorted = (array: string) => `(SELECT string_agg(x, ', ' ORDER BY x) FROM unnest(${array}) x)`;

/** Everything that lies in the schema: relations, and what else a schema can hold but functions. */
const objects = `
  SELECT ${relation} AS object, NULL AS parent, ${says({ kind: kinds })} AS says
  FROM ${relations} WHERE ${ours} AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND ${notOfExtension('pg_class', 'c.oid')}
  UNION ALL
  SELECT i.type || ' ' || i.identity, NULL, ${says({ kind: 'i.type', definition: "CASE WHEN d.classid = 'pg_statistic_ext'::regclass THEN pg_get_statisticsobjdef(d.objid) END" })}
  FROM pg_depend d, pg_identify_object(d.classid, d.objid, 0) i
  WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = (SELECT n.oid FROM pg_namespace n WHERE ${inSchema})
    AND d.classid NOT IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_default_acl'::regclass)
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')`;

const columns = `
  SELECT 'column ' || ${relation} || '.' || a.attname AS object, ${relation} AS parent, ${says({
    type: 'format_type(a.atttypid, a.atttypmod)',
    'NOT NULL': 'a.attnotnull',
    default: "CASE WHEN a.attgenerated = '' THEN pg_get_expr(e.adbin, e.adrelid) END",
    generated: "CASE WHEN a.attgenerated <> '' THEN pg_get_expr(e.adbin, e.adrelid) END",
    identity: "nullif(a.attidentity::text, '')",
    collation:
      '(SELECT l.collname FROM pg_collation l JOIN pg_type t ON t.oid = a.atttypid WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation)',
    storage: 'a.attstorage',
    compression: "nullif(a.attcompression::text, '')",
    'statistics target': 'nullif(a.attstattarget, -1)',
  })} AS says
  FROM ${relations} JOIN pg_attribute a ON a.attrelid = c.oid
  LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
  WHERE ${ours} AND c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped`;

const constraints = `
  SELECT format('constraint %s on %s', k.conname, ${relation}) AS object, ${relation} AS parent,
    ${says({ definition: 'pg_get_constraintdef(k.oid)' })} AS says
  FROM ${relations} JOIN pg_constraint k ON k.conrelid = c.oid
  WHERE ${ours} AND k.contype IN ('p', 'u', 'f', 'c', 'x')`;

const indexes = `
  SELECT format('index %s.%s', n.nspname, i.relname) AS object, ${relation} AS parent,
    ${says({ definition: 'pg_get_indexdef(x.indexrelid)', options: sorted('i.reloptions') })} AS says
  FROM ${relations} JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid WHERE ${ours}`;

const policies = `
  SELECT ${relation} AS object, ${relation} AS parent, ${says({
    'row-level security': "CASE WHEN c.relrowsecurity THEN 'enabled' ELSE 'disabled' END",
    'for its owner': "CASE WHEN c.relforcerowsecurity THEN 'forced' ELSE 'not forced' END",
  })} AS says
  FROM ${relations} WHERE ${ours} AND c.relkind IN ('r', 'p')
  UNION ALL
  SELECT format('policy %s on %s', p.polname, ${relation}), ${relation}, ${says({
    kind: "CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END",
    command:
      "CASE p.polcmd WHEN '*' THEN 'ALL' WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' ELSE 'DELETE' END",
    roles: `(SELECT string_agg(${role('r')}, ', ' ORDER BY ${role('r')}) FROM unnest(p.polroles) r)`,
    USING: 'pg_get_expr(p.polqual, p.polrelid)',
    'WITH CHECK': 'pg_get_expr(p.polwithcheck, p.polrelid)',
  })}
  FROM ${relations} JOIN pg_policy p ON p.polrelid = c.oid WHERE ${ours}`;

const routines = 'pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace';
const ourRoutines = `${inSchema} AND ${notOfExtension('pg_proc', 'p.oid')}`;

const functions = `
  SELECT ${routine} AS object, NULL AS parent, ${says({
    kind: 'p.prokind',
    arguments: 'pg_get_function_arguments(p.oid)',
    returns: 'pg_get_function_result(p.oid)',
    language: 'l.lanname',
    body: 'coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)',
    security: "CASE WHEN p.prosecdef THEN 'definer' ELSE 'invoker' END",
    volatility: "CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END",
    'NULL arguments': "CASE WHEN p.proisstrict THEN 'answered with NULL' ELSE 'passed to it' END",
    leakproof: 'p.proleakproof',
    parallel: 'p.proparallel',
    cost: 'p.procost',
    rows: 'nullif(p.prorows, 0)',
    settings: sorted('p.proconfig'),
  })} AS says
  FROM ${routines} JOIN pg_language l ON l.oid = p.prolang WHERE ${ourRoutines}`;

const states = `CASE t.tgenabled WHEN 'O' THEN 'enabled' WHEN 'A' THEN 'enabled always' WHEN 'R' THEN 'on replicas only' ELSE 'disabled' END`;

const triggers = `
  SELECT format('trigger %s on %s', t.tgname, ${relation}) AS object, ${relation} AS parent,
    ${says({ definition: 'pg_get_triggerdef(t.oid)', state: states })} AS says
  FROM ${relations} JOIN pg_trigger t ON t.tgrelid = c.oid WHERE ${ours} AND NOT t.tgisinternal
  UNION ALL
  SELECT format('rule %s on %s', w.rulename, ${relation}), ${relation}, ${says({ definition: 'pg_get_ruledef(w.oid)', state: 'w.ev_enabled' })}
  FROM ${relations} JOIN pg_rewrite w ON w.ev_class = c.oid WHERE ${ours} AND w.rulename <> '_RETURN'`;

const views = `
  SELECT ${relation} AS object, ${relation} AS parent,
    ${says({ definition: 'pg_get_viewdef(c.oid)', options: sorted('c.reloptions') })} AS says
  FROM ${relations} WHERE ${ours} AND c.relkind IN ('v', 'm')`;

/** How tables and sequences are kept. */
const storage = `
  SELECT ${relation} AS object, ${relation} AS parent, ${says({
    persistence: "CASE c.relpersistence WHEN 'p' THEN 'logged' WHEN 'u' THEN 'unlogged' ELSE 'temporary' END",
    options: sorted('c.reloptions'),
    'partition key': "CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END",
    'access method': 'm.amname',
    'replica identity': "nullif(c.relreplident::text, 'd')",
    tablespace: 'nullif(c.reltablespace::bigint, 0)',
    inherits: `(SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid)`,
  })} AS says
  FROM ${relations} LEFT JOIN pg_am m ON m.oid = c.relam AND c.relkind <> 'p' WHERE ${ours} AND c.relkind IN ('r', 'p')
  UNION ALL
  SELECT ${relation}, ${relation}, ${says({
    type: 'format_type(s.seqtypid, NULL)',
    start: 's.seqstart',
    increment: 's.seqincrement',
    minimum: 's.seqmin',
    maximum: 's.seqmax',
    cache: 's.seqcache',
    cycle: 's.seqcycle',
  })}
  FROM ${relations} JOIN pg_sequence s ON s.seqrelid = c.oid WHERE ${ours}`;

const schemas = `n.nspname IN ('${schema}', 'extensions', 'public')`;

const privileges = `
  SELECT ${relation} AS object, ${relation} AS parent, ${grants('c.relacl', 'c.relowner')} AS says
  FROM ${relations} WHERE ${ours} AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.relacl IS NOT NULL
  UNION ALL
  SELECT 'column ' || ${relation} || '.' || a.attname, ${relation}, ${grants('a.attacl', 'c.relowner')}
  FROM ${relations} JOIN pg_attribute a ON a.attrelid = c.oid WHERE ${ours} AND a.attacl IS NOT NULL AND NOT a.attisdropped
  UNION ALL
  SELECT ${routine}, ${routine}, ${grants("coalesce(p.proacl, acldefault('f', p.proowner))", 'p.proowner')}
  FROM ${routines} WHERE ${ourRoutines}
  UNION ALL
  SELECT 'schema ' || n.nspname, NULL, ${grants("coalesce(n.nspacl, acldefault('n', n.nspowner))", 'n.nspowner')}
  FROM pg_namespace n WHERE ${schemas}
  UNION ALL
  SELECT 'this database', NULL, ${grants("coalesce(b.datacl, acldefault('d', b.datdba))", 'b.datdba')}
  FROM pg_database b WHERE b.datname = current_database()`;

const owners = `
  SELECT ${relation} AS object, ${relation} AS parent, ${says({ owner: role('c.relowner') })} AS says
  FROM ${relations} WHERE ${ours} AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  UNION ALL
  SELECT ${routine}, ${routine}, ${says({ owner: role('p.proowner') })} FROM ${routines} WHERE ${ourRoutines}
  UNION ALL
  SELECT 'schema ' || n.nspname, NULL, ${says({ owner: role('n.nspowner') })}
  FROM pg_namespace n WHERE n.nspname IN ('${schema}', 'extensions')`;

const names = groupRoles.map((name) => `'${name}'`).join(', ');

const defaultPrivileges = `
  SELECT format('default privileges of %s on %s%s', ${role('d.defaclrole')},
      CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
        WHEN 'n' THEN 'schemas' ELSE 'large objects' END, coalesce(' in schema ' || n.nspname, '')) AS object,
    NULL AS parent, ${grants('d.defaclacl', 'd.defaclrole')} AS says
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
  WHERE n.nspname = '${schema}' OR pg_get_userbyid(d.defaclrole) IN (${names})`;

const roles = `
  SELECT 'role ' || r.rolname AS object, NULL AS parent, ${says({
    superuser: 'r.rolsuper',
    'creates roles': 'r.rolcreaterole',
    'creates databases': 'r.rolcreatedb',
    'logs in': 'r.rolcanlogin',
    replicates: 'r.rolreplication',
    'passes row-level security by': 'r.rolbypassrls',
    'inherits rights': 'r.rolinherit',
    'connection limit': 'nullif(r.rolconnlimit, -1)',
    settings: `(SELECT string_agg(x, ', ' ORDER BY x) FROM pg_db_role_setting s, unnest(s.setconfig) x
      WHERE s.setrole = r.oid AND s.setdatabase IN (0, (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())))`,
  })} AS says
  FROM pg_roles r WHERE r.rolname IN (${names})
  UNION ALL
  SELECT format('membership of %s in %s', pg_get_userbyid(m.member), pg_get_userbyid(m.roleid)), NULL, ${says(
    {
      inherits: 'bool_or(m.inherit_option)',
      'may become it': 'bool_or(m.set_option)',
      'may pass it on': 'bool_or(m.admin_option)',
    },
  )}
  FROM pg_auth_members m WHERE pg_get_userbyid(m.member) IN (${names}) GROUP BY m.member, m.roleid
  UNION ALL
  SELECT 'this database', NULL, ${says({ settings: "string_agg(x, ', ' ORDER BY x)" })}
  FROM pg_db_role_setting s, unnest(s.setconfig) x
  WHERE s.setrole = 0 AND s.setdatabase = (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())
  HAVING count(*) > 0`;

const extensions = `
  SELECT 'extension ' || e.extname AS object, NULL AS parent, ${says({ schema: 'n.nspname' })} AS says
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql'`;

/** Comments that lie on objects of the schema; those of leaves are copies. */
const comments = `
  SELECT pg_describe_object(o.classoid, o.objoid, o.objsubid) AS object, NULL AS parent,
    ${says({ comment: 'o.description' })} AS says
  FROM pg_description o
  WHERE (o.classoid = 'pg_namespace'::regclass AND o.objoid IN (SELECT n.oid FROM pg_namespace n WHERE ${inSchema}))
    OR (o.classoid = 'pg_proc'::regclass AND o.objoid IN (SELECT p.oid FROM ${routines} WHERE ${ourRoutines}))
    OR (o.classoid = 'pg_class'::regclass AND o.objoid IN (
      SELECT c.oid FROM ${relations} WHERE ${ours} AND NOT EXISTS (SELECT FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid
        WHERE x.indexrelid = c.oid AND t.relispartition)))
    OR (o.classoid = 'pg_constraint'::regclass AND o.objoid IN (
      SELECT k.oid FROM ${relations} JOIN pg_constraint k ON k.conrelid = c.oid WHERE ${ours}))
    OR (o.classoid = 'pg_trigger'::regclass AND o.objoid IN (
      SELECT t.oid FROM ${relations} JOIN pg_trigger t ON t.tgrelid = c.oid WHERE ${ours}))
    OR (o.classoid = 'pg_policy'::regclass AND o.objoid IN (
      SELECT p.oid FROM ${relations} JOIN pg_policy p ON p.polrelid = c.oid WHERE ${ours}))`;

/**
 * Leaves, by what sets one apart from its parent. Months differ from server to server, so they are compared with any
 * leaf of the same parent in the reference; its own name is taken out of what it says.
 */
const leaves = `
  WITH leaf AS (
    SELECT c.*, i.inhparent AS parent FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relispartition AND c.relkind IN ('r', 'p', 'f') AND ${inSchema}
  ), default_of AS (
    SELECT d.adrelid, d.adnum, md5(d.adbin::text) AS digest FROM pg_attrdef d
    WHERE d.adrelid IN (SELECT c.oid FROM leaf c UNION SELECT c.parent FROM leaf c)
  ), expression AS MATERIALIZED (
    -- A default names no column, so what it says is the same on every leaf; written out once it takes no time.
    SELECT x.digest, pg_get_expr(d.adbin, d.adrelid) AS text
    FROM (SELECT digest, min(adrelid) AS adrelid FROM default_of GROUP BY digest) x,
      LATERAL (SELECT p.* FROM pg_attrdef p WHERE p.adrelid = x.adrelid AND md5(p.adbin::text) = x.digest LIMIT 1) d
  ), says_default AS MATERIALIZED (
    SELECT d.adrelid, d.adnum, e.text FROM default_of d JOIN expression e USING (digest)
  ), apart AS (
    SELECT a.attrelid, string_agg(a.attname, ', ' ORDER BY a.attname) AS columns
    FROM leaf c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_attribute b ON b.attrelid = c.parent AND b.attname = a.attname
    LEFT JOIN says_default d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN says_default e ON e.adrelid = b.attrelid AND e.adnum = b.attnum
    WHERE a.attnotnull <> b.attnotnull OR a.attstorage <> b.attstorage OR a.attgenerated <> b.attgenerated
      OR (d.text IS NULL) <> (e.text IS NULL AND b.attidentity = '') OR d.text <> e.text
    GROUP BY a.attrelid
  )
  SELECT '${schema}.' || c.relname AS object, '${schema}.' || (SELECT p.relname FROM pg_class p WHERE p.oid = c.parent) AS parent, ${says(
    {
      kind: kinds,
      owner: role('c.relowner'),
      persistence: "CASE c.relpersistence WHEN 'p' THEN 'logged' ELSE 'unlogged' END",
      'row-level security': "CASE WHEN c.relrowsecurity THEN 'enabled' ELSE 'disabled' END",
      'for its owner': "CASE WHEN c.relforcerowsecurity THEN 'forced' ELSE 'not forced' END",
      options: sorted('c.reloptions'),
      'replica identity': "nullif(c.relreplident::text, 'd')",
      tablespace: 'nullif(c.reltablespace::bigint, 0)',
      'columns unlike the parent': 'x.columns',
      grants: `(SELECT string_agg(format('%s to %s', g.privilege_type, ${role('g.grantee')}), ', ' ORDER BY 1)
        FROM aclexplode(c.relacl) g WHERE g.grantee <> c.relowner)`,
      'grants on columns': `(SELECT string_agg(a.attname, ', ' ORDER BY a.attname) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped)`,
      policies:
        "(SELECT string_agg(p.polname, ', ' ORDER BY p.polname) FROM pg_policy p WHERE p.polrelid = c.oid)",
      'triggers of its own': `(SELECT string_agg(replace(pg_get_triggerdef(t.oid), c.relname, '…'), '; ' ORDER BY t.tgname)
        FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgparentid = 0)`,
      'triggers in another state than the parent': `(SELECT string_agg(t.tgname || ' ' || ${states}, ', ' ORDER BY t.tgname)
        FROM pg_trigger t JOIN pg_trigger o ON o.oid = t.tgparentid WHERE t.tgrelid = c.oid AND t.tgenabled <> o.tgenabled)`,
      'constraints of its own': `(SELECT string_agg(replace(k.conname || ' ' || pg_get_constraintdef(k.oid), c.relname, '…'), '; ' ORDER BY k.conname)
        FROM pg_constraint k WHERE k.conrelid = c.oid AND k.coninhcount = 0 AND k.contype <> 'n')`,
      'indexes of its own': `(SELECT string_agg(replace(pg_get_indexdef(y.indexrelid), c.relname, '…'), '; ' ORDER BY y.indexrelid)
        FROM pg_index y WHERE y.indrelid = c.oid AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = y.indexrelid))`,
      rules:
        "CASE WHEN c.relhasrules THEN (SELECT string_agg(w.rulename, ', ' ORDER BY w.rulename) FROM pg_rewrite w WHERE w.ev_class = c.oid) END",
    },
  )} AS says
  FROM leaf c LEFT JOIN apart x ON x.attrelid = c.oid ORDER BY 1`;

export const queries = {
  objects,
  columns,
  constraints,
  indexes,
  policies,
  functions,
  triggers,
  views,
  storage,
  privileges,
  owners,
  defaultPrivileges,
  roles,
  extensions,
  comments,
  leaves,
} as const;

export type Area = keyof typeof queries;
