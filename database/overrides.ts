/**
 * Settings that ALTER ROLE … SET and ALTER DATABASE … SET keep on the server. PostgreSQL lets every role change its own, so
 * verification reports each one that is not allowed, and the post-deploy step resets it.
 */
import pg from 'pg';
import type { Reporter } from '../core/report.ts';
import { messageOf } from '../core/text.ts';
import type { Connection } from './connection.ts';
import { sqlState } from './diagnosis.ts';

export interface Override {
  /** Null: all roles. */
  readonly role: string | null;
  /** Null: all databases. */
  readonly database: string | null;
  readonly name: string;
  readonly value: string;
}

/**
 * Every row of pg_db_role_setting except those of other databases, to which only the login of a role of this one leads:
 * database postgres holds pg_cron and the functions for Entra principals.
 */
export const overridesQuery = `
  SELECT r.rolname AS role, d.datname AS database, pg_catalog.split_part(c.setting, '=', 1) AS name,
         pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1) AS value
    FROM pg_catalog.pg_db_role_setting AS s
    LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
    LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c (setting)
   WHERE s.setdatabase = 0 OR s.setrole <> 0 OR d.datname IN (pg_catalog.current_database(), 'postgres')
   ORDER BY 1, 2, 3`;

/** Settings that a role or database may have: they change neither results nor limits. */
const harmless = new Set(['application_name']);

/**
 * Settings that every role can give itself and that only a superuser can take away, which nobody is on Azure, with the value
 * that means nothing. PostgreSQL refuses RESET and RESET ALL (SQLSTATE 0A000).
 */
const unresettable: Readonly<Record<string, string>> = { transaction_read_only: 'off' };

/** Roles of the platform: Azure's own, one of which is called replication, and PostgreSQL's predefined ones. */
export const isPlatform = (name: string): boolean => /^(azure|pg_)|^replication$/.test(name);

/** Whether the project accepts a setting: one of a platform role, or a harmless one. */
export function isAllowed({ role, name, value }: Override): boolean {
  return (role !== null && isPlatform(role)) || harmless.has(name) || unresettable[name] === value;
}

/** `role app in database llama`, `database llama`, `all roles`. */
export function placeOf({ role, database }: Override): string {
  const where = database === null ? '' : `database ${database}`;
  if (role === null) return where || 'all roles';
  return `role ${role}${where ? ` in ${where}` : ''}`;
}

/**
 * Resets every setting that is not allowed, and reports each. A setting that the login may not reset stays, with a warning;
 * verification fails on it.
 *
 * @returns whether it reset one: sessions keep the settings with which they began
 */
export async function resetOverrides({ client }: Connection, reporter: Reporter): Promise<boolean> {
  const { rows } = await client.query<Override>(overridesQuery);
  let changed = false;
  for (const override of rows.filter((row) => !isAllowed(row))) {
    const done = await corrected(`Reset ${override.name} of ${placeOf(override)}`, reporter, () =>
      client.query(resetting(override)),
    );
    changed ||= done;
  }
  return changed;
}

/** The statement that removes one setting, or makes it mean nothing. */
export function resetting({ role, database, name }: Override): string {
  const parameter = name.split('.').map(pg.escapeIdentifier).join('.');
  const harmlessValue = unresettable[name];
  const change = harmlessValue === undefined ? `RESET ${parameter}` : `SET ${parameter} = ${harmlessValue}`;
  const within = database === null ? '' : pg.escapeIdentifier(database);
  if (role === null && within) return `ALTER DATABASE ${within} ${change}`;
  const whom = role === null ? 'ALL' : pg.escapeIdentifier(role);
  return `ALTER ROLE ${whom}${within ? ` IN DATABASE ${within}` : ''} ${change}`;
}

/** Runs one correction and reports it; a refused one becomes a warning. @returns whether it was done */
export async function corrected(
  what: string,
  reporter: Reporter,
  work: () => Promise<unknown>,
): Promise<boolean> {
  try {
    await work();
    reporter.line(what);
    return true;
  } catch (error) {
    // 0A000: PostgreSQL does not reset the parameter. One setting must not keep the others.
    if (!['42501', '0A000'].includes(sqlState(error) ?? '')) throw error;
    reporter.warn(`${what}: refused, ${messageOf(error)}`);
    return false;
  }
}
