/** A real PostgreSQL behind each server of the local Azure, which repeats the events of the server. */

import pg from 'pg';
import { nameOf } from '../../../../azure/resource-id.ts';
import { closeAll } from '../../../closing.ts';
import { within } from '../../../postgres/bootstrap.ts';
import { type Gateway, startGateway } from '../../../postgres/gateway.ts';
import { setPassword } from '../../../postgres/password.ts';
import type { LocalPostgres } from '../../../postgres/server.ts';
import type { ParameterState, ServerEvent, ServerEvents } from './events.ts';

export interface PostgresBehindOptions {
  /** Name of the server that this PostgreSQL stands behind. */
  readonly server: string;
  readonly postgres: LocalPostgres;
  /** Id of the server that a host name leads to; `serverBehind` of the local Azure. */
  readonly resolve: (host: string) => string | undefined;
}

/**
 * Starts with one PostgreSQL, behind the server of that name. A replica gets a real standby, which streams from its
 * primary, at the first connection or promotion: a deployment without one saves the start. Other servers have nothing
 * behind them.
 */
export class PostgresBehind {
  /** By the name of the server. */
  readonly #servers = new Map<string, LocalPostgres>();
  /** Replicas whose standby has not been needed yet, and the server they follow. */
  readonly #replicas = new Map<
    string,
    { readonly source: string; readonly parameters: Map<string, string> }
  >();
  /** Logs of deleted servers. */
  readonly #deleted: [string, string][] = [];
  readonly #starting = new Map<string, Promise<LocalPostgres | undefined>>();
  #gateway: Gateway | undefined;

  private constructor(readonly options: PostgresBehindOptions) {
    this.#servers.set(options.server, options.postgres);
  }

