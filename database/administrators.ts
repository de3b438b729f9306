/**
 * Keeps every administrator of the server able to deploy. Since PostgreSQL 16 only a role with ADMIN on a role can grant
 * it, and at first the creator alone has that.
 */
import pg from 'pg';
import { Fault } from '../core/fault.ts';
import type { Reporter } from '../core/report.ts';
import { type Connection, type ConnectOptions, withConnection } from './connection.ts';
import { sqlState } from './diagnosis.ts';
import { tolerant } from './migrator/prepare.ts';
import { isPlatform } from './overrides.ts';
import { databaseOwner, everyAdministrator, ownerRole, schemaRoles } from './schema/roles.ts';

/** Names of the administrators of a deployment: Entra's, and the one with a password. */
export function administratorNames({ target: { deployment } }: Pick<Connection, 'target'>): string[] {
  if (!deployment) return [];
  const { administrator, passwordAdministrator, azure } = deployment;
  const names = [
    administrator,
    passwordAdministrator,
    ...(azure?.administrators ?? []).map(({ name }) => name),
  ];
  return [...new Set(names.filter((name) => name !== undefined))];
}

/**
 * Grants the roles of the schema and the logins of the deployment, with ADMIN, to `azure_pg_admin`. An administrator who is
 * renamed, replaced or put first later thereby has them from the start, and one who leaves has them no longer. A server
 * without that group, or that refuses the grant, admits each administrator of the deployment. INHERIT is off: nobody acts
 * as the owner by accident.
 *
 * @returns the members that it admitted, for people
 */
export async function admitAdministrators(
  connection: Connection,
  reporter: Reporter,
): Promise<readonly string[]> {
  const group = await admit(connection, [everyAdministrator], reporter);
  const all = group ?? (await admit(connection, administratorNames(connection), reporter)) ?? [];
  if (all.length > 0) reporter.line(`Administrators of the schema: ${all.join(', ')}`);
  return all;
}

/** @returns the members that did not have every role; undefined if none of the members exists, or a grant was refused */
async function admit(
  connection: Connection,
  members: readonly string[],
  reporter: Reporter,
): Promise<readonly string[] | undefined> {
  const { client, target } = connection;
  const logins = (target.deployment?.logins ?? []).map(({ name }) => name);
  const { rows } = await client.query<{ role: string; member: string; missing: boolean }>(
    `SELECT r.rolname AS role, m.rolname AS member,
            pg_catalog.pg_has_role(SESSION_USER, r.oid, 'MEMBER WITH ADMIN OPTION') AND NOT EXISTS (
              SELECT FROM pg_catalog.pg_auth_members AS a WHERE a.roleid = r.oid AND a.member = m.oid
              HAVING bool_or(a.admin_option) AND bool_or(a.set_option OR r.rolname <> $3)) AS missing
       FROM pg_catalog.pg_roles AS r, pg_catalog.pg_roles AS m
      WHERE r.rolname = ANY ($1) AND m.rolname = ANY ($2) AND NOT m.rolsuper
      ORDER BY 2, r.rolname <> $3, 1`,
    [[...schemaRoles, ...logins], members, ownerRole],
  );
  const admitted = new Set<string>();
  for (const { role, member } of rows.filter(({ missing }) => missing)) {
    const options = `ADMIN TRUE, INHERIT FALSE, SET ${role === ownerRole ? 'TRUE' : 'FALSE'}`;
    const grant = `GRANT ${pg.escapeIdentifier(role)} TO ${pg.escapeIdentifier(member)} WITH ${options}`;
    if (!(await granted(connection, grant, reporter))) return undefined;
    admitted.add(member);
  }
  return rows.length > 0 ? [...admitted] : undefined;
}

/** @returns false, with a warning, if the server refuses the grant: the other administrators keep their roles */
async function granted({ client }: Connection, grant: string, reporter: Reporter): Promise<boolean> {
  try {
    await tolerant(() => client.query(grant));
    return true;
  } catch (error) {
    const state = sqlState(error);
    // 0LP01: ADMIN cannot be granted back to the role that it came from, which has it already.
    if (state === '0LP01') return true;
    if (state !== '42501') throw error;
    reporter.warn(`${grant}: refused`);
    return false;
  }
}

/**
 * Lets the login act as the owner if another administrator of the deployment can: the list of administrators may begin
 * with a new one. Without such an administrator nothing happens, and the migrator reports the login's lack.
 */
