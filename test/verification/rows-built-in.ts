/** Changes outside schema llama: the server's own objects, those of extensions, and added ones. */
import type { Row } from './rows.ts';

const one = (breaks: string, ...statements: readonly string[]): readonly Row[] =>
  statements.map((sql) => ({ breaks, sql }));

export const builtInRows: readonly Row[] = [
  {
    breaks: 'ISO-028',
    elsewhere: true,
    sql: 'ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO application_role',
  },
  {
    breaks: 'ISO-028',
    elsewhere: true,
    sql: 'ALTER DEFAULT PRIVILEGES FOR ROLE database_admins GRANT ALL ON SCHEMAS TO PUBLIC',
  },
  ...one(
    'ISO-063',
    'CREATE OPERATOR pg_catalog.=== (leftarg = int, rightarg = int, function = int4eq)',
    'CREATE OPERATOR CLASS public.added DEFAULT FOR TYPE point USING btree AS STORAGE point',
    "CREATE TYPE public.added AS ENUM ('a')",
    'CREATE DOMAIN public.added AS text',
    'CREATE TYPE public.added AS (a text)',
    'CREATE OPERATOR FAMILY public.added USING btree',
    'CREATE TEXT SEARCH TEMPLATE public.added (LEXIZE = dsimple_lexize)',
    'CREATE TEXT SEARCH PARSER public.added (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype)',
    "CREATE DEFAULT CONVERSION public.added FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
    'CREATE COLLATION pg_catalog.added FROM "C"',
    'CREATE TEXT SEARCH CONFIGURATION public.added (copy = pg_catalog.simple)',
    'CREATE STATISTICS public.added ON tenant_id, model_version FROM llama.storage_records',
    'CREATE TRUSTED LANGUAGE added HANDLER plpgsql_call_handler',
    'CREATE TRANSFORM FOR int LANGUAGE plpgsql (FROM SQL WITH FUNCTION prsd_lextype(internal))',
    'CREATE RULE added AS ON UPDATE TO pg_catalog.pg_settings DO ALSO NOTHING',
    'CREATE TABLE public.added (tenant varchar REFERENCES llama.tenant_configs)',
    'CREATE SCHEMA verify_app',
  ),
  ...one(
    'ISO-064',
    'GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO verify_app',
    'GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO PUBLIC',
    'GRANT SELECT ON pg_catalog.pg_statistic TO application_role',
    'GRANT SELECT (rolpassword) ON pg_catalog.pg_authid TO analytics_role',
    'GRANT CREATE ON SCHEMA pg_catalog TO verify_app',
    'REVOKE EXECUTE ON FUNCTION extensions.pgp_sym_encrypt(text, text) FROM PUBLIC',
    'GRANT SET ON PARAMETER log_min_duration_statement TO application_role',
    'GRANT ALTER SYSTEM ON PARAMETER work_mem TO verify_app',
    'GRANT SET ON PARAMETER session_preload_libraries TO PUBLIC',
  ),
  ...one(
    'ISO-065',
    'ALTER FUNCTION extensions.digest(text, text) SECURITY DEFINER',
    'ALTER FUNCTION extensions.pgp_sym_encrypt(text, text) SET search_path = public',
    'ALTER FUNCTION pg_catalog.jsonb_contains(jsonb, jsonb) LEAKPROOF',
    "UPDATE pg_language SET lanpltrusted = true WHERE lanname = 'c'",
  ),
  { breaks: 'AUD-029', logged: [{ number: 1, hash: '0'.repeat(64), origin: 'the server log' }] },
  { breaks: 'AUD-029', logged: [{ number: 4711, hash: '0'.repeat(64), origin: 'the server log' }] },
  ...one('ENC-014', 'DELETE FROM llama.encrypted_columns'),
  ...one(
    'IDX-001',
    "UPDATE pg_index SET indislive = false WHERE indexrelid = 'llama.tenant_configs_pkey'::regclass",
  ),
  ...one(
    'ROL-013',
    'CREATE ROLE stranger LOGIN; GRANT verify_app TO stranger',
    'CREATE ROLE stranger LOGIN; GRANT database_admins TO stranger WITH ADMIN TRUE, INHERIT FALSE, SET FALSE',
    'CREATE ROLE stranger LOGIN; GRANT database_admins TO stranger',
  ),
];
