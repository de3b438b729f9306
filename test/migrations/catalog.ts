import type pg from 'pg';

// Grants are compared as they work: none at all and the built-in default written out are the same.
const queries: readonly string[] = [
  `SELECT 'schema', n.nspname, n.nspowner::regrole::text, ARRAY(SELECT unnest(coalesce(n.nspacl, acldefault('n', n.nspowner)))::text ORDER BY 1)::text FROM pg_namespace n WHERE n.nspname !~ '^pg_'`,
  `SELECT 'extension', e.extname, e.extnamespace::regnamespace::text, e.extowner::regrole::text FROM pg_extension e`,
  `SELECT 'role', r.rolname, r.rolcanlogin::text, r.rolinherit::text FROM pg_roles r WHERE r.rolname !~ '^pg_'`,
  `SELECT 'member', m.roleid::regrole::text, m.member::regrole::text,
          concat(m.admin_option, m.inherit_option, m.set_option) FROM pg_auth_members m WHERE m.roleid >= 16384`,
  `SELECT 'database', 'this', ARRAY(SELECT unnest(coalesce(d.datacl, acldefault('d', d.datdba)))::text ORDER BY 1)::text, '' FROM pg_database d WHERE d.datname = current_database()`,
  `SELECT 'default', d.defaclrole::regrole::text, concat_ws(' ', d.defaclnamespace, d.defaclobjtype), d.defaclacl::text
     FROM pg_default_acl d`,
  `SELECT 'relation', c.oid::regclass::text,
          concat_ws(' ', c.relkind, c.relowner::regrole, c.relrowsecurity, c.relforcerowsecurity, c.relispopulated, c.reloptions),
          concat_ws(' ', ARRAY(SELECT unnest(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)))::text ORDER BY 1)::text, pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid),
                    CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, obj_description(c.oid, 'pg_class'))
     FROM pg_class c WHERE c.relnamespace = 'llama'::regnamespace`,
  `SELECT 'column', a.attrelid::regclass::text || '.' || a.attname,
          concat_ws(' ', a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)),
          concat_ws(' ', a.attacl, col_description(a.attrelid, a.attnum))
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'llama'::regnamespace AND a.attnum > 0`,
  `SELECT 'constraint', x.conrelid::regclass::text, x.conname, pg_get_constraintdef(x.oid) FROM pg_constraint x
    WHERE x.connamespace = 'llama'::regnamespace`,
  `SELECT 'index', i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid),
          concat_ws(' ', i.indisvalid, (SELECT h.inhparent::regclass FROM pg_inherits h WHERE h.inhrelid = i.indexrelid))
     FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'llama'::regnamespace`,
  `SELECT 'policy', p.polrelid::regclass::text || ' ' || p.polname,
          concat_ws(' ', p.polpermissive, p.polcmd, p.polroles::regrole[]),
          concat_ws(' / ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) FROM pg_policy p`,
  `SELECT 'trigger', t.tgrelid::regclass::text || ' ' || t.tgname, t.tgenabled::text, pg_get_triggerdef(t.oid)
     FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'llama'::regnamespace`,
  `SELECT 'function', p.oid::regprocedure::text, concat_ws(' ', p.proowner::regrole, ARRAY(SELECT unnest(coalesce(p.proacl, acldefault('f', p.proowner)))::text ORDER BY 1)::text, obj_description(p.oid, 'pg_proc')),
          pg_get_functiondef(p.oid) FROM pg_proc p WHERE p.pronamespace = 'llama'::regnamespace`,
];

/** Everything the migrations can change in a database and its cluster, as sorted lines without object ids. */
export async function snapshot(client: pg.Client): Promise<string[]> {
  await client.query(`SET timezone = 'UTC'`);
  const lines: string[] = [];
  for (const query of queries) {
    const { rows } = await client.query<(string | null)[]>({ text: query, rowMode: 'array' });
    lines.push(...rows.map((row) => row.join(' | ')));
  }
  return lines.sort();
}
