// Duration: 60 s
/** Administrators who come, go and change their names, on a server whose administrators are as weak as Azure's. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { admitAdministrators } from '../../database/administrators.ts';
import { withConnection } from '../../database/connection.ts';
import type { Deployment } from '../../database/deployment.ts';
import { resolveTarget, type Target } from '../../database/target.ts';
import { resolve } from '../../environments/resolved.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { setPassword } from '../../local/postgres/password.ts';
import { type LocalPostgres, startPostgres } from '../../local/postgres/server.ts';
import { postDeploy } from '../../pipeline/release/post-deploy.ts';
import { deploymentDocument, localAttributes } from '../../stacks/deployment.ts';
import { environments } from '../support/environments.ts';

const settings = resolve(environments.changed(environments.inputOf('development')));
const development = deploymentDocument(settings, localAttributes(settings));
let server: LocalPostgres;

beforeAll(async () => {
  server = await startPostgres({ databases: ['llama'], administrator: 'first' });
  await deploy('first', ['first']);
});
afterAll(() => server.stop());

const asSuperuser = (...statements: string[]) =>
  within(server.connection('superuser', { database: 'postgres' }), async (client) => {
    for (const statement of statements) await client.query(statement);
  });

/** As the control plane does: a login with CREATEROLE and CREATEDB, a member of azure_pg_admin. */
async function add(name: string): Promise<void> {
  await within(server.connection('superuser', { database: 'postgres' }), async (client) => {
    await client.query(`CREATE ROLE ${name} LOGIN CREATEROLE CREATEDB IN ROLE azure_pg_admin`);
    await setPassword(client, name, server.passwords.migrator);
  });
}

const remove = (name: string) =>
  asSuperuser(`REVOKE azure_pg_admin FROM ${name}`, `ALTER ROLE ${name} NOLOGIN`);

function targetOf(login: string, changes: Partial<Deployment> = {}): Promise<Target> {
  const deployment: Deployment = {
    environment: 'development',
    primary: { host: 'localhost' },
    writer: 'primary',
    database: 'llama',
    version: 17,
    administrator: login,
    authentication: 'entra',
    extensions: [],
    parameters: {},
    logins: [],
    pools: [],
    partitions: { monthsAhead: 3, retentionDays: {} },
    ...changes,
  };
  return resolveTarget(
    {},
    {
      LLAMA_DB_DEPLOYMENT: JSON.stringify(deployment),
      PGHOSTADDR: '127.0.0.1',
      PGPORT: String(server.port),
      PGPASSWORD: server.passwords.migrator,
      PGSSLROOTCERT: server.caFile,
    },
  );
}

async function deploy(login: string, listed: readonly string[], changes: Partial<Deployment> = {}) {
  const target = await targetOf(login, {
    ...changes,
    azure: {
      ...development.azure,
      administrators: listed.map((name) => ({ name, objectId: name })),
    } as NonNullable<Deployment['azure']>,
  });
  const lines: string[] = [];
  const line = (text: string) => void lines.push(text);
  const result = await postDeploy(target, { reporter: { line, warn: line }, failOn: 'critical' });
  return { ...result, lines };
}

const everybody = ['first', 'second', 'third'];

describe('the administrators of a server', () => {
  it('can replace the only one: the new one deploys although the former one is gone', async () => {
    await add('second');
    await remove('first');
    const { lines } = await deploy('second', ['second']);
    expect(lines.filter((line) => /refused|lacks/.test(line))).toEqual([]);
    await within(
      server.connection({ user: 'second', password: server.passwords.migrator }, { database: 'llama' }),
      async (client) => {
        await client.query('SET ROLE llama_owner');
        await client.query('RESET ROLE');
        await client.query('CREATE ROLE somebody');
        await client.query('GRANT application_role TO somebody; DROP ROLE somebody');
      },
    );
  });

  it('keep their roles if the first one comes back, and in another order', async () => {
    await asSuperuser('GRANT azure_pg_admin TO first', 'ALTER ROLE first LOGIN');
    expect((await deploy('first', ['first', 'second'])).outcome).not.toBe('not verified');
    expect((await deploy('second', ['second', 'first'])).outcome).not.toBe('not verified');
  });

  it('are let in by another listed one if somebody took the roles from azure_pg_admin', async () => {
    await add('third');
    await asSuperuser(
      'SET ROLE first; GRANT llama_owner TO first WITH INHERIT FALSE; REVOKE llama_owner FROM azure_pg_admin CASCADE',
    );
    const { lines } = await deploy('third', ['third', 'second', 'first']);
    expect(lines).toContain('Administrators of the schema: azure_pg_admin');
  });

  it('are reported with a possible remedy if none of them holds the roles', async () => {
    await add('fourth');
    await asSuperuser(
      'SET ROLE first; REVOKE llama_owner FROM azure_pg_admin, second, third CASCADE; RESET ROLE',
    );
    await expect(deploy('fourth', ['fourth'])).rejects.toMatchObject({
      code: 'schema/owner-role-not-held',
      remedy: expect.stringContaining('server.authentication.administrators'),
    });
    expect((await deploy('fourth', ['fourth', ...everybody])).lines).toContain(
      'Administrators of the schema: azure_pg_admin',
    );
  });
});

