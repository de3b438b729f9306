/** The copy of a migrated database that test databases are copied from. Nobody can connect to it, so it can always be copied. */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { ConfigurationError, sqlStateOf } from '../errors.ts';

const lockClass = 5_810_263;
const inUse = '55006';

/** Test files run in several processes: the first makes the template, and the others wait. */
async function insideLock<Result>(
  client: pg.Client,
  source: string,
  work: () => Promise<Result>,
): Promise<Result> {
  await client.query('SELECT pg_advisory_lock($1, hashtext($2))', [lockClass, source]);
  try {
    return await work();
  } finally {
    await client.query('SELECT pg_advisory_unlock($1, hashtext($2))', [lockClass, source]);
  }
}

/** A template by the state of the source that it is a copy of. */
export interface Template {
  readonly source: string;
  readonly name: string;
  /** Begins the names of all templates of the source. */
  readonly prefix: string;
}

/** @throws ConfigurationError `testing/not-migrated` */
export async function templateOf(source: string, connect: () => Promise<pg.Client>): Promise<Template> {
  const prefix = `llama_template_${createHash('sha256').update(source).digest('hex').slice(0, 12)}_`;
  return { source, prefix, name: `${prefix}${await stateOf(source, connect)}` };
}

async function copiesOf(client: pg.Client, prefix: string) {
  const { rows } = await client.query<{ name: string; complete: boolean }>(
    'SELECT datname AS name, datistemplate AS complete FROM pg_database WHERE starts_with(datname, $1)',
    [prefix],
  );
  return rows;
}

/** Makes the template, unless it exists. @throws ConfigurationError `testing/source-in-use` */
export async function ensureTemplate(client: pg.Client, template: Template): Promise<void> {
  const isComplete = async () =>
    (await copiesOf(client, template.prefix)).some(
      ({ name, complete }) => name === template.name && complete,
    );
  if (await isComplete()) return;
  await insideLock(client, template.source, async () => {
    if (!(await isComplete())) await makeTemplate(client, template);
  });
}

async function makeTemplate(client: pg.Client, { source, name, prefix }: Template): Promise<void> {
  for (const { name: stale } of await copiesOf(client, prefix)) {
    await client.query(`ALTER DATABASE ${stale} WITH IS_TEMPLATE false`);
    await client.query(`DROP DATABASE ${stale}`);
  }
  try {
    await retryWhileInUse(() =>
      client.query(`CREATE DATABASE ${name} TEMPLATE ${pg.escapeIdentifier(source)}`),
    );
  } catch (error) {
    if (sqlStateOf(error) !== inUse) throw error;
    throw new ConfigurationError(
      'testing/source-in-use',
      `The database ${source} cannot be copied`,
      error instanceof Error ? error.message : String(error),
      'Close the connections to it, or give the URL of a migrated database that nobody uses.',
      { cause: error },
    );
  }
  // Marks it as complete.
  await client.query(`ALTER DATABASE ${name} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`);
}

/** A hash of the applied migrations. */
async function stateOf(source: string, connect: () => Promise<pg.Client>): Promise<string> {
  const client = await connect();
  try {
    await client.query('SET ROLE llama_owner');
    const { rows } = await client.query<{ state: string | null }>(
      "SELECT md5(string_agg(m::text, ',' ORDER BY m::text)) AS state FROM llama.schema_migrations AS m",
    );
    if (rows[0]?.state) return rows[0].state.slice(0, 16);
    throw new Error('its ledger llama.schema_migrations is empty');
  } catch (error) {
    throw new ConfigurationError(
      'testing/not-migrated',
      `The database ${source} cannot be the source of test databases`,
      error instanceof Error ? error.message : String(error),
      'Give the URL of a migrated database, with the login of its migrations.',
      { cause: error },
    );
  } finally {
    await client.end();
  }
}

/** Statements that give a copy the privileges and settings of the original, which CREATE DATABASE leaves out. */
export async function grantsOf(client: pg.Client, source: string, copy: string): Promise<readonly string[]> {
  const { rows } = await client.query<{ statement: string }>(
    `SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', $2::text) AS statement
     UNION ALL
     SELECT format('GRANT %s ON DATABASE %I TO %s', a.privilege_type, $2::text,
                   CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
       FROM pg_database AS d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
      WHERE d.datname = $1 AND a.grantee <> d.datdba
     UNION ALL
     SELECT format('ALTER DATABASE %I SET %I TO %L', $2::text, split_part(s.setting, '=', 1),
                   substr(s.setting, strpos(s.setting, '=') + 1))
       FROM pg_db_role_setting AS r JOIN pg_database AS d ON d.oid = r.setdatabase, unnest(r.setconfig) AS s (setting)
      WHERE d.datname = $1 AND r.setrole = 0`,
    [source, copy],
  );
  return rows.map(({ statement }) => statement);
}

/** Repeats for two seconds while the server reports that a database is in use: sessions end a moment after their client. */
export async function retryWhileInUse<Result>(work: () => Promise<Result>): Promise<Result> {
  const endsAt = performance.now() + 2000;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (sqlStateOf(error) !== inUse || performance.now() > endsAt) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
