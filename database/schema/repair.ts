/**
 * `llama-db repair`: puts roles, owners, grants and default privileges back as the schema manifest has them. A logical
 * restore by an administrator who is not a superuser loses them.
 */
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import type { Connection } from '../connection.ts';
import { manifestFile } from '../migrator/files.ts';
import { attempt } from '../transaction.ts';
import { type Description, describeSchema } from './describe.ts';
import { expectedOn } from './manifest.ts';
import { readManifest } from './manifest-file.ts';
import {
  type Aside,
  defaultStatements,
  grantStatements,
  leafGrantStatements,
  newOwners,
  ownerStatements,
  type RepairStatement,
  roleStatements,
} from './repair-statements.ts';
import { everyAdministrator, ownerRole, schema, schemaRoles } from './roles.ts';

export interface RepairOptions {
  readonly reporter: Reporter;
  readonly migrationsDirectory: string;
  /** Lists the statements and changes nothing. @default false */
  readonly dryRun?: boolean;
  /**
   * Prepares a database for pg_restore: creates the roles, and lets the login inherit them until the next repair.
   *
   * @default false
   */
  readonly beforeRestore?: boolean;
  /** Asked before the first change, with the number of statements. @default - no question */
  readonly confirm?: (statements: number) => Promise<boolean>;
}

export interface Repaired {
  /** In the order of execution; planned only if `applied` is false. */
  readonly statements: readonly RepairStatement[];
  /** Statements that the server refused, with its words. Differences that no statement can remove have no `sql`. */
  readonly remaining: readonly { readonly object: string; readonly sql?: string; readonly reason: string }[];
  readonly applied: boolean;
}

/**
 * Compares the database with the manifest and puts back what differs, in one transaction. Statements that the server
 * refuses are reported, and the others take effect.
 *
 * @throws Fault if the folder has no manifest, or it does not describe this major
 */
