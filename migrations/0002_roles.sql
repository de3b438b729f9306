-- run as: login
-- Roles belong to the cluster: another database of the server may have created them already.

-- Up Migration

DO $$
DECLARE
  role_name text;
  existing pg_catalog.pg_roles;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['application_role', 'admin_role', 'analytics_role', 'maintenance_role', 'maintenance_owner', 'audit_writer',
    'audit_sealer', 'import_writer']
  LOOP
    SELECT * INTO existing FROM pg_catalog.pg_roles WHERE rolname = role_name;
    IF NOT FOUND THEN
      BEGIN
        EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN NOINHERIT', role_name);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL; -- The deployment of another database has just created it.
      END;
    ELSIF existing.rolcanlogin OR existing.rolsuper OR existing.rolbypassrls OR existing.rolcreaterole THEN
      RAISE EXCEPTION 'role % exists with attributes that a group role must not have', role_name
        USING ERRCODE = 'invalid_role_specification',
              DETAIL = 'Row-level security requires NOLOGIN, and no SUPERUSER, BYPASSRLS or CREATEROLE.',
              HINT = pg_catalog.format('ALTER ROLE %I NOLOGIN NOBYPASSRLS NOCREATEROLE, or rename it.', role_name);
    END IF;

    -- SET lets migrations give objects to the role and lets verification act as it. INHERIT is off, because the floor
    -- policies would apply to an owner that inherits the application role.
    IF NOT EXISTS (
      SELECT FROM pg_catalog.pg_auth_members AS m
       WHERE m.roleid = role_name::pg_catalog.regrole AND m.member = 'llama_owner'::pg_catalog.regrole AND m.set_option
    ) THEN
      BEGIN
        EXECUTE pg_catalog.format('GRANT %I TO llama_owner WITH INHERIT FALSE, SET TRUE', role_name);
      EXCEPTION WHEN unique_violation THEN
        NULL;
      END;
    END IF;
  END LOOP;

  -- A temporary table is the usual way to shadow a name, and tenants need none. REFRESH ... CONCURRENTLY needs one.
  EXECUTE pg_catalog.format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', pg_catalog.current_database());
  EXECUTE pg_catalog.format(
    'GRANT TEMPORARY ON DATABASE %I TO llama_owner, admin_role, analytics_role, maintenance_owner',
    pg_catalog.current_database()
  );
END
$$;

-- Every role that can connect may write large objects, and the tenants of one role would share them. Only a superuser or a
-- holder of the grant option can close the functions; without that, llama.set_tenant_context removes the objects.
DO $$
DECLARE
  closable pg_catalog.regprocedure;
BEGIN
  FOR closable IN
    SELECT p.oid FROM pg_catalog.pg_proc AS p
     WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND p.prosrc LIKE 'be\_lo%'
       AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE WITH GRANT OPTION')
  LOOP
    EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', closable);
  END LOOP;
END
$$;

-- Azure grants CREATE on schema public to PUBLIC, on every version.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- The caller of llama.encrypt_sensitive_data needs pgcrypto, and the owner needs operator classes. No other role uses an
-- extension.
GRANT USAGE ON SCHEMA extensions TO llama_owner, admin_role;

-- The login created the schema, and nobody may log in as the owner of anything. A schema that somebody else made stays.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_namespace AS n
              WHERE n.nspname = 'extensions' AND n.nspowner = CURRENT_USER::pg_catalog.regrole) THEN
    IF pg_catalog.to_regrole('azure_pg_admin') IS NOT NULL THEN
      GRANT USAGE ON SCHEMA extensions TO azure_pg_admin;
    END IF;
    ALTER SCHEMA extensions OWNER TO llama_owner;
  END IF;
END
$$;

-- Down Migration

-- Schema public and large objects stay closed: a rollback must not open them.
-- The login gets its schema back, for which it has to inherit the owner's rights for a moment.
DO $$
BEGIN
  IF (SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'extensions') = 'llama_owner'::pg_catalog.regrole THEN
    GRANT llama_owner TO CURRENT_USER WITH INHERIT TRUE, SET TRUE;
    IF pg_catalog.to_regrole('azure_pg_admin') IS NOT NULL THEN
      REVOKE USAGE ON SCHEMA extensions FROM azure_pg_admin;
    END IF;
    ALTER SCHEMA extensions OWNER TO CURRENT_USER;
    GRANT llama_owner TO CURRENT_USER WITH INHERIT FALSE, SET TRUE;
  END IF;
  REVOKE USAGE ON SCHEMA extensions FROM llama_owner, admin_role;
END
$$;

DO $$
DECLARE
  role_name text;
  role_id oid;
BEGIN
  EXECUTE pg_catalog.format(
    'REVOKE TEMPORARY ON DATABASE %I FROM llama_owner, admin_role, analytics_role, maintenance_owner',
    pg_catalog.current_database()
  );
  EXECUTE pg_catalog.format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', pg_catalog.current_database());

  FOREACH role_name IN ARRAY ARRAY['application_role', 'admin_role', 'analytics_role', 'maintenance_role', 'maintenance_owner', 'audit_writer',
    'audit_sealer', 'import_writer']
  LOOP
    SELECT oid INTO role_id FROM pg_catalog.pg_roles WHERE rolname = role_name;
    CONTINUE WHEN NOT FOUND;
    -- DROP ROLE removes the role from its members silently, and another database may need it.
    CONTINUE WHEN EXISTS (
      SELECT FROM pg_catalog.pg_shdepend AS d
        LEFT JOIN pg_catalog.pg_database AS b ON b.datname = pg_catalog.current_database()
       WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND d.refobjid = role_id
         AND d.classid <> 'pg_catalog.pg_auth_members'::pg_catalog.regclass
         AND d.dbid <> b.oid AND NOT (d.dbid = 0 AND d.objid = b.oid)
    );
    CONTINUE WHEN EXISTS (
      SELECT FROM pg_catalog.pg_auth_members AS m
        JOIN pg_catalog.pg_roles AS r ON r.oid = m.member
       WHERE m.roleid = role_id AND NOT m.admin_option AND r.rolname <> 'llama_owner'
    );
    BEGIN
      EXECUTE pg_catalog.format('DROP ROLE %I', role_name);
    EXCEPTION WHEN undefined_object OR dependent_objects_still_exist OR internal_error THEN
      -- Another database has just dropped the role, or uses it. The server reports the first case as an internal error
      -- ("could not find tuple"). A role that stays has no privileges here.
      NULL;
    END;
  END LOOP;
END
$$;
