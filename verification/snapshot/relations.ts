/**
 * Relations with their columns, constraints, policies, indexes and triggers.
 *
 * Leaves are numerous (tables times months), so facts that their parents determine are not read for each of them.
 */
import { type Grant, grantsOf } from './grants.ts';
import { notOfExtension, row, rows, userSchema } from './source.ts';

export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** relkind: r table, p partitioned, v view, m materialized view, S sequence, f foreign table. */
  readonly kind: 'r' | 'p' | 'v' | 'm' | 'S' | 'f';
  readonly owner: string;
  readonly persistence: 'p' | 'u' | 't';
  readonly rls: boolean;
  readonly forcedRls: boolean;
  /** Estimated rows; -1 if never analyzed. */
  readonly tuples: number;
  readonly populated: boolean;
  readonly options: readonly string[];
  /** Of a leaf: its partitioned table. */
  readonly parent: number | null;
  readonly detachPending: boolean;
  /** Of a leaf: FOR VALUES … with instants in UTC, or DEFAULT. */
  readonly bound: string | null;
  /** Of a partitioned table: RANGE ("timestamp"). */
  readonly partitionKey: string | null;
  readonly grants: readonly Grant[];
  /** Of a view or materialized view. */
  readonly definition: string | null;
  /** Rewrite rules, except for the one that makes a view. */
  readonly rules: readonly string[];
}

export interface Column {
  readonly relation: number;
  readonly position: number;
  readonly name: string;
  /** As format_type spells it: character varying(100). */
  readonly type: string;
  readonly notNull: boolean;
  /** Default or generation expression. */
  readonly expression: string | null;
  readonly identity: boolean;
}

export interface ColumnGrant extends Grant {
  readonly relation: number;
  readonly column: string;
}

export interface Constraint {
  readonly relation: number;
  readonly name: string;
  /** p primary key, u unique, f foreign key, c check, x exclusion, n not null. */
  readonly type: string;
  readonly validated: boolean;
  readonly columns: readonly string[];
  readonly referenced: number | null;
  readonly referencedColumns: readonly string[];
  readonly definition: string;
}

export interface Policy {
  readonly relation: number;
  readonly name: string;
  readonly permissive: boolean;
  /** r select, a insert, w update, d delete, * all. */
  readonly command: 'r' | 'a' | 'w' | 'd' | '*';
  /** Role names, or `PUBLIC`. */
  readonly roles: readonly string[];
  readonly using: string | null;
  readonly check: string | null;
}

export interface Index {
  readonly oid: number;
  readonly relation: number;
  readonly name: string;
  readonly valid: boolean;
  readonly ready: boolean;
  readonly unique: boolean;
  readonly primary: boolean;
  readonly immediate: boolean;
  /** The partitioned index that it is attached to. */
  readonly parent: number | null;
  /** Key columns by name, in order; `?` for an expression. Without columns of INCLUDE. */
  readonly columns: readonly string[];
  /** Equal for two equal indexes of a table; null if the index has a parent. */
  readonly likeness: string | null;
  /** Null for an index of a leaf. */
  readonly definition: string | null;
  readonly partial: boolean;
}

export interface Trigger {
  readonly relation: number;
  readonly name: string;
  /** O origin, A always, R replica, D disabled. */
  readonly enabled: 'O' | 'A' | 'R' | 'D';
  /** tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate, 64 instead of. */
  readonly type: number;
  readonly function: number;
  /** Whether it is the clone of a parent's trigger on a leaf. */
  readonly clone: boolean;
  /** Of UPDATE OF, in its order. */
  readonly columns: readonly string[];
  /** Role of a condition on CURRENT_USER: the one that it does not fire for, or the only one that it fires for. */
  readonly exceptFor: string | null;
  readonly onlyFor: string | null;
}

export interface Publication {
  readonly name: string;
  readonly everything: boolean;
  readonly tables: readonly { readonly schema: string; readonly name: string; readonly filtered: boolean }[];
}

const notLeaf = `c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition`;

const names = (keys: string, relation: string) => `ARRAY(
  SELECT a.attname::text FROM unnest(${keys}) WITH ORDINALITY u(number, place)
  JOIN pg_attribute a ON a.attrelid = ${relation} AND a.attnum = u.number ORDER BY u.place)`;

