/**
 * The queries behind a description: one per area, one row per object, facts that PostgreSQL 16, 17 and 18 spell alike.
 * Names come out qualified, because the search path holds pg_catalog only.
 *
 * Left out are facts that no migration decides: object ids, the order of columns, statistics, versions of extensions,
 * and the owner's own privileges; also the names that only 18 gives to NOT NULL constraints.
 */
import { leaves } from './leaves.ts';
import { schema } from './roles.ts';
import {
  facts,
  grants,
  isPartition,
  kinds,
  names,
  notOfExtension,
  owner,
  relation,
  relations,
  role,
  sorted,
  triggerState,
} from './sql.ts';

const inSchema = `n.nspname = '${schema}'`;
const ours = `${inSchema} AND NOT ${isPartition}`;

const routine =
  "format('function %s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))";

/** Labels of an enum, or base type and conditions of a domain. */
const typeDefinition = `(SELECT CASE t.typtype
    WHEN 'e' THEN (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
    WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod), CASE WHEN t.typnotnull THEN 'NOT NULL' END, 'DEFAULT ' || t.typdefault,
      (SELECT string_agg(pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname) FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c')) END
  FROM pg_type t WHERE t.oid = d.objid)`;

/** Relations, and everything else that a schema can hold except functions. */
const objects = `
  SELECT ${relation} AS object, NULL AS parent, ${facts({ kind: kinds })} AS says
  FROM ${relations} WHERE ${ours} AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND ${notOfExtension('pg_class', 'c.oid')}
  UNION ALL
  SELECT i.type || ' ' || i.identity, NULL, ${facts({
    kind: 'i.type',
    definition: `CASE d.classid WHEN 'pg_statistic_ext'::regclass THEN pg_get_statisticsobjdef(d.objid) WHEN 'pg_type'::regclass THEN ${typeDefinition} END`,
  })}
  FROM pg_depend d, pg_identify_object(d.classid, d.objid, 0) i
  WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = (SELECT n.oid FROM pg_namespace n WHERE ${inSchema})
    AND d.classid NOT IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_default_acl'::regclass)
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')
  UNION ALL
  SELECT 'cast ' || i.identity, NULL, ${facts({ kind: "'cast'", context: 'k.castcontext', method: 'k.castmethod', function: 'nullif(k.castfunc, 0)::regprocedure::text' })}
  FROM pg_cast k, pg_identify_object('pg_cast'::regclass, k.oid, 0) i
  WHERE k.oid >= 16384 AND ${notOfExtension('pg_cast', 'k.oid')}
  UNION ALL
  SELECT format('dependency of %s %s on an extension', i.type, i.identity), NULL, ${facts({ kind: "'dependency'", extension: 'e.extname' })}
  FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid,
    pg_identify_object(d.classid, d.objid, d.objsubid) i
  WHERE d.deptype = 'x'`;

const columns = `
  SELECT 'column ' || ${relation} || '.' || a.attname AS object, ${relation} AS parent, ${facts({
    type: 'format_type(a.atttypid, a.atttypmod)',
    'NOT NULL': 'nullif(a.attnotnull, false)',
    default: "CASE WHEN a.attgenerated = '' THEN pg_get_expr(e.adbin, e.adrelid) END",
    generated: "CASE WHEN a.attgenerated <> '' THEN pg_get_expr(e.adbin, e.adrelid) END",
    identity: "CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END",
    collation:
      '(SELECT l.collname FROM pg_collation l JOIN pg_type t ON t.oid = a.atttypid WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation)',
    storage: '(SELECT a.attstorage FROM pg_type t WHERE t.oid = a.atttypid AND t.typstorage <> a.attstorage)',
    compression: "nullif(a.attcompression::text, '')",
    'statistics target': 'nullif(a.attstattarget, -1)',
    options: sorted('a.attoptions'),
  })} AS says
  FROM ${relations} JOIN pg_attribute a ON a.attrelid = c.oid
  LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
  WHERE ${ours} AND c.relkind IN ('r', 'p', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped`;

