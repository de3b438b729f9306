/**
 * Settings that every session of this project has, whatever ALTER ROLE, ALTER DATABASE or the server's configuration say.
 * Results that the project reads, compares or writes depend on them.
 */
import type pg from 'pg';

/** By name. A major version without one of them ignores it. */
export const pinned: Readonly<Record<string, string>> = {
  // Formats of values and of definitions.
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  timezone_abbreviations: 'Default',
  extra_float_digits: '1',
  bytea_output: 'hex',
  xmlbinary: 'base64',
  xmloption: 'content',
  quote_all_identifiers: 'off',
  client_encoding: 'UTF8',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  // How statements are read.
  standard_conforming_strings: 'on',
  backslash_quote: 'safe_encoding',
  escape_string_warning: 'on',
  array_nulls: 'on',
  transform_null_equals: 'off',
  search_path: '',
  default_text_search_config: 'pg_catalog.simple',
  check_function_bodies: 'on',
  // The rows that statements see, and the objects that they make.
  row_security: 'on',
  restrict_nonsystem_relation_kind: '',
  createrole_self_grant: '',
  default_table_access_method: 'heap',
  default_tablespace: '',
  temp_tablespaces: '',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  // Messages to the client, and the moments at which a session ends. Maintenance reads warnings.
  client_min_messages: 'notice',
  exit_on_error: 'off',
  idle_in_transaction_session_timeout: '5min',
  idle_session_timeout: '0',
  transaction_timeout: '0',
};

/** Timeouts in milliseconds; 0 means no limit. */
export interface Timeouts {
  readonly statement: number;
  readonly lock: number;
}

/** Sources of `pg_settings` that mean: somebody else made it with ALTER ROLE or ALTER DATABASE. */
const madeByOthers = ['database', 'user', 'database user'];

/**
 * Pins the settings of a session. Every other setting that a role or database brought gets its built-in value, so that a
 * setting which a later version of PostgreSQL adds is covered too. Custom settings (`app.*`) are emptied.
 *
 * Superuser's settings stay for other logins, which may not set them; verification reports them.
 */
export async function pin(client: pg.ClientBase, { statement, lock }: Timeouts): Promise<void> {
  // One statement each, without names of a schema: a timeout of a millisecond would end a query of the catalogs, and a
  // search path could replace its operators.
  await client.query(`SET statement_timeout = ${statement}`);
  await client.query("SET search_path = ''");
  await client.query('SET ROLE NONE');
  const wanted = { ...pinned, statement_timeout: String(statement), lock_timeout: String(lock) };
  await client.query(
    `SELECT pg_catalog.set_config(s.name, coalesce(w.value, s.boot_val, ''), false)
       FROM pg_catalog.pg_settings AS s
       LEFT JOIN unnest($1::text[], $2::text[]) AS w (name, value) ON w.name = s.name
      WHERE w.name IS NOT NULL
         OR s.source = ANY ($3::text[]) AND s.category <> 'Customized Options'
            AND (s.context = 'user' OR s.context = 'superuser' AND pg_catalog.current_setting('is_superuser') = 'on')`,
    [Object.keys(wanted), Object.values(wanted), madeByOthers],
  );
  await client.query(
    `SELECT pg_catalog.set_config(pg_catalog.split_part(c.setting, '=', 1), '', false)
       FROM pg_catalog.pg_db_role_setting AS s, unnest(s.setconfig) AS c (setting)
      WHERE c.setting LIKE 'app.%'
        AND s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()))
        AND s.setrole IN (0, (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = SESSION_USER))`,
  );
}

/**
 * Options of the startup packet, which take precedence over settings of roles and databases. They are sent only after a
 * connection failed by such a setting, because poolers refuse them.
 */
export const startupOptions = [
  ...['statement_timeout=0', 'idle_session_timeout=0', 'lock_timeout=0', 'local_preload_libraries='],
  ...['exit_on_error=off', 'search_path='],
]
  .map((option) => `-c ${option}`)
  .join(' ');

/** SQLSTATEs by which such a setting ends a session that has only begun. */
export const endedBySetting = new Set(['58P01', '57014', '57P05', '55P03']);

/** SQL that pins the formats for one transaction. Its session may be somebody else's. */
export const pinTransaction = `
  SELECT pg_catalog.set_config(s.name, w.value, true)
    FROM pg_catalog.pg_settings AS s
    JOIN (VALUES ${Object.entries({ ...pinned, search_path: 'pg_catalog' })
      .map(([name, value]) => `('${name}', '${value}')`)
      .join(', ')}) AS w (name, value) ON w.name = s.name`;
