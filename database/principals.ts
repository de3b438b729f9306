/**
 * Logins of the deployment, each a member of one group role: Entra principals if the server has `pgaadauth`, password
 * roles otherwise (the embedded server).
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import pg from 'pg';
import { Fault } from '../core/fault.ts';
import type { Reporter } from '../core/report.ts';
import { type Connection, type ConnectOptions, withConnection } from './connection.ts';
import type { Deployment } from './deployment.ts';
import { tolerant } from './migrator/prepare.ts';
import { corrected } from './overrides.ts';

type Login = Deployment['logins'][number];

export interface LoginOptions extends ConnectOptions {
  readonly reporter: Reporter;
  /** Passwords by login, for a server without Entra. A login without a password cannot log in. @default - none */
  readonly passwords?: ReadonlyMap<string, string>;
}

/** Types of Entra principals as `pgaadauth_create_principal_with_oid` spells them. */
const principalTypes = { Group: 'group', ServicePrincipal: 'service', User: 'user' } as const;

interface Existing {
  readonly name: string;
  /** Entra label, `aadauth,oid=…`; null for a role without an Entra principal. */
  readonly label: string | null;
  /** Whether it is a member of its group role with exactly the options that it should have. */
  readonly member: boolean;
  /** Whether it can log in, without an end and without a limit of connections. */
  readonly usable: boolean;
}

/**
 * Creates missing logins and makes each a member of its group role, with INHERIT (it has the role's privileges at once)
 * and without SET and ADMIN. A login that was given another limit, end or option gets these back, with a line that says so.
 *
 * @returns the number of logins created
 * @throws Fault if another principal has the name of a login, or a group role is missing
 */
export async function ensureLogins(
  connection: Connection,
  logins: readonly Login[],
  options: LoginOptions,
): Promise<number> {
  if (logins.length === 0) return 0;
  const existing = await existingRoles(connection, logins);
  for (const login of logins) refuseOtherPrincipal(login, existing.get(login.name));
  const missing = logins.filter(({ name }) => !existing.has(name));
  const { passwords = new Map<string, string>() } = options;
  if (missing.length > 0 || passwords.size > 0)
    await create(connection, logins, missing, { ...options, passwords });
  for (const { name, role } of logins) {
    const found = existing.get(name);
    const login = pg.escapeIdentifier(name);
    const grant = `GRANT ${pg.escapeIdentifier(role)} TO ${login} WITH ADMIN FALSE, INHERIT TRUE, SET FALSE`;
    if (!found?.member) await tolerant(() => connection.client.query(grant));
    if (found && !found.usable) {
      const limits = `LOGIN INHERIT CONNECTION LIMIT -1 VALID UNTIL 'infinity'`;
      await corrected(`Reset login ${name} to ${limits}`, options.reporter, () =>
        connection.client.query(`ALTER ROLE ${login} ${limits}`),
      );
    }
  }
  if (missing.length > 0) {
    const list = missing.map(({ name, role }) => `${name} (${role})`).join(', ');
    options.reporter.line(`Created logins ${list}`);
  }
  return missing.length;
}

/**
 * Passwords of logins from LLAMA_DB_LOGIN_PASSWORDS, a JSON object from login to password; only for servers without
 * Entra.
 */