export async function letLoginIn(
  connection: Connection,
  { reporter, ...options }: ConnectOptions & { readonly reporter: Reporter },
): Promise<void> {
  if (await mayActAsOwner(connection)) return;
  const { target, credential } = connection;
  for (const user of administratorNames(connection).filter((name) => name !== target.user)) {
    const admitted = await withConnection(
      { ...target, user },
      { ...options, credential, attempts: 1 },
      (other) => admitAdministrators(other, reporter),
    ).catch((error) => {
      // The identity need not belong to every group of administrators.
      if (error instanceof Fault) return [];
      throw error;
    });
    if (admitted.length > 0 && (await mayActAsOwner(connection))) return;
  }
}

async function mayActAsOwner({ client }: Connection): Promise<boolean> {
  const { rows } = await client.query<{ may: boolean }>(
    `SELECT pg_catalog.to_regrole($1) IS NULL
         OR pg_catalog.pg_has_role(SESSION_USER, pg_catalog.to_regrole($1)::oid, 'SET') AS may`,
    [ownerRole],
  );
  return rows[0]?.may === true;
}

/**
 * Gives the database to a role that every administrator acts as. With password login, Azure gives a new database to the
 * administrator with the password, and then no other administrator could change its privileges. The role is
 * `azure_pg_admin`, or `llama_database` if Azure Backup keeps a weekly backup.
 *
 * @throws Fault if it belongs to a login other than this one, or to a superuser of Azure
 */
export async function shareDatabase(connection: Connection, reporter: Reporter): Promise<void> {
  const { client, circumstances, superuser, target } = connection;
  const wanted = target.deployment?.longTermBackup ? databaseOwner : everyAdministrator;
  const { rows } = await client.query<{
    owner: string;
    usable: boolean;
    creates: boolean;
    on_azure: boolean;
  }>(
    `SELECT o.rolname AS owner, pg_catalog.pg_has_role(SESSION_USER, o.oid, 'USAGE') AS usable,
            pg_catalog.has_database_privilege(SESSION_USER, d.oid, 'CREATE') AS creates,
            pg_catalog.to_regrole($1) IS NOT NULL AS on_azure
       FROM pg_catalog.pg_database AS d JOIN pg_catalog.pg_roles AS o ON o.oid = d.datdba
      WHERE d.datname = pg_catalog.current_database()`,
    [everyAdministrator],
  );
  const [found] = rows;
  if (!found?.on_azure || superuser || found.owner === wanted) return;
  const name = circumstances.database;
  const where = `Database ${name} on ${circumstances.target} belongs to ${found.owner}`;
  const statement = `ALTER DATABASE ${pg.escapeIdentifier(name)} OWNER TO ${wanted}`;
  if (isPlatform(found.owner) && !found.usable) {
    if (found.creates) return;
    throw new Fault(
      'database/owned-by-azure',
      where,
      `Azure gives a database to its superuser if the server has no administrator yet (azurerm #27895), and ${circumstances.user} can create nothing in it`,
      `It is empty: delete it with az postgres flexible-server db delete --database-name ${name}, and deploy again, which creates it after the administrators.`,
    );
  }
  if (!found.usable)
    throw new Fault(
      'database/owned-by-another',
      where,
      `Azure gives a new database to the administrator with the password, and ${circumstances.user} cannot change the privileges of a database that it does not own`,
      `Deploy once with PGPASSWORD set to the password of ${found.owner}, which hands it over, or run as that login: ${statement}.`,
    );
  if (wanted === databaseOwner && !(await makeDatabaseOwner(connection, reporter))) return;
  await client.query(statement);
  reporter.line(`Database ${name} belongs to ${wanted} now`);
}

/** @returns false, with a warning, if the server refuses it: verification then reports the backup without the database */
async function makeDatabaseOwner(connection: Connection, reporter: Reporter): Promise<boolean> {
  const { client } = connection;
  const { rowCount } = await client.query('SELECT FROM pg_catalog.pg_roles WHERE rolname = $1', [
    databaseOwner,
  ]);
  if (rowCount === 0) await client.query(`CREATE ROLE ${databaseOwner} NOLOGIN`);
  const options = 'WITH ADMIN TRUE, INHERIT TRUE, SET TRUE';
  return granted(connection, `GRANT ${databaseOwner} TO ${everyAdministrator} ${options}`, reporter);
}