describe('a database of the administrator with the password', () => {
  it('is handed over to all administrators by that login, and refused for another one', async () => {
    await add('llama_admin');
    await asSuperuser('ALTER DATABASE llama OWNER TO llama_admin');
    await expect(deploy('first', ['first'])).rejects.toMatchObject({
      code: 'database/owned-by-another',
      remedy: expect.stringContaining(
        `PGPASSWORD set to the password of llama_admin, which hands it over, or run as that login: ALTER DATABASE "llama" OWNER TO azure_pg_admin`,
      ),
    });
    // PGPASSWORD is the password of that login, so the step logs in as it.
    const { lines } = await deploy('first', [...everybody, 'fourth'], {
      passwordAdministrator: 'llama_admin',
    });
    expect(lines).toContain('Database llama belongs to azure_pg_admin now');
    await remove('llama_admin');
    expect((await deploy('first', [...everybody, 'fourth'])).outcome).not.toBe('not verified');
  });
});

describe('a database that Azure Backup keeps', () => {
  const owner = () =>
    within(server.connection('superuser', { database: 'llama' }), async (client) => {
      const { rows } = await client.query<{ owner: string }>(
        'SELECT datdba::regrole::text AS owner FROM pg_database WHERE datname = current_database()',
      );
      return rows[0]?.owner;
    });

  it('belongs to neither azuresu nor azure_pg_admin, and every administrator deploys it', async () => {
    const backed = { longTermBackup: true };
    const { lines } = await deploy('first', [...everybody, 'fourth'], backed);
    expect(lines).toContain('Database llama belongs to llama_database now');
    expect(await owner()).toBe('llama_database');
    for (const login of ['second', 'first']) {
      const again = await deploy(login, [...everybody, 'fourth'], backed);
      expect(again.lines.filter((line) => /belongs to|refused/.test(line))).toEqual([]);
      expect(again.lines.filter((line) => line.includes('ROL-016'))).toEqual([]);
    }
    await within(
      server.connection({ user: 'second', password: server.passwords.migrator }, { database: 'llama' }),
      async (client) => {
        await client.query('CREATE SCHEMA later; DROP SCHEMA later');
        await client.query('GRANT TEMPORARY ON DATABASE llama TO llama_owner');
      },
    );
  });

  it('goes back to azure_pg_admin without long-term backup', async () => {
    const { lines } = await deploy('second', [...everybody, 'fourth']);
    expect(lines).toContain('Database llama belongs to azure_pg_admin now');
  });

  it('is refused if Azure made it before the first administrator', async () => {
    await asSuperuser('ALTER DATABASE llama OWNER TO azuresu');
    await expect(deploy('first', everybody)).rejects.toMatchObject({
      code: 'database/owned-by-azure',
      remedy: expect.stringContaining('--database-name llama'),
    });
    await asSuperuser('ALTER DATABASE llama OWNER TO azure_pg_admin');
  });
});

describe('a server without azure_pg_admin', () => {
  it('admits each administrator of the deployment', async () => {
    await asSuperuser('ALTER ROLE azure_pg_admin RENAME TO administrators');
    const lines: string[] = [];
    const line = (text: string) => void lines.push(text);
    const target = await targetOf('first', { passwordAdministrator: 'third' });
    await withConnection({ ...target, user: 'first' }, {}, (connection) =>
      admitAdministrators(connection, { line, warn: line }),
    );
    expect(lines).toEqual(['Administrators of the schema: third']);
  });
});