const constraints = `
  SELECT format('constraint %s on %s', k.conname, ${relation}) AS object, ${relation} AS parent,
    ${facts({ definition: 'pg_get_constraintdef(k.oid)' })} AS says
  FROM ${relations} JOIN pg_constraint k ON k.conrelid = c.oid
  WHERE ${ours} AND k.contype IN ('p', 'u', 'f', 'c', 'x')`;

/** Of columns that are expressions: only those can have one. */
const indexTargets = `(SELECT string_agg(a.attnum || ': ' || a.attstattarget, ', ' ORDER BY a.attnum)
  FROM pg_attribute a WHERE a.attrelid = i.oid AND a.attstattarget >= 0)`;

const indexes = `
  SELECT format('index %s.%s', n.nspname, i.relname) AS object, ${relation} AS parent,
    ${facts({ definition: 'pg_get_indexdef(x.indexrelid)', options: sorted('i.reloptions'), tablespace: 'nullif(i.reltablespace::bigint, 0)', 'statistics targets': indexTargets })} AS says
  FROM ${relations} JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid WHERE ${ours}`;

const policies = `
  SELECT ${relation} AS object, ${relation} AS parent, ${facts({
    'row-level security': "CASE WHEN c.relrowsecurity THEN 'enabled' ELSE 'disabled' END",
    'for its owner': "CASE WHEN c.relforcerowsecurity THEN 'forced' ELSE 'not forced' END",
  })} AS says
  FROM ${relations} WHERE ${ours} AND c.relkind IN ('r', 'p')
  UNION ALL
  SELECT format('policy %s on %s', p.polname, ${relation}), ${relation}, ${facts({
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
  SELECT ${routine} AS object, NULL AS parent, ${facts({
    kind: "CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window function' END",
    arguments: 'pg_get_function_arguments(p.oid)',
    returns: 'pg_get_function_result(p.oid)',
    language: 'l.lanname',
    body: 'coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)',
    security: "CASE WHEN p.prosecdef THEN 'definer' ELSE 'invoker' END",
    volatility: "CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END",
    'NULL arguments': "CASE WHEN p.proisstrict THEN 'return NULL' END",
    leakproof: 'nullif(p.proleakproof, false)',
    parallel: "CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' END",
    cost: 'nullif(p.procost, 100)',
    rows: 'nullif(p.prorows, 0)',
    support: 'nullif(p.prosupport::oid, 0)::regproc::text',
    settings: sorted('p.proconfig'),
  })} AS says
  FROM ${routines} JOIN pg_language l ON l.oid = p.prolang WHERE ${ourRoutines}`;

const triggers = `
  SELECT format('trigger %s on %s', t.tgname, ${relation}) AS object, ${relation} AS parent,
    ${facts({ definition: 'pg_get_triggerdef(t.oid)', state: `nullif(${triggerState}, 'enabled')` })} AS says
  FROM ${relations} JOIN pg_trigger t ON t.tgrelid = c.oid WHERE ${ours} AND NOT t.tgisinternal
  UNION ALL
  SELECT format('rule %s on %s', w.rulename, ${relation}), ${relation}, ${facts({ definition: 'pg_get_ruledef(w.oid)', state: "nullif(w.ev_enabled, 'O')" })}
  FROM ${relations} JOIN pg_rewrite w ON w.ev_class = c.oid WHERE ${ours} AND w.rulename <> '_RETURN'`;

/** The index by which CLUSTER would order the rows. */
const clusteredOn = `(SELECT x.indexrelid::regclass::text FROM pg_index x WHERE x.indrelid = c.oid AND x.indisclustered)`;

/** Columns of a view with anything beside their definition. */
const viewColumns = `(SELECT string_agg(concat_ws(' ', a.attname, 'DEFAULT ' || pg_get_expr(e.adbin, e.adrelid),
    'STATISTICS ' || nullif(a.attstattarget, -1), 'STORAGE ' || nullif(a.attstorage, t.typstorage)::text, 'COMPRESSION ' || nullif(a.attcompression::text, ''),
    a.attoptions::text), ', ' ORDER BY a.attname)
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND (e.oid IS NOT NULL OR a.attstattarget >= 0 OR a.attstorage <> t.typstorage
    OR a.attcompression <> '' OR a.attoptions IS NOT NULL))`;

