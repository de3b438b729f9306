/** Every name that a statement can use, read from the catalogs at the start of a run, so that new objects are included. */
import type pg from 'pg';

export interface Column {
  readonly name: string;
  /** The type by format_type without a modifier: `character varying`. */
  readonly type: string;
}

export interface Relation {
  /** Quoted and with its schema. */
  readonly name: string;
  readonly schema: string;
  /** pg_class.relkind */
  readonly kind: string;
  readonly columns: readonly Column[];
  /** Whether the login can read at least one column. */
  readonly readable: boolean;
}

export interface Callable {
  /** Quoted and with its schema. */
  readonly name: string;
  readonly argumentTypes: readonly string[];
  readonly returns: string;
  /** pg_proc.prokind */
  readonly kind: string;
  readonly returnsSet: boolean;
  /** Whether the same arguments give the same result while the database does not change. */
  readonly repeatable: boolean;
  readonly executable: boolean;
}

export interface Names {
  readonly relations: readonly Relation[];
  readonly functions: readonly Callable[];
  readonly parameters: readonly string[];
  readonly roles: readonly string[];
  readonly types: readonly string[];
}

/** @param client a superuser, who also sees objects that the login may not use */
export async function readNames(client: pg.Client, login: string): Promise<Names> {
  const rows = async <Row extends pg.QueryResultRow>(sql: string) =>
    (await client.query<Row>(sql, sql.includes('$1') ? [login] : [])).rows;
  return {
    relations: await rows<Relation & pg.QueryResultRow>(relations),
    functions: await rows<Callable & pg.QueryResultRow>(functions),
    parameters: (await rows<{ name: string }>(parameters)).map(({ name }) => name),
    roles: (await rows<{ name: string }>('SELECT quote_ident(rolname) AS name FROM pg_roles ORDER BY 1')).map(
      ({ name }) => name,
    ),
    types: (await rows<{ name: string }>(types)).map(({ name }) => name),
  };
}

// TOAST tables of catalogs and temporary schemas would only displace the others. Columns of erased content are NULL in every
// row here: a condition on one makes a join empty, and the plan then decides whether an invalid cast of an own row fails.
const relations = `
  SELECT format('%I.%I', n.nspname, c.relname) AS name, n.nspname AS schema, c.relkind AS kind,
         has_any_column_privilege($1::name, c.oid, 'SELECT') AS readable,
         coalesce((SELECT json_agg(json_build_object('name', quote_ident(a.attname), 'type', format_type(a.atttypid, NULL))
                                   ORDER BY a.attnum)
                     FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                      AND a.attname NOT IN ('erased_by', 'erased_hash')), '[]') AS columns
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE n.nspname !~ '^pg_(temp|toast_temp)'
     AND (n.nspname <> 'pg_toast' OR c.oid IN (SELECT t.reltoastrelid FROM pg_class AS t
                                                WHERE t.relnamespace = 'llama'::regnamespace))
   ORDER BY 1`;

const functions = `
  SELECT format('%I.%I', n.nspname, p.proname) AS name,
         coalesce((SELECT json_agg(format_type(t.oid, NULL) ORDER BY t.nth)
                     FROM unnest(p.proargtypes) WITH ORDINALITY AS t (oid, nth)), '[]') AS "argumentTypes",
         format_type(p.prorettype, NULL) AS returns, p.prokind AS kind, p.proretset AS "returnsSet",
         p.provolatile <> 'v' AND p.provariadic = 0 AND p.proname !~ '(pg_stat|pid|xact|snapshot|size|filenode|lsn|wal|backend|progress|mod|now)'
           AS repeatable,
         has_function_privilege($1::name, p.oid, 'EXECUTE') AS executable
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
   WHERE NOT 'internal'::regtype = ANY (p.proargtypes::oid[])
   ORDER BY 1, p.oid`;

// Parameters that end or delay statements reveal nothing about tenants.
const parameters = `
  SELECT name FROM pg_settings
   WHERE name !~ '(timeout|^app\\.current_tenant_id$|^log_|_delay$|debug_|trace_|wal_|vacuum)'
   UNION SELECT unnest(ARRAY['app.current_user_id', 'app.correlation_id', 'app.client_address', 'app.user_agent',
                             'app.encryption_keys', 'app.encryption_key_id', 'app.is_admin', 'role',
                             'session_authorization'])
   ORDER BY 1`;

const types = `
  SELECT format_type(oid, NULL) AS name FROM pg_type WHERE typtype IN ('b', 'e', 'd', 'r', 'm', 'c') ORDER BY 1`;