  static async start(options: PostgresBehindOptions): Promise<PostgresBehind> {
    const behind = new PostgresBehind(options);
    behind.#gateway = await startGateway(async (host) => {
      const id = options.resolve(host);
      return id === undefined ? undefined : (await behind.serverOf(nameOf(id)))?.port;
    });
    return behind;
  }

  /** Port that leads to each server by its host name and by those of a virtual endpoint. */
  get port(): number {
    return this.#gateway?.port ?? 0;
  }

  /** Authority of every server's certificate. */
  get caFile(): string {
    return this.options.postgres.caFile;
  }

  /** Receives the events of the local Azure. */
  readonly events: ServerEvents = (event) => this.#happened(event);

  /** The PostgreSQL behind a server; starts that of a replica. @returns undefined if there is none */
  async serverOf(name: string): Promise<LocalPostgres | undefined> {
    const running = this.#servers.get(name) ?? this.#starting.get(name);
    if (running || !this.#replicas.has(name)) return running;
    const starting = this.#startStandby(name).finally(() => this.#starting.delete(name));
    this.#starting.set(name, starting);
    return starting;
  }

  /** The log of every server by its name, deleted ones included. */
  logs(): readonly (readonly [string, string])[] {
    const running = [...this.#servers].map(([name, postgres]): [string, string] => [name, postgres.log()]);
    return [...running, ...this.#deleted];
  }

  /** Registers a replica of a restored snapshot. */
  knowReplica(name: string, source: string): void {
    if (!this.#servers.has(name)) this.#replicas.set(name, { source, parameters: new Map() });
  }

  /** Stops what it has started. The owner stops the PostgreSQL of the options. */
  async stop(): Promise<void> {
    const own = [...this.#servers].filter(([, postgres]) => postgres !== this.options.postgres);
    for (const [name] of own) this.#servers.delete(name);
    await closeAll([
      { name: 'the gateway', close: async () => this.#gateway?.stop() },
      ...own.map(([name, postgres]) => ({
        name: `the PostgreSQL behind ${name}`,
        close: () => postgres.stop(),
      })),
    ]);
  }

  async #startStandby(name: string): Promise<LocalPostgres | undefined> {
    const replica = this.#replicas.get(name);
    const source = replica && (await this.serverOf(replica.source));
    if (!source) return undefined;
    const standby = await source.standby({
      hostNames: [
        `${name}.postgres.database.azure.com`,
        ...['writer', 'reader'].map((role) => `*.${role}.postgres.database.azure.com`),
      ],
    });
    this.#servers.set(name, standby);
    this.#replicas.delete(name);
    for (const [parameter, value] of replica?.parameters ?? []) await standby.setParameter(parameter, value);
    return standby;
  }

  async #happened(event: ServerEvent): Promise<ParameterState> {
    const name = nameOf(event.server);
    if (event.kind === 'created' && event.replica && event.source !== undefined) {
      this.knowReplica(name, nameOf(event.source));
      return undefined;
    }
    const waiting = this.#replicas.get(name);
    if (waiting && event.kind === 'parameterSet') {
      waiting.parameters.set(event.name, event.value);
      return 'inForce';
    }
    if (waiting && event.kind === 'deleted') this.#replicas.delete(name);
    const postgres = event.kind === 'promoted' ? await this.serverOf(name) : this.#servers.get(name);
    if (!postgres) return undefined;
    if (event.kind === 'promoted')
      await this.#promote(postgres, name, nameOf(event.primary), event.standalone);
    else if (event.kind === 'deleted') await this.#delete(postgres, name);
    else return apply(event, postgres);
    return undefined;
  }

  async #delete(postgres: LocalPostgres, name: string): Promise<void> {
    if (postgres === this.options.postgres) return setDatabasesAside(postgres);
    this.#servers.delete(name);
    this.#deleted.push([name, postgres.log()]);
    await postgres.stop();
  }

  /** Shuts the primary down cleanly, which sends everything to the standby; then each takes the other's place. */
  async #promote(standby: LocalPostgres, name: string, source: string, standalone: boolean): Promise<void> {
    const primary = await this.serverOf(source);
    if (standalone || !primary) return standby.promote();
    await primary.halt();
    await standby.promote();
    await primary.rejoin(standby);
    for (const [other, replica] of this.#replicas)
      if (replica.source === source) this.#replicas.set(other, { ...replica, source: name });
  }
}

async function apply(event: ServerEvent, postgres: LocalPostgres): Promise<ParameterState> {
  switch (event.kind) {
    case 'created':
      await (event.revived ? takeBackDatabases(postgres) : dropDatabases(postgres, setAside));
      if (event.entra) await installEntraFunctions(postgres);
      break;
    case 'restarted':
      // A failover ends a machine without a shutdown.
      await postgres.restart({ crash: event.failover });
      break;
    case 'scaled':
      await postgres.restart();
      break;
    case 'deleted':
      await setDatabasesAside(postgres);
      break;
    case 'stopped':
      await postgres.halt();
      break;
    case 'started':
      await postgres.resume();
      break;
    case 'parameterSet': {
      const state = await postgres.setParameter(event.name, event.value);
      // A parameter that this build lacks waits for nothing.
      return state === 'absent' ? 'inForce' : state;
    }
    case 'databaseCreated':
    case 'databaseDeleted':
      await database(postgres, event);
      break;
    case 'passwordSet':
      await passwordAdministrator(postgres, event);
      break;
    case 'administratorAdded':
      await addAdministrator(postgres, event);
      break;
    case 'administratorRemoved':
      await administer(postgres, [
        `REVOKE azure_pg_admin FROM ${pg.escapeIdentifier(event.name)}`,
        `ALTER ROLE ${pg.escapeIdentifier(event.name)} NOLOGIN`,
      ]);
      break;
  }
  return undefined;
}

/** The login that a server with password login is created with (see `createRoles`). */
async function passwordAdministrator(
  postgres: LocalPostgres,
  { login, password }: Extract<ServerEvent, { readonly kind: 'passwordSet' }>,
): Promise<void> {
  await within(postgres.connection('superuser', { database: 'postgres' }), async (client) => {
    const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [login]);
    if (rowCount === 0)
      await client.query(
        `CREATE ROLE ${pg.escapeIdentifier(login)} LOGIN CREATEROLE CREATEDB IN ROLE azure_pg_admin`,
      );
    await setPassword(client, login, password);
  });
}

async function database(
  postgres: LocalPostgres,
  {
    kind,
    database: name,
    owner,
  }: Extract<ServerEvent, { readonly kind: 'databaseCreated' | 'databaseDeleted' }>,
): Promise<void> {
  const wanted = kind === 'databaseCreated';
  const there = await within(postgres.connection('superuser', { database: 'postgres' }), async (client) => {
    const { rows } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    return rows.length > 0;
  });
  if (wanted && !there) await postgres.createDatabase(name);
  if (wanted && owner !== undefined)
    await administer(postgres, [
      `ALTER DATABASE ${pg.escapeIdentifier(name)} OWNER TO ${pg.escapeIdentifier(owner)}`,
    ]);
  if (!wanted && there)
    await administer(postgres, [`DROP DATABASE ${pg.escapeIdentifier(name)} WITH (FORCE)`]);
}

/**
 * An Entra administrator is a login of that name, a member of azure_pg_admin, labelled with its object id.
 * https://learn.microsoft.com/azure/postgresql/security/security-manage-entra-users
 */
async function addAdministrator(
  postgres: LocalPostgres,
  { name, objectId, principalType }: Extract<ServerEvent, { readonly kind: 'administratorAdded' }>,
): Promise<void> {
  const type = { User: 'user', Group: 'group', ServicePrincipal: 'service' }[principalType] ?? 'user';
  await within(postgres.connection('superuser', { database: 'postgres' }), async (client) => {
    const { rows } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [name]);
    if (rows.length === 0) {
      await client.query('SELECT pgaadauth_create_principal_with_oid($1, $2, $3, true, false)', [
        name,
        objectId,
        type,
      ]);
      await client.query(`ALTER ROLE ${pg.escapeIdentifier(name)} CREATEROLE CREATEDB`);
      return;
    }
    await client.query(
      `GRANT azure_pg_admin TO ${pg.escapeIdentifier(name)}; ALTER ROLE ${pg.escapeIdentifier(name)} LOGIN`,
    );
  });
}

