/** Everything a schema is made of, as text that two databases can be compared by. */
import type { TestDatabase } from '../support/postgres.ts';

/**
 * One line an object of schemas `llama` and `extensions`, of the rights on the database and of both ledgers; ids, times
 * and tenants' data play no part.
 */
export async function catalogOf(database: Pick<TestDatabase, 'query'>): Promise<string[]> {
  const [there] = await database.query<{ registry: boolean }>(
    'superuser',
    "SELECT to_regclass('llama.partitioned_tables') IS NOT NULL AS registry",
  );
  // Histories of a test's own have no registry.
  const registry = there?.registry
    ? `UNION ALL SELECT concat_ws(' ', 'registered', table_name, months_ahead, retention_days, append_only) FROM llama.partitioned_tables`
    : '';
  const rows = await database.query<{ line: string }>('superuser', `${statement} ${registry} ORDER BY 1`);
  return rows.map(({ line }) => line);
}

const statement = `
  WITH relation AS (
    SELECT c.*, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname IN ('llama', 'extensions'))
  SELECT concat_ws(' ', 'relation', oid::regclass, relkind, relowner::regrole, relrowsecurity, relforcerowsecurity,
                   relacl::text, pg_get_expr(relpartbound, oid)) AS line FROM relation
  UNION ALL
  SELECT concat_ws(' ', 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull,
                   attidentity, attacl::text, pg_get_expr(d.adbin, d.adrelid))
    FROM pg_attribute a JOIN relation r ON r.oid = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
   WHERE attnum > 0 AND NOT attisdropped AND r.relkind IN ('r', 'p', 'v', 'm')
  UNION ALL
  SELECT concat_ws(' ', 'index', indisvalid, indisready, inhparent::regclass, pg_get_indexdef(indexrelid))
    FROM pg_index JOIN relation r ON r.oid = indexrelid LEFT JOIN pg_inherits ON inhrelid = indexrelid
  UNION ALL
  SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, convalidated, pg_get_constraintdef(c.oid))
    FROM pg_constraint c JOIN relation r ON r.oid = conrelid
  UNION ALL
  SELECT concat_ws(' ', 'policy', polrelid::regclass, polname, polcmd, polpermissive,
                   (SELECT string_agg(o.rolname, ',' ORDER BY o.rolname) FROM pg_roles o WHERE o.oid = ANY (polroles)),
                   pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
    FROM pg_policy JOIN relation r ON r.oid = polrelid
  UNION ALL
  SELECT concat_ws(' ', 'trigger', tgrelid::regclass, tgenabled, pg_get_triggerdef(t.oid))
    FROM pg_trigger t JOIN relation r ON r.oid = tgrelid WHERE NOT tgisinternal
  UNION ALL
  SELECT concat_ws(' ', 'function', p.oid::regprocedure, proowner::regrole, proacl::text, md5(prosrc), proconfig::text,
                   prosecdef, provolatile)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'llama'
  UNION ALL
  SELECT concat_ws(' ', 'extension', extname, extversion, nspname)
    FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
  UNION ALL
  SELECT concat_ws(' ', 'view', oid::regclass, relispopulated, md5(pg_get_viewdef(oid))) FROM relation
   WHERE relkind IN ('v', 'm')
  UNION ALL
  SELECT concat_ws(' ', 'schema', nspname, nspowner::regrole, nspacl::text) FROM pg_namespace
   WHERE nspname IN ('llama', 'extensions', 'public')
  UNION ALL
  SELECT concat_ws(' ', 'default', defaclrole::regrole, defaclobjtype, defaclacl::text) FROM pg_default_acl
  UNION ALL
  SELECT concat_ws(' ', 'comment', classoid::regclass, objoid::regclass, objsubid, description)
    FROM pg_description JOIN relation r ON r.oid = objoid WHERE classoid = 'pg_class'::regclass
  UNION ALL
  SELECT concat_ws(' ', 'comment', objoid::regprocedure, description)
    FROM pg_description JOIN pg_proc p ON p.oid = objoid
   WHERE classoid = 'pg_proc'::regclass AND p.pronamespace = 'llama'::regnamespace
  UNION ALL
  SELECT concat_ws(' ', 'sequence', seqrelid::regclass, seqtypid::regtype, seqstart, seqincrement, seqcycle)
    FROM pg_sequence JOIN relation r ON r.oid = seqrelid
  UNION ALL
  SELECT concat_ws(' ', 'type', t.oid::regtype, typtype, typowner::regrole, typacl::text)
    FROM pg_type t WHERE typnamespace = 'llama'::regnamespace AND typtype <> 'b'
  UNION ALL
  SELECT concat_ws(' ', 'database', datdba::regrole, datacl::text) FROM pg_database WHERE datname = current_database()
  UNION ALL
  SELECT concat_ws(' ', 'setting', setrole::regrole, setconfig::text) FROM pg_db_role_setting
   WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
  UNION ALL
  SELECT 'unfinished ' || version || ' ' || description FROM llama.schema_migrations WHERE outcome = 'running'
  UNION ALL
  SELECT 'applied ' || version || ' ' || description FROM llama.schema_migrations
   WHERE direction = 'up' AND outcome = 'applied'
  UNION ALL
  SELECT 'run ' || name FROM llama.pgmigrations`;
