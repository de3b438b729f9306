/** Everything a migrated database is made of, as lines that two databases, or two moments, can be compared by. */
import pg from 'pg';
import { areas, describeSchema } from '../../database/schema/describe.ts';
import { readOnly } from '../../database/transaction.ts';

/**
 * The description of the schema, and beside it what a description leaves out because it differs between servers: months,
 * positions, states, versions, owners' privileges, logins. Object ids play no part.
 */
export async function catalogLines(client: pg.Client): Promise<string[]> {
  const description = await describeSchema(client);
  const described = areas.flatMap((area) =>
    description.areas[area].map(({ object, says }) => `${area} | ${object} | ${JSON.stringify(says)}`),
  );
  const { rows } = await readOnly(client, () => client.query<{ line: string }>(state));
  return [...described, ...rows.map(({ line }) => line)].sort();
}

/** The same, with the registry of partitioned tables and both ledgers, times aside. */
export async function catalogOf(connection: pg.ClientConfig): Promise<string[]> {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    const lines = await catalogLines(client);
    const { rows } = await client.query<{ registry: boolean }>(
      "SELECT to_regclass('llama.partitioned_tables') IS NOT NULL AS registry",
    );
    // Histories of a test's own have no registry.
    const sql = rows[0]?.registry ? `${ledgers} UNION ALL ${registry}` : ledgers;
    const records = await client.query<{ line: string }>(`${sql} ORDER BY 1`);
    return [...lines, ...records.rows.map(({ line }) => line)];
  } finally {
    await client.end();
  }
}

const acl = (list: string, kind: string, owner: string) =>
  `ARRAY(SELECT unnest(coalesce(${list}, acldefault(${kind}, ${owner})))::text ORDER BY 1)`;

// Grants are compared as they work: none at all and the built-in default written out are the same.
const state = `
  WITH relation AS (
    SELECT c.*, c.oid::regclass AS title FROM pg_class c WHERE c.relnamespace = to_regnamespace('llama'))
  SELECT concat_ws(' | ', 'relation', title, relkind, relispopulated, pg_get_expr(relpartbound, oid),
    ${acl('relacl', `CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char"`, 'relowner')}) AS line
  FROM relation
  UNION ALL
  SELECT concat_ws(' | ', 'position', title, attname, attnum, attacl, format_type(atttypid, atttypmod))
  FROM relation JOIN pg_attribute ON attrelid = relation.oid WHERE attnum > 0
  UNION ALL
  SELECT concat_ws(' | ', 'constraint', title, conname, convalidated, pg_get_constraintdef(k.oid))
  FROM relation JOIN pg_constraint k ON conrelid = relation.oid
  UNION ALL
  SELECT concat_ws(' | ', 'index', indexrelid::regclass, indisvalid, indisready, inhparent::regclass, pg_get_indexdef(indexrelid))
  FROM relation JOIN pg_index ON indrelid = relation.oid LEFT JOIN pg_inherits ON inhrelid = indexrelid
  UNION ALL
  SELECT concat_ws(' | ', 'trigger', title, tgname, tgenabled) FROM relation JOIN pg_trigger ON tgrelid = relation.oid
  UNION ALL
  SELECT concat_ws(' | ', 'comment', title, objsubid, description) FROM relation JOIN pg_description ON objoid = relation.oid AND classoid = 'pg_class'::regclass
  UNION ALL
  SELECT concat_ws(' | ', 'type', t.oid::regtype, typtype, typowner::regrole, ${acl('typacl', `'T'`, 'typowner')})
  FROM pg_type t WHERE typnamespace = to_regnamespace('llama') AND typtype <> 'b'
  UNION ALL
  SELECT concat_ws(' | ', 'function', p.oid::regprocedure, proowner::regrole, ${acl('proacl', `'f'`, 'proowner')})
  FROM pg_proc p WHERE pronamespace = to_regnamespace('llama')
  UNION ALL
  SELECT concat_ws(' | ', 'schema', nspname, nspowner::regrole, ${acl('nspacl', `'n'`, 'nspowner')})
  FROM pg_namespace WHERE nspname !~ '^pg_'
  UNION ALL
  SELECT concat_ws(' | ', 'database', datdba::regrole, ${acl('datacl', `'d'`, 'datdba')})
  FROM pg_database WHERE datname = current_database()
  UNION ALL
  SELECT concat_ws(' | ', 'default', defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, defaclacl) FROM pg_default_acl
  UNION ALL
  SELECT concat_ws(' | ', 'extension', extname, extversion, extnamespace::regnamespace, extowner::regrole) FROM pg_extension
  UNION ALL
  SELECT concat_ws(' | ', 'setting', setrole::regrole, setconfig) FROM pg_db_role_setting
  WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())`;

/** Roles and memberships of the whole server, for a test that has it to itself. */
export const roleLines = `
  SELECT concat_ws(' | ', 'role', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
                   rolbypassrls, rolconnlimit, rolconfig) AS line FROM pg_roles WHERE rolname !~ '^pg_'
  UNION ALL
  SELECT concat_ws(' | ', 'member', roleid::regrole, member::regrole, admin_option, inherit_option, set_option)
    FROM pg_auth_members WHERE member >= 16384 OR roleid >= 16384
  ORDER BY 1`;

const registry = `SELECT concat_ws(' ', 'registered', table_name, months_ahead, retention_days, append_only)
  FROM llama.partitioned_tables`;

const ledgers = `
  SELECT 'unfinished ' || version || ' ' || description AS line FROM llama.schema_migrations WHERE outcome = 'running'
  UNION ALL
  SELECT 'applied ' || version || ' ' || description FROM llama.schema_migrations
   WHERE direction = 'up' AND outcome = 'applied'
  UNION ALL
  SELECT 'run ' || name FROM llama.pgmigrations`;
