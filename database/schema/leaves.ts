import { schema } from './roles.ts';
import { facts, kinds, owner, role, sorted, triggerState } from './sql.ts';

/**
 * Partitions, each by the facts that set it apart from its table. Its own name is left out of the facts, so that all
 * leaves of one table have the same ones.
 */
export const leaves = `
  WITH leaf AS MATERIALIZED (
    SELECT c.*, i.inhparent AS parent FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relispartition AND c.relkind IN ('r', 'p', 'f') AND n.nspname = '${schema}'
  ), apart AS (
    SELECT a.attrelid, string_agg(a.attname, ', ' ORDER BY a.attname) AS columns
    FROM leaf c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_attribute b ON b.attrelid = c.parent AND b.attname = a.attname
    LEFT JOIN pg_attrdef d ON a.atthasdef AND d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN pg_attrdef e ON b.atthasdef AND e.adrelid = b.attrelid AND e.adnum = b.attnum
    WHERE a.attnotnull <> b.attnotnull OR a.attstorage <> b.attstorage OR a.attgenerated <> b.attgenerated OR a.attcompression <> b.attcompression
      -- LIKE copies neither, so a leaf may lack those of its table.
      OR a.attstattarget >= 0 AND a.attstattarget IS DISTINCT FROM b.attstattarget
      OR a.attoptions IS NOT NULL AND a.attoptions IS DISTINCT FROM b.attoptions
      OR (d.oid IS NULL) <> (e.oid IS NULL AND b.attidentity = '')
      -- Writing an expression out takes far longer than comparing its stored form, which is almost always equal.
      OR d.adbin::text <> e.adbin::text AND pg_get_expr(d.adbin, d.adrelid) <> pg_get_expr(e.adbin, e.adrelid)
    GROUP BY a.attrelid
  )
  SELECT '${schema}.' || c.relname AS object, '${schema}.' || (SELECT p.relname FROM pg_class p WHERE p.oid = c.parent) AS parent, ${facts(
    {
      kind: kinds,
      owner: owner('c.relowner'),
      persistence: "CASE c.relpersistence WHEN 'u' THEN 'unlogged' END",
      'row-level security': "CASE WHEN c.relrowsecurity THEN 'enabled' ELSE 'disabled' END",
      'for its owner': "CASE WHEN c.relforcerowsecurity THEN 'forced' ELSE 'not forced' END",
      options: sorted('c.reloptions'),
      'replica identity': "nullif(c.relreplident::text, 'd')",
      tablespace: 'nullif(c.reltablespace::bigint, 0)',
      'TOAST options': `(SELECT ${sorted('o.reloptions')} FROM pg_class o WHERE o.oid = c.reltoastrelid)`,
      'clustered on':
        '(SELECT y.indexrelid::regclass::text FROM pg_index y WHERE y.indrelid = c.oid AND y.indisclustered)',
      'of type': 'nullif(c.reloftype, 0)::regtype::text',
      'columns unlike the table': 'x.columns',
      grants: `(SELECT string_agg(format('%s to %s', g.privilege_type, ${role('g.grantee')}), ', ' ORDER BY 1)
        FROM aclexplode(c.relacl) g WHERE g.grantee <> c.relowner)`,
      'grants on columns': `(SELECT string_agg(a.attname, ', ' ORDER BY a.attname) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped)`,
      policies:
        "(SELECT string_agg(p.polname, ', ' ORDER BY p.polname) FROM pg_policy p WHERE p.polrelid = c.oid)",
      'triggers of its own': `(SELECT string_agg(replace(pg_get_triggerdef(t.oid), c.relname, '…'), '; ' ORDER BY t.tgname)
        FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgparentid = 0)`,
      'triggers in another state than the table': `(SELECT string_agg(t.tgname || ' ' || ${triggerState}, ', ' ORDER BY t.tgname)
        FROM pg_trigger t JOIN pg_trigger o ON o.oid = t.tgparentid WHERE t.tgrelid = c.oid AND t.tgenabled <> o.tgenabled)`,
      'constraints of its own': `(SELECT string_agg(replace(k.conname || ' ' || pg_get_constraintdef(k.oid), c.relname, '…'), '; ' ORDER BY k.conname)
        FROM pg_constraint k WHERE k.conrelid = c.oid AND k.coninhcount = 0 AND k.contype <> 'n')`,
      'indexes of its own': `(SELECT string_agg(replace(pg_get_indexdef(y.indexrelid), c.relname, '…'), '; ' ORDER BY y.indexrelid)
        FROM pg_index y WHERE y.indrelid = c.oid AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = y.indexrelid))`,
      rules:
        "CASE WHEN c.relhasrules THEN (SELECT string_agg(w.rulename, ', ' ORDER BY w.rulename) FROM pg_rewrite w WHERE w.ev_class = c.oid) END",
    },
  )} AS says
  FROM leaf c LEFT JOIN apart x ON x.attrelid = c.oid`;