export const relationFacts = {
  /** Tables, partitioned tables, views, materialized views, sequences and foreign tables, including leaves. */
  relations: rows<Relation>(`
    SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, pg_get_userbyid(c.relowner) AS owner,
      c.relpersistence AS persistence, c.relrowsecurity AS rls, c.relforcerowsecurity AS "forcedRls",
      c.reltuples AS tuples, c.relispopulated AS populated, coalesce(c.reloptions, '{}') AS options,
      i.inhparent AS parent, coalesce(i.inhdetachpending, false) AS "detachPending",
      CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END AS bound,
      CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS "partitionKey",
      CASE WHEN c.relacl IS NULL THEN '[]' ELSE ${grantsOf('c.relacl')} END AS grants,
      CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS definition,
      CASE WHEN c.relhasrules AND c.relkind IN ('r', 'p') THEN
        (SELECT array_agg(r.rulename::text) FROM pg_rewrite r WHERE r.ev_class = c.oid) ELSE '{}' END AS rules
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND ${userSchema('n.nspname')} AND ${notOfExtension('pg_class', 'c.oid')}`),
  /** Columns of every relation except leaves. */
  columns: rows<Column>(`
    SELECT a.attrelid AS relation, a.attnum AS position, a.attname AS name,
      format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS "notNull",
      pg_get_expr(e.adbin, e.adrelid) AS expression, a.attidentity <> '' AS identity
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped AND ${notLeaf} AND ${userSchema('n.nspname')}
    ORDER BY 1, 2`),
  /** Privileges on single columns, including those of leaves. */
  columnGrants: rows<ColumnGrant>(`
    SELECT a.attrelid AS relation, a.attname AS column, x.privilege_type AS privilege, x.is_grantable AS grantable,
      CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END AS grantee
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
      aclexplode(a.attacl) x
    WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND ${userSchema('n.nspname')}`),
  /** Constraints of every relation except leaves; of a leaf only those that are not valid. */
  constraints: rows<Constraint>(`
    SELECT k.conrelid AS relation, k.conname AS name, k.contype AS type, k.convalidated AS validated,
      ${names('k.conkey', 'k.conrelid')} AS columns, nullif(k.confrelid, 0) AS referenced,
      ${names('k.confkey', 'k.confrelid')} AS "referencedColumns", pg_get_constraintdef(k.oid) AS definition
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE (NOT c.relispartition OR NOT k.convalidated) AND k.contype <> 't' AND ${userSchema('n.nspname')}`),
  policies: rows<Policy>(`
    SELECT p.polrelid AS relation, p.polname AS name, p.polpermissive AS permissive, p.polcmd AS command,
      ARRAY(SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r)::text END FROM unnest(p.polroles) r) AS roles,
      pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS check
    FROM pg_policy p`),
  indexes: rows<Index>(`
    SELECT x.indexrelid AS oid, x.indrelid AS relation, i.relname AS name, x.indisvalid AS valid,
      x.indisready AND x.indislive AS ready, x.indisunique AS unique, x.indisprimary AS primary, x.indimmediate AS immediate,
      h.inhparent AS parent, x.indpred IS NOT NULL AS partial,
      CASE WHEN h.inhparent IS NULL THEN ARRAY(
        SELECT coalesce(a.attname::text, '?') FROM unnest(x.indkey) WITH ORDINALITY k(number, place)
        LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.number
        WHERE k.place <= x.indnkeyatts ORDER BY k.place) ELSE '{}' END AS columns,
      CASE WHEN h.inhparent IS NULL THEN concat_ws(' ', i.relam, x.indisunique, x.indnkeyatts, x.indkey, x.indclass,
        x.indcollation, x.indoption, pg_get_expr(x.indexprs, x.indrelid), '|',
        pg_get_expr(x.indpred, x.indrelid)) END AS likeness,
      CASE WHEN NOT c.relispartition THEN pg_get_indexdef(x.indexrelid) END AS definition
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_inherits h ON h.inhrelid = x.indexrelid
    WHERE ${userSchema('n.nspname')} AND ${notOfExtension('pg_class', 'c.oid')}`),
  /** Triggers that users created, and their clones on leaves. */
  triggers: rows<Trigger>(`
    SELECT t.tgrelid AS relation, t.tgname AS name, t.tgenabled AS enabled, t.tgtype AS type,
      t.tgfoid AS function, t.tgparentid <> 0 AS clone, ${names('t.tgattr::int2[]', 't.tgrelid')} AS columns,
      substring(pg_get_triggerdef(t.oid) FROM 'WHEN \\(\\(CURRENT_USER <> ''([^'']+)''::name\\)\\)') AS "exceptFor",
      substring(pg_get_triggerdef(t.oid) FROM 'WHEN \\(\\(CURRENT_USER = ''([^'']+)''::name\\)\\)') AS "onlyFor"
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT t.tgisinternal AND ${userSchema('n.nspname')}`),
  /** Relations of every kind of schema llama, and those without WAL. A TOAST table is as its table. */
  persistence: row<{ readonly relations: number; readonly unlogged: readonly string[] }>(`
    SELECT count(*)::int AS relations, coalesce(array_agg(i.type || ' ' || i.identity ORDER BY i.identity)
      FILTER (WHERE c.relpersistence <> 'p'), '{}') AS unlogged
    FROM pg_class c, pg_identify_object('pg_class'::regclass, c.oid, 0) i
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'llama')`),
  publications: rows<Publication>(`
    SELECT p.pubname AS name, p.puballtables AS everything, coalesce((
      SELECT json_agg(json_build_object('schema', t.schemaname, 'name', t.tablename, 'filtered', t.rowfilter IS NOT NULL))
      FROM pg_publication_tables t WHERE t.pubname = p.pubname AND NOT p.puballtables), '[]') AS tables
    FROM pg_publication p`),
};