/** Prefix of databases of a deleted server, which it has again if it is revived. */
const setAside = 'deleted with its server: ';

/** Empties a PostgreSQL that outlives its server, so that it is like a new one, and keeps the data for a revival. */
async function setDatabasesAside(postgres: LocalPostgres): Promise<void> {
  await dropDatabases(postgres, setAside);
  for (const name of await databasesOf(postgres)) await rename(postgres, name, `${setAside}${name}`);
}

async function takeBackDatabases(postgres: LocalPostgres): Promise<void> {
  for (const name of await databasesOf(postgres))
    if (name.startsWith(setAside)) await rename(postgres, name, name.slice(setAside.length));
}

async function dropDatabases(postgres: LocalPostgres, prefix: string): Promise<void> {
  const names = (await databasesOf(postgres)).filter((name) => name.startsWith(prefix));
  await administer(
    postgres,
    names.map((name) => `DROP DATABASE ${pg.escapeIdentifier(name)} WITH (FORCE)`),
  );
}

async function databasesOf(postgres: LocalPostgres): Promise<readonly string[]> {
  return within(postgres.connection('superuser', { database: 'postgres' }), async (client) => {
    const { rows } = await client.query<{ datname: string }>(
      "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'",
    );
    return rows.map(({ datname }) => datname);
  });
}

async function rename(postgres: LocalPostgres, from: string, to: string): Promise<void> {
  await administer(postgres, [
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${pg.escapeLiteral(from)}`,
    `ALTER DATABASE ${pg.escapeIdentifier(from)} RENAME TO ${pg.escapeIdentifier(to)}`,
  ]);
}

async function administer(postgres: LocalPostgres, statements: readonly string[]): Promise<void> {
  await within(postgres.connection('superuser', { database: 'postgres' }), async (client) => {
    for (const statement of statements) await client.query(statement);
  });
}

/**
 * Azure's functions for Entra principals, in database `postgres` alone: a login without a password, labelled with its
 * object id. https://learn.microsoft.com/azure/postgresql/security/security-manage-entra-users
 */
async function installEntraFunctions(postgres: LocalPostgres): Promise<void> {
  await administer(postgres, [entraFunctions]);
}

// SECURITY LABEL needs the module of its provider, which only Azure has. The catalog accepts a row without it.
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