const views = `
  SELECT ${relation} AS object, ${relation} AS parent,
    ${facts({
      definition: 'pg_get_viewdef(c.oid)',
      options: sorted('c.reloptions'),
      columns: viewColumns,
      'access method': "nullif(m.amname, 'heap')",
      'clustered on': clusteredOn,
      tablespace: 'nullif(c.reltablespace::bigint, 0)',
    })} AS says
  FROM ${relations} LEFT JOIN pg_am m ON m.oid = c.relam WHERE ${ours} AND c.relkind IN ('v', 'm')`;

const persistence = "CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' END";

/** How tables and sequences are kept. */
const storage = `
  SELECT ${relation} AS object, ${relation} AS parent, ${facts({
    persistence,
    options: sorted('c.reloptions'),
    'partition key': "CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END",
    'access method': "nullif(m.amname, 'heap')",
    'replica identity': `nullif(concat_ws(' ', c.relreplident,
      (SELECT x.indexrelid::regclass FROM pg_index x WHERE x.indrelid = c.oid AND x.indisreplident)), 'd')`,
    'clustered on': clusteredOn,
    'TOAST options': `(SELECT ${sorted('o.reloptions')} FROM pg_class o WHERE o.oid = c.reltoastrelid)`,
    'of type': 'nullif(c.reloftype, 0)::regtype::text',
    tablespace: 'nullif(c.reltablespace::bigint, 0)',
    inherits: `(SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid)`,
  })} AS says
  FROM ${relations} LEFT JOIN pg_am m ON m.oid = c.relam AND c.relkind <> 'p' WHERE ${ours} AND c.relkind IN ('r', 'p')
  UNION ALL
  SELECT ${relation}, ${relation}, ${facts({
    persistence,
    type: 'format_type(s.seqtypid, NULL)',
    start: 's.seqstart::text',
    increment: 's.seqincrement::text',
    minimum: 's.seqmin::text',
    maximum: 's.seqmax::text',
    cache: 's.seqcache::text',
    cycle: 'nullif(s.seqcycle, false)',
    'owned by': `(SELECT format('%s.%I', d.refobjid::regclass, a.attname) FROM pg_depend d
      JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i'))`,
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
  SELECT 'type ' || t.oid::regtype, 'type ' || t.oid::regtype, ${grants('t.typacl', 't.typowner')}
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE ${inSchema} AND t.typacl IS NOT NULL
  UNION ALL
  SELECT 'this database', NULL, ${grants("coalesce(b.datacl, acldefault('d', b.datdba))", 'b.datdba')}
  FROM pg_database b WHERE b.datname = current_database()`;

const owners = `
  SELECT ${relation} AS object, ${relation} AS parent, ${facts({ owner: owner('c.relowner') })} AS says
  FROM ${relations} WHERE ${ours} AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  UNION ALL
  SELECT ${routine}, ${routine}, ${facts({ owner: owner('p.proowner') })} FROM ${routines} WHERE ${ourRoutines}
  UNION ALL
  SELECT 'schema ' || n.nspname, NULL, ${facts({ owner: owner('n.nspowner') })}
  FROM pg_namespace n WHERE n.nspname IN ('${schema}', 'extensions')`;

const defaultPrivileges = `
  SELECT format('default privileges of %s on %s%s', ${role('d.defaclrole')},
      CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
        WHEN 'n' THEN 'schemas' ELSE 'large objects' END, coalesce(' in schema ' || n.nspname, '')) AS object,
    NULL AS parent, ${grants('d.defaclacl', 'd.defaclrole')} AS says
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
  WHERE n.nspname = '${schema}' OR pg_get_userbyid(d.defaclrole) IN (${names})`;

/** Memberships of the logins are the deployment's, not the migrations'. */
const roles = `
  SELECT 'role ' || r.rolname AS object, NULL AS parent, ${facts({
    superuser: 'nullif(r.rolsuper, false)',
    'creates roles': 'nullif(r.rolcreaterole, false)',
    'creates databases': 'nullif(r.rolcreatedb, false)',
    'logs in': 'nullif(r.rolcanlogin, false)',
    replicates: 'nullif(r.rolreplication, false)',
    'bypasses row-level security': 'nullif(r.rolbypassrls, false)',
    'inherits privileges': 'r.rolinherit',
    'connection limit': 'nullif(r.rolconnlimit, -1)',
    settings: `(SELECT string_agg(x, ', ' ORDER BY x) FROM pg_db_role_setting s, unnest(s.setconfig) x
      WHERE s.setrole = r.oid AND s.setdatabase IN (0, (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())))`,
  })} AS says
  FROM pg_roles r WHERE r.rolname IN (${names})
  UNION ALL
  SELECT format('membership of %s in %s', pg_get_userbyid(m.member), pg_get_userbyid(m.roleid)), 'role ' || pg_get_userbyid(m.member), ${facts(
    {
      INHERIT: 'bool_or(m.inherit_option)',
      SET: 'bool_or(m.set_option)',
      ADMIN: 'bool_or(m.admin_option)',
    },
  )}
  FROM pg_auth_members m WHERE pg_get_userbyid(m.member) IN (${names}) GROUP BY m.member, m.roleid
  UNION ALL
  SELECT 'this database', NULL, ${facts({ settings: "string_agg(x, ', ' ORDER BY x)" })}
  FROM pg_db_role_setting s, unnest(s.setconfig) x
  WHERE s.setrole = 0 AND s.setdatabase = (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())
  HAVING count(*) > 0`;

const extensions = `
  SELECT 'extension ' || e.extname AS object, NULL AS parent, ${facts({ schema: 'n.nspname' })} AS says
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql'`;

const comment = facts({ comment: 'o.description' });
const commentsOn = (catalog: string, oid: string) =>
  `JOIN pg_description o ON o.classoid = '${catalog}'::regclass AND o.objoid = ${oid}`;

/** Comments on leaves are copies of their table's. */
const comments = `
  SELECT 'schema ' || n.nspname AS object, NULL AS parent, ${comment} AS says
  FROM pg_namespace n ${commentsOn('pg_namespace', 'n.oid')} WHERE ${inSchema}
  UNION ALL
  SELECT ${routine}, ${routine}, ${comment} FROM ${routines} ${commentsOn('pg_proc', 'p.oid')} WHERE ${ourRoutines}
  UNION ALL
  SELECT CASE WHEN o.objsubid = 0 THEN ${relation} ELSE 'column ' || ${relation} || '.' || (
      SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = o.objsubid) END, ${relation}, ${comment}
  FROM ${relations} ${commentsOn('pg_class', 'c.oid')} WHERE ${ours} AND c.relkind NOT IN ('i', 'I')
  UNION ALL
  SELECT format('index %s.%s', n.nspname, i.relname), ${relation}, ${comment}
  FROM ${relations} JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid ${commentsOn('pg_class', 'i.oid')} WHERE ${ours}
  UNION ALL
  SELECT format('constraint %s on %s', k.conname, ${relation}), ${relation}, ${comment}
  FROM ${relations} JOIN pg_constraint k ON k.conrelid = c.oid ${commentsOn('pg_constraint', 'k.oid')} WHERE ${ours}
  UNION ALL
  SELECT format('trigger %s on %s', t.tgname, ${relation}), ${relation}, ${comment}
  FROM ${relations} JOIN pg_trigger t ON t.tgrelid = c.oid ${commentsOn('pg_trigger', 't.oid')} WHERE ${ours}
  UNION ALL
  SELECT format('policy %s on %s', p.polname, ${relation}), ${relation}, ${comment}
  FROM ${relations} JOIN pg_policy p ON p.polrelid = c.oid ${commentsOn('pg_policy', 'p.oid')} WHERE ${ours}`;

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

export const areas = Object.keys(queries) as readonly Area[];
