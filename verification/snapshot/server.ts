/** The server, this connection and the parameters. */
import { type Grant, grantsOf } from './grants.ts';
import { mapped, row, rows } from './source.ts';

export interface ServerFacts {
  /** server_version_num, e.g. 170010. */
  readonly version: number;
  /** Whether it is an Azure server: every Flexible Server has the database azure_maintenance. */
  readonly isAzure: boolean;
  readonly inRecovery: boolean;
  readonly database: string;
  readonly databaseOwner: string;
  readonly encoding: string;
  readonly login: string;
  /** TLS of this connection; null if it has none. */
  readonly tls: { readonly version: string; readonly cipher: string } | null;
  readonly now: Date;
  /** Age of the oldest unfrozen row, in transactions. */
  readonly frozenAge: number;
  readonly databaseGrants: readonly Grant[];
  /** Attributes of ALTER DATABASE. */
  readonly isTemplate: boolean;
  readonly allowsConnections: boolean;
  /** -1: no limit. */
  readonly connectionLimit: number;
  readonly tablespace: string;
}

/** A collation that something of this database depends on, and its versions; null if its provider has none. */
export interface Collation {
  /** `database llama_mapper`, `collation pg_catalog.de-x-icu`. */
  readonly object: string;
  /** With which its indexes were built. */
  readonly recorded: string | null;
  /** Of the library that the server runs with. */
  readonly actual: string | null;
}

export interface Setting {
  /** In `unit`, as a new session gets it. */
  readonly value: string;
  /** The default of the PostgreSQL programs. */
  readonly builtIn: string | null;
  readonly unit: string | null;
  readonly pendingRestart: boolean;
  readonly category: string;
  /** bool, enum, string, integer or real. */
  readonly type: string;
}

export const serverFacts = {
  server: row<ServerFacts>(`
    SELECT current_setting('server_version_num')::int AS version,
      EXISTS (SELECT FROM pg_database WHERE datname = 'azure_maintenance') AS "isAzure",
      pg_is_in_recovery() AS "inRecovery", d.datname AS database, pg_get_userbyid(d.datdba) AS "databaseOwner",
      pg_encoding_to_char(d.encoding) AS encoding, session_user AS login, now() AS now,
      age(d.datfrozenxid) AS "frozenAge",
      d.datistemplate AS "isTemplate", d.datallowconn AS "allowsConnections", d.datconnlimit AS "connectionLimit",
      (SELECT spcname FROM pg_tablespace t WHERE t.oid = d.dattablespace) AS tablespace,
      ${grantsOf(`coalesce(d.datacl, acldefault('d', d.datdba))`)} AS "databaseGrants",
      (SELECT json_build_object('version', s.version, 'cipher', s.cipher)
       FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid() AND s.ssl) AS tls
    FROM pg_database d WHERE d.datname = current_database()`),
  collations: rows<Collation>(`
    SELECT 'database ' || d.datname AS object, d.datcollversion AS recorded,
      pg_database_collation_actual_version(d.oid) AS actual
    FROM pg_database d WHERE d.datname = current_database()
    UNION ALL
    SELECT format('collation %I.%I', n.nspname, l.collname), l.collversion, pg_collation_actual_version(l.oid)
    FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
    WHERE EXISTS (SELECT FROM pg_depend p WHERE p.refclassid = 'pg_collation'::regclass AND p.refobjid = l.oid)`),
  /**
   * Parameters by name, with the values of a new session: this session has already changed some. pg_settings of a local
   * server does not list Azure's own parameters.
   */
  settings: mapped(
    rows<Setting & { readonly name: string }>(`
    SELECT name, coalesce(reset_val, setting) AS value, boot_val AS "builtIn", unit, pending_restart AS "pendingRestart", category,
      vartype AS type
    FROM pg_settings
    UNION ALL
    SELECT name, current_setting(name, true), NULL, NULL, false, 'Customized Options', 'string' FROM unnest(ARRAY['azure.extensions']) AS name
    WHERE current_setting(name, true) IS NOT NULL AND name NOT IN (SELECT s.name FROM pg_settings s)`),
    (list): ReadonlyMap<string, Setting> => new Map(list.map((setting) => [setting.name, setting])),
  ),
};
