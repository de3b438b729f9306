/** A real PostgreSQL behind one server of the local Azure. */
import { within } from '../postgres/bootstrap.ts';
import type { LocalPostgres } from '../postgres/server.ts';
import { nameOf } from './resource-id.ts';
import type { ServerEvents } from './server-events.ts';

/**
 * Lets what happens to the server of that name happen to the PostgreSQL too: Entra's functions appear with Entra
 * authentication, a restart restarts it. Other servers (a replica) have nothing behind them.
 */
export function postgresBehind(serverName: string, postgres: LocalPostgres): ServerEvents {
  return async (event) => {
    if (nameOf(event.server) !== serverName) return;
    if (event.kind === 'created' && event.entra) await installEntraFunctions(postgres);
    if (event.kind === 'restarted') await postgres.restart();
  };
}

/**
 * Azure's functions for Entra principals, in database `postgres` alone: a login without a password, labelled with its
 * object id. https://learn.microsoft.com/azure/postgresql/security/security-manage-entra-users
 */
async function installEntraFunctions(postgres: LocalPostgres): Promise<void> {
  await within(postgres.connection('superuser', { database: 'postgres' }), async (client) => {
    await client.query(entraFunctions);
  });
}

// A label needs its provider's module, which only Azure has; the catalog takes one without it.
const entraFunctions = `
  CREATE OR REPLACE FUNCTION pg_catalog.pgaadauth_create_principal_with_oid(
    rolename text, objectid text, objecttype text, isadmin boolean, ismfa boolean)
  RETURNS text LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp SET allow_system_table_mods = on
  AS $function$
  BEGIN
    IF objecttype NOT IN ('user', 'group', 'service') THEN
      RAISE EXCEPTION 'Unknown object type "%"', objecttype;
    END IF;
    EXECUTE format('CREATE ROLE %I LOGIN', rolename);
    IF isadmin THEN EXECUTE format('GRANT azure_pg_admin TO %I', rolename); END IF;
    INSERT INTO pg_shseclabel (objoid, classoid, provider, label)
    SELECT oid, 'pg_authid'::regclass, 'pgaadauth',
           format('aadauth,oid=%s,type=%s%s%s', objectid, objecttype,
                  CASE WHEN isadmin THEN ',admin' ELSE '' END, CASE WHEN ismfa THEN ',mfa' ELSE '' END)
      FROM pg_authid WHERE rolname = rolename;
    RETURN format('Created role for "%s"', rolename);
  END $function$;
  REVOKE ALL ON FUNCTION pg_catalog.pgaadauth_create_principal_with_oid FROM PUBLIC;
  GRANT EXECUTE ON FUNCTION pg_catalog.pgaadauth_create_principal_with_oid TO azure_pg_admin;`;