export function loginPasswords(
  variables: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, string> {
  const text = variables['LLAMA_DB_LOGIN_PASSWORDS'];
  if (!text) return new Map();
  const refuse = (why: string): Fault =>
    new Fault(
      'principals/passwords-malformed',
      'LLAMA_DB_LOGIN_PASSWORDS cannot be used',
      why,
      'Set it to {"login": "password", …}.',
      {
        exitCode: 2,
      },
    );
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // The message of the parser would quote the passwords.
    throw refuse('it is not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null) throw refuse('it is not a JSON object');
  return new Map(
    Object.entries(parsed).map(([name, password]) => {
      if (typeof password === 'string' && password !== '') return [name, password];
      throw refuse(`the password of ${name} is not a string`);
    }),
  );
}

async function existingRoles(
  { client }: Connection,
  logins: readonly Login[],
): Promise<ReadonlyMap<string, Existing>> {
  // All databases of the server share the security labels of roles, but not the functions that set them.
  const { rows } = await client.query<Existing>(
    `SELECT r.rolname AS name, l.label,
            r.rolcanlogin AND r.rolinherit AND r.rolconnlimit = -1
              AND coalesce(r.rolvaliduntil = 'infinity', true) AS usable,
            coalesce((SELECT pg_catalog.bool_or(m.inherit_option) AND NOT pg_catalog.bool_or(m.set_option OR m.admin_option)
                        FROM pg_catalog.pg_auth_members AS m
                       WHERE m.member = r.oid AND m.roleid = pg_catalog.to_regrole(w.role)), false) AS member
       FROM unnest($1::text[], $2::text[]) AS w (name, role)
       JOIN pg_catalog.pg_roles AS r ON r.rolname = w.name
       LEFT JOIN pg_catalog.pg_shseclabel AS l
         ON l.classoid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND l.objoid = r.oid AND l.provider = 'pgaadauth'`,
    [logins.map(({ name }) => name), logins.map(({ role }) => role)],
  );
  return new Map(rows.map((row) => [row.name, row]));
}

/** A principal that was deleted and recreated in Entra has the same name and another object id. */
function refuseOtherPrincipal({ name, objectId }: Login, existing: Existing | undefined): void {
  const oid = /\boid=([^,]+)/i.exec(existing?.label ?? '')?.[1]?.trim();
  if (oid === undefined || oid.toLowerCase() === objectId.toLowerCase()) return;
  throw new Fault(
    'principals/name-taken',
    `Login ${name} belongs to another principal`,
    `on the server it has object id ${oid}, in the settings ${objectId}`,
    `If the old principal no longer exists, run DROP ROLE ${pg.escapeIdentifier(name)} as an administrator, then run the command again.`,
  );
}

/** Runs in database `postgres`, the only one with the functions for Entra principals. */
async function create(
  { target, credential, client }: Connection,
  logins: readonly Login[],
  missing: readonly Login[],
  options: LoginOptions & { readonly passwords: ReadonlyMap<string, string> },
): Promise<void> {
  const { reporter: _, ...rest } = options;
  const entra = await withConnection(
    target,
    { ...rest, database: 'postgres', credential },
    async (postgres) => {
      const { rows } = await postgres.client.query<{ schema: string }>(
        `SELECT n.nspname AS schema FROM pg_catalog.pg_proc AS p
         JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
        WHERE p.proname = 'pgaadauth_create_principal_with_oid'`,
      );
      const [found] = rows;
      if (!found) return false;
      for (const { name, objectId, type } of missing) {
        await postgres.client.query(
          `SELECT ${pg.escapeIdentifier(found.schema)}.pgaadauth_create_principal_with_oid($1, $2, $3, false, false)`,
          [name, objectId, principalTypes[type]],
        );
      }
      return true;
    },
  );
  if (entra) return;
  refuseWithoutEntra(target.deployment);
  for (const { name } of missing) {
    await tolerant(() => client.query(`CREATE ROLE ${pg.escapeIdentifier(name)} LOGIN`));
  }
  for (const { name } of logins) {
    const password = options.passwords.get(name);
    if (password === undefined) continue;
    await setVerifier(client, name, scramVerifier(password));
  }
}

/** Settings that would keep the text of a statement, each with the value that does not. */
const silence: Readonly<Record<string, string>> = {
  log_statement: 'none',
  log_min_duration_statement: '-1',
  log_min_duration_sample: '-1',
  log_transaction_sample_rate: '0',
  log_min_error_statement: 'panic',
  log_duration: 'off',
  'pg_stat_statements.track': 'none',
  'pg_stat_statements.track_utility': 'off',
  'pg_qs.query_capture_mode': 'none',
  'pgaudit.log': 'none',
  'auto_explain.log_min_duration': '-1',
};

/** Its text has no verifier, and statements inside a block are neither logged nor counted. An error must not quote one. */
const setFromContext = `DO $$
BEGIN
  EXECUTE pg_catalog.format('ALTER ROLE %I LOGIN PASSWORD %L',
    pg_catalog.current_setting('llama.login'), pg_catalog.current_setting('llama.verifier'));
EXCEPTION WHEN OTHERS THEN
  RAISE EXCEPTION '%', SQLERRM USING ERRCODE = SQLSTATE;
END $$`;

/**
 * Sets a password by its verifier, which lets nobody log in but can be guessed against. Each setting that would keep it is
 * off for the transaction, where the login may set it (docs/verification.md).
 */
async function setVerifier(client: pg.Client, name: string, verifier: string): Promise<void> {
  await client.query('BEGIN');
  try {
    for (const [setting, value] of Object.entries(silence)) {
      await client.query('SAVEPOINT quiet');
      // A login without the right to change a setting still sets the password.
      await client
        .query('SELECT pg_catalog.set_config($1, $2, true)', [setting, value])
        .catch(() => client.query('ROLLBACK TO SAVEPOINT quiet'));
    }
    await client.query(
      "SELECT pg_catalog.set_config('llama.login', $1, true), pg_catalog.set_config('llama.verifier', $2, true)",
      [name, verifier],
    );
    await client.query(setFromContext);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

function refuseWithoutEntra(deployment: Deployment | undefined): void {
  if (deployment?.authentication !== 'entra' || deployment.primary.id === undefined) return;
  throw new Fault(
    'principals/entra-not-in-force',
    `Server ${deployment.primary.host} has no pgaadauth functions in database postgres`,
    'the logins are Entra principals, and the server does not have Entra authentication in force',
    'Switch on Entra authentication, and deploy as an Entra administrator.',
  );
}

/** Iterations that PostgreSQL uses by default (scram_iterations). */
const iterations = 4096;

/** The verifier that PostgreSQL itself would store for a password (RFC 5802 and 7677). */
export function scramVerifier(password: string, salt: Buffer = randomBytes(16)): string {
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
