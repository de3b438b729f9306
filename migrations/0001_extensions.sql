-- run as: login
-- CREATE EXTENSION requires membership in azure_pg_admin, which only the login has. The server refuses an extension that
-- azure.extensions does not list, and it does so here, before anything depends on the extension.

-- Up Migration

CREATE SCHEMA IF NOT EXISTS extensions;

-- An extension that exists in another schema stays there: Azure has no ALTER EXTENSION SET SCHEMA.
CREATE EXTENSION IF NOT EXISTS pg_stat_statements WITH SCHEMA extensions;
CREATE EXTENSION IF NOT EXISTS pg_buffercache WITH SCHEMA extensions;
CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA extensions;
CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA extensions;
CREATE EXTENSION IF NOT EXISTS btree_gin WITH SCHEMA extensions;
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA extensions;

-- Down Migration

DO $$
DECLARE
  extension_name text;
BEGIN
  -- Only extensions that this migration can have created: one in another schema has another owner.
  FOR extension_name IN
    SELECT e.extname
      FROM pg_catalog.pg_extension AS e
      JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
     WHERE n.nspname = 'extensions'
       AND e.extname IN ('pg_stat_statements', 'pg_buffercache', 'pgcrypto', 'uuid-ossp', 'btree_gin', 'pg_trgm')
  LOOP
    EXECUTE pg_catalog.format('DROP EXTENSION %I', extension_name);
  END LOOP;

  IF NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
     WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
       AND d.refobjid = 'extensions'::pg_catalog.regnamespace
  ) THEN
    EXECUTE pg_catalog.format('SET LOCAL ROLE %I', (
      SELECT pg_catalog.pg_get_userbyid(n.nspowner) FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'extensions'));
    DROP SCHEMA extensions;
    SET LOCAL ROLE NONE;
  END IF;
END
$$;