export async function repair(connection: Connection, options: RepairOptions): Promise<Repaired> {
  const { client } = connection;
  const expected = expectedHere(connection, options.migrationsDirectory);
  const found = await describeSchema(client);
  const roles = roleStatements(expected, found);
  const planned = options.beforeRestore
    ? [...roles, ...inheritance(expected, true)]
    : await plan(connection, expected, found, roles);
  for (const { sql } of planned) options.reporter.line(`${sql};`);
  const idle = planned.length === 0 && !(await inheritsRoles(connection));
  if (idle || options.dryRun) return { statements: planned, remaining: [], applied: false };
  if (options.confirm && !(await options.confirm(planned.length))) {
    return { statements: planned, remaining: [], applied: false };
  }
  await client.query('BEGIN');
  try {
    const remaining = options.beforeRestore
      ? await run(connection, planned)
      : await runWithRights(connection, planned, expected);
    await client.query('COMMIT');
    return { statements: planned, remaining, applied: true };
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

function expectedHere({ version }: Connection, directory: string): Description {
  const manifest = readManifest(directory);
  const major = Math.floor(version / 10_000);
  const expected = manifest && expectedOn(manifest, major);
  if (expected) return expected;
  throw new Fault(
    'repair/no-manifest',
    `${directory} does not say who owns what on PostgreSQL ${major}`,
    manifest
      ? `${manifestFile} describes PostgreSQL ${manifest.majors.join(', ')}`
      : `it has no ${manifestFile}`,
    'Name the folder with --migrations, or run llama-db schema --write.',
    { exitCode: 2 },
  );
}

async function plan(
  connection: Connection,
  expected: Description,
  found: Description,
  roles: readonly RepairStatement[],
): Promise<readonly RepairStatement[]> {
  const { client } = connection;
  const aside = await readAside(connection);
  const { rows } = await client.query<{ name: string }>('SELECT pg_catalog.current_database() AS name');
  return [
    ...roles,
    ...ownerStatements(expected, found, aside),
    ...grantStatements(expected, found, rows[0]?.name ?? ''),
    ...leafGrantStatements(aside),
    ...defaultStatements(expected, found),
  ];
}

async function readAside({ client }: Connection): Promise<Aside> {
  const { rows } = await client.query<{ name: string; kind: 'detached' | 'linked' }>(
    `SELECT 'detached' AS kind, c.oid::pg_catalog.regclass::text AS name
       FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relkind = 'r' AND NOT c.relispartition AND c.relname ~ '_y[0-9]{4}m[0-9]{2}$'
        AND pg_catalog.pg_get_userbyid(c.relowner) <> $2
     UNION ALL
     SELECT 'linked', $1 || '.' || c.relname
       FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_depend AS d ON d.objid = c.oid
      WHERE c.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = d.classid
        AND d.deptype IN ('a', 'i')`,
    [schema, ownerRole],
  );
  const { rows: leafGrants } = await client.query<Aside['leafGrants'][number]>(
    `SELECT DISTINCT $1 || '.' || c.relname AS leaf, CASE WHEN g.grantee = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(g.grantee) END AS grantee
       FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
       LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attacl IS NOT NULL
      CROSS JOIN LATERAL (SELECT * FROM pg_catalog.aclexplode(c.relacl) UNION ALL SELECT * FROM pg_catalog.aclexplode(a.attacl)) AS g
      WHERE n.nspname = $1 AND c.relispartition AND c.relkind = 'r' AND g.grantee <> c.relowner
      ORDER BY 1, 2`,
    [schema],
  );
  const names = (kind: string) => rows.filter((row) => row.kind === kind).map(({ name }) => name);
  return { detached: names('detached'), linkedSequences: names('linked'), leafGrants };
}

/**
 * Memberships of the login in the roles that own something, for the time of a restore or of a repair. It must not inherit
 * application_role: the floor policies would then hide every row from a refresh of the summary.
 *
 * @param keep whether the login stays a member of the owner itself
 */
function inheritance(
  expected: Description,
  on: boolean,
  { keep = true }: { readonly keep?: boolean } = {},
): readonly RepairStatement[] {
  const owners = new Set(expected.areas.owners.map(({ says }) => says['owner']));
  return schemaRoles
    .filter((role) => owners.has(role))
    .map((role) => ({
      object: `membership of the login in ${role}`,
      sql:
        on || (keep && role === ownerRole)
          ? `GRANT ${role} TO CURRENT_USER WITH INHERIT ${on}, SET TRUE`
          : `REVOKE ${role} FROM CURRENT_USER GRANTED BY CURRENT_USER`,
    }));
}

/** Whether the login may become the owner as one of all administrators, without a membership of its own. */
async function ownsThroughGroup({ client }: Connection): Promise<boolean> {
  const { rowCount } = await client.query(
    `SELECT FROM pg_catalog.pg_auth_members AS m JOIN pg_catalog.pg_roles AS g ON g.oid = m.member
      WHERE pg_catalog.pg_get_userbyid(m.roleid) = $1 AND m.set_option AND g.rolname = $2
        AND pg_catalog.pg_has_role(SESSION_USER, g.oid, 'MEMBER')`,
    [ownerRole, everyAdministrator],
  );
  return rowCount !== 0;
}

/** Whether the login inherits a role, as after `beforeRestore`. */
async function inheritsRoles({ client, superuser }: Connection): Promise<boolean> {
  if (superuser) return false;
  const { rowCount } = await client.query(
    `SELECT FROM pg_catalog.pg_auth_members AS m
      WHERE m.member = SESSION_USER::pg_catalog.regrole AND m.inherit_option
        AND pg_catalog.pg_get_userbyid(m.roleid) = ANY ($1)`,
    [schemaRoles],
  );
  return (rowCount ?? 0) > 0;
}

/**
 * Runs the statements with the rights that they need: the login inherits every role, and each new owner may create in the
 * schema. Both end with the transaction, which nobody else sees before.
 */
async function runWithRights(
  connection: Connection,
  planned: readonly RepairStatement[],
  expected: Description,
): Promise<Repaired['remaining']> {
  const roles = planned.filter(({ sql }) => /^(CREATE ROLE|GRANT \w+ TO \w+ WITH INHERIT)/.test(sql));
  const others = planned.filter((one) => !roles.includes(one));
  const owners = newOwners(others).filter((role) => role !== ownerRole);
  const creation = (verb: string) =>
    owners.map((role) => ({
      object: `schema ${schema}`,
      sql: `${verb} CREATE ON SCHEMA ${schema} ${verb === 'GRANT' ? 'TO' : 'FROM'} ${role}`,
    }));
  const beforehand = [
    ...(await run(connection, roles)),
    ...(await run(connection, connection.superuser ? [] : inheritance(expected, true))),
  ];
  const remaining = await run(connection, creation('GRANT'));
  remaining.push(...(await run(connection, others)));
  remaining.push(...(await run(connection, creation('REVOKE'))));
  // A sequence of a table has its new owner now, and a changed owner may have revealed further grants.
  const found = await describeSchema(connection.client);
  const left = await plan(connection, expected, found, []);
  const listed = new Set(remaining.map(({ object }) => object));
  for (const { object, sql } of left) {
    if (listed.has(object)) continue;
    remaining.push({ object, sql, reason: 'it still differs after the repair' });
  }
  if (!connection.superuser) {
    const keep = !(await ownsThroughGroup(connection));
    await run(connection, inheritance(expected, false, { keep }));
  }
  return [...(remaining.length > 0 ? beforehand : []), ...remaining];
}

async function run(connection: Connection, statements: readonly RepairStatement[]) {
  const refusals: { object: string; sql: string; reason: string }[] = [];
  for (const { object, sql } of statements) {
    const result = await attempt(connection.client, () => connection.client.query(sql));
    if ('refused' in result) refusals.push({ object, sql, reason: result.refused.message });
  }
  return refusals;
}
