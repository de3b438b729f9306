// Duration: 60 s
/** State that a session keeps after a transaction does not reach the next tenant: docs/isolation.md has the table. */
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { withConnection } from '../../database/connection.ts';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import { withLock } from '../../database/migrator/lock.ts';
import { migrate } from '../../database/migrator/migrate.ts';
import { resolveTarget } from '../../database/target.ts';
import { binariesOf } from '../../local/postgres/installation.ts';
import { type LocalPostgres, startPostgres } from '../../local/postgres/server.ts';
import { transaction } from '../../runtime/index.ts';
import * as known from './session-state.ts';

const database = 'pooled';
const reporter = { line: () => {}, warn: () => {} };

describe.each([16, 17, 18])('a pooled session on PostgreSQL %i', (major) => {
  let server: LocalPostgres;
  let administrator: pg.Client;
  let session: pg.Client;

  const connected = async (config: pg.ClientConfig) => {
    const client = new pg.Client(config);
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const application = () => connected(server.connection({ user: 'app', password: 'app' }, { database }));
  const rows = async (sql: string, client = session): Promise<Record<string, unknown>[]> =>
    (await client.query(sql)).rows;

  beforeAll(async () => {
    server = await startPostgres({
      binaries: await binariesOf(major),
      databases: [database],
      settings: { max_prepared_transactions: '2' },
    });
    await migrateAs('migrator');
    administrator = await connected(server.connection('superuser', { database }));
    await administrator.query(
      `CREATE ROLE app LOGIN PASSWORD 'app'; GRANT application_role TO app WITH INHERIT TRUE, SET FALSE;
       INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
       SELECT tenant, 'h', jsonb_build_object('of', tenant), 'm', 'd' FROM unnest(ARRAY['alpha', 'beta']) AS tenant`,
    );
  }, 120_000);
  afterAll(async () => {
    await administrator?.end();
    await server?.stop();
  });
  beforeEach(async () => {
    session = await application();
  });
  afterEach(() => session.end());

  async function migrateAs(who: 'migrator' | 'superuser', name = database): Promise<void> {
    const target = await resolveTarget({ url: server.url(who, { database: name }) }, {});
    await withConnection(target, { reporter }, (connection) =>
      withLock(connection, { reporter }, () => migrate(connection, { reporter, migrationsDirectory })),
    );
  }

  /** One request, as any program sends it. */
  async function as(tenant: string, sql: string): Promise<Record<string, unknown>[]> {
    await session.query('BEGIN');
    try {
      await session.query(`SELECT llama.set_tenant_context('${tenant}')`);
      const result = await session.query(sql);
      await session.query('COMMIT');
      return result.rows;
    } catch (error) {
      await session.query('ROLLBACK');
      throw error;
    }
  }
  const tenants = 'SELECT DISTINCT tenant_id FROM llama.storage_records';

  describe('the catalogs know nothing that is not classified', () => {
    it('settings: each that the application can change is refused, or back at its value', async () => {
      type Setting = Record<'name' | 'vartype' | 'setting' | 'min_val' | 'max_val', string> & {
        enumvals: string[] | null;
        flags: string[];
      };
      const settings = (await rows(
        `SELECT name, vartype, setting, min_val, max_val, enumvals, pg_settings_get_flags(name) AS flags FROM pg_settings
          WHERE context = 'user' OR (context = 'superuser' AND has_parameter_privilege(name, 'SET'))`,
      )) as unknown as Setting[];
      expect(settings.length).toBeGreaterThan(120);
      expect(
        settings
          .filter(({ flags }) => flags.includes('NO_RESET_ALL'))
          .map(({ name }) => name)
          .sort(),
      ).toEqual(Object.keys(known.notReset).sort());
      const other = ({ name, vartype, setting, min_val, max_val, enumvals }: Setting) => {
        if (vartype === 'bool') return setting === 'on' ? 'off' : 'on';
        if (vartype === 'enum') return enumvals?.find((value) => value !== setting);
        if (vartype === 'string') return known.texts[name];
        return setting === max_val ? min_val : max_val;
      };
      for (const setting of settings) {
        const { name } = setting;
        // An enumeration with one value here (default_toast_compression) has more in other builds.
        if (name in known.notReset || name in known.unchangeable || setting.enumvals?.length === 1) continue;
        const value = other(setting);
        expect(value, `${name} is new: give it a value in session-state.ts`).toBeDefined();
        await session.query(`SET ${name} = ${pg.escapeLiteral(String(value))}`);
        const [changed] = await rows(`SELECT source FROM pg_settings WHERE name = '${name}'`);
        expect(changed, name).toEqual({ source: 'session' });
        await session.query('BEGIN');
        const call = session.query("SELECT llama.set_tenant_context('beta')");
        if (known.refused.includes(name)) await expect(call, name).rejects.toMatchObject({ code: '55000' });
        else await call;
        await session.query(known.refused.includes(name) ? 'ROLLBACK; RESET ALL' : 'COMMIT');
        const [after] = await rows(`SELECT setting, source FROM pg_settings WHERE name = '${name}'`);
        expect(after, name).toMatchObject({
          setting: setting.setting,
          source: expect.not.stringMatching('session'),
        });
      }
    });

    it('settings that the catalogs hide are those of a role and of random()', async () => {
      const hidden = ['is_superuser', 'role', 'seed', 'session_authorization'];
      const [found] = await rows(
        `SELECT array_agg(n ORDER BY n) AS names FROM unnest('{${hidden.join()}}'::text[]) AS n
          WHERE 'NO_SHOW_ALL' = ANY (pg_settings_get_flags(n))`,
      );
      expect(found).toEqual({ names: hidden });
      await expect(session.query('SET ROLE application_role')).rejects.toMatchObject({ code: '42501' });
      await expect(session.query('SET SESSION AUTHORIZATION database_admins')).rejects.toMatchObject({
        code: '42501',
      });
    });

    it('views: each shows the session and is tested here, or shows something else', async () => {
      const names = (await rows(
        `SELECT relname AS name FROM pg_class WHERE relkind = 'v' AND relnamespace = 'pg_catalog'::regnamespace`,
      )) as { name: string }[];
      const unknown = names.filter(
        ({ name }) => !known.matches(name, [...known.sessionViews, ...known.otherViews]),
      );
      expect(unknown).toEqual([]);
    });

    it('functions: each volatile one for everybody leaves nothing, or is tested here', async () => {
      const names = (await rows(
        `SELECT DISTINCT proname AS name FROM pg_proc AS p
          WHERE provolatile = 'v' AND pronamespace = 'pg_catalog'::regnamespace AND has_function_privilege(p.oid, 'EXECUTE')
            AND prosrc !~ '(_in|_recv|in|recv)$' AND NOT 'internal'::regtype = ANY (proargtypes::oid[])
            AND prorettype <> ALL ('{internal,trigger,event_trigger,language_handler,table_am_handler,index_am_handler}'::regtype[])`,
      )) as { name: string }[];
      expect(names.length).toBeGreaterThan(80);
      expect(
        names.filter(({ name }) => !known.matches(name, [...known.leaving, ...known.nothingLeft])),
      ).toEqual([]);
    });

    it('large objects: every function of them is closed by an owner who may, and those of files always', async () => {
      const open = (client: pg.Client) =>
        rows(
          `SELECT p.oid::regprocedure::text AS open FROM pg_proc AS p
            WHERE p.prosrc LIKE 'be\\_lo%' AND has_function_privilege('app', p.oid, 'EXECUTE') ORDER BY 1`,
          client,
        );
      expect((await open(administrator)).map(({ open: name }) => name)).not.toContainEqual(
        expect.stringMatching(/import|export/),
      );
      await server.createDatabase('owned');
      await migrateAs('superuser', 'owned');
      const owned = await connected(server.connection('superuser', { database: 'owned' }));
      expect(await open(owned)).toEqual([]);
      await owned.end();
      // There, too, the call works, because it finds no object to remove.
      const app = await connected(server.connection({ user: 'app', password: 'app' }, { database: 'owned' }));
      await app.query("SELECT llama.set_tenant_context('alpha')");
      await expect(app.query("SELECT lo_from_bytea(0, 'x')")).rejects.toMatchObject({ code: '42501' });
      await app.end();
    });
  });

  describe('nothing of one tenant is left for the next', () => {
    const get = { name: 'get', text: `${tenants} WHERE tenant_id = $1` };

    it('a statement under the name that the driver gave to its own', async () => {
      await session.query(get, ['alpha']);
      await as(
        'alpha',
        `DEALLOCATE get; PREPARE get(text) AS SELECT lo_from_bytea(0, convert_to(string_agg(mapped_data::text, ''), 'UTF8'))
           FROM llama.storage_records`,
      );
      await session.query('BEGIN');
      await session.query("SELECT llama.set_tenant_context('beta')");
      await expect(session.query(get, ['beta'])).rejects.toMatchObject({ code: '26000' });
      await session.query('ROLLBACK');
      expect(await rows('SELECT oid FROM pg_largeobject_metadata')).toEqual([]);
    });

    it('statements with any name, but those of the driver stay', async () => {
      await session.query({ name: 'mine', text: 'SELECT 1 AS one' });
      for (const name of ['all', 'ALL', 'prepare', 'a"b', "it's", ' ', '"', 'a; SELECT 1', 'ö'.repeat(31)])
        await session.query(`PREPARE ${pg.escapeIdentifier(name)} AS ${tenants}`);
      await session.query("DO $$ BEGIN EXECUTE 'PREPARE inside AS SELECT 1'; END $$");
      await as('beta', 'SELECT');
      expect(await rows('SELECT name, from_sql FROM pg_prepared_statements')).toEqual([
        { name: 'mine', from_sql: false },
      ]);
      await session.query({ name: 'mine', text: 'SELECT 1 AS one' });
    });

    it('the statement that sets the context, which a client must not name', async () => {
      const context = { name: 'context', text: 'SELECT llama.set_tenant_context($1)' };
      await session.query(context, ['alpha']);
      for (const replaced of [
        'SELECT llama.set_tenant_context($1), pg_advisory_lock(5)',
        "SELECT query_to_xml('SELECT llama.set_' || 'tenant_context(''beta'')', true, true, $1)",
      ]) {
        await session.query(`DEALLOCATE context; /* as alpha */ PREPARE context(text) AS ${replaced}`);
        await session.query('BEGIN');
        await expect(session.query(context, ['beta']), replaced).rejects.toMatchObject({ code: '55000' });
        await session.query('ROLLBACK');
        expect(await rows('SELECT name FROM pg_prepared_statements')).toEqual([]);
        await session.query('PREPARE context AS SELECT 1');
      }
      await session.query('PREPARE again(text) AS SELECT llama.set_tenant_context($1)');
      await expect(session.query("EXECUTE again('beta')")).rejects.toMatchObject({ code: '26000' });
    });

    it('cursors', async () => {
      await as('alpha', `DECLARE "all" CURSOR WITH HOLD FOR ${tenants}`);
      await as('alpha', `DECLARE c CURSOR WITH HOLD FOR ${tenants}`);
      expect(await as('beta', tenants)).toEqual([{ tenant_id: 'beta' }]);
      await expect(session.query('FETCH ALL FROM c')).rejects.toMatchObject({ code: '34000' });
      expect(await rows('SELECT name FROM pg_cursors')).toEqual([]);
    });

    it('channels', async () => {
      await session.query('LISTEN a; LISTEN b');
      const heard: unknown[] = [];
      session.on('notification', (message) => heard.push(message));
      await as('beta', "SELECT pg_notify('a', 'of beta')");
      await as('beta', 'SELECT');
      expect(await rows('SELECT pg_listening_channels()')).toEqual([]);
      expect(heard).toEqual([]);
    });

    it('advisory locks', async () => {
      await session.query(
        'SELECT pg_advisory_lock(1), pg_advisory_lock_shared(2), pg_advisory_lock(3, 4), pg_advisory_lock(1)',
      );
      await as('beta', 'SELECT');
      expect(
        await rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"),
      ).toEqual([]);
    });

    it('values of sequences', async () => {
      await administrator.query(
        'CREATE SEQUENCE IF NOT EXISTS public.numbers; GRANT USAGE ON SEQUENCE public.numbers TO app',
      );
      await as('alpha', "SELECT nextval('public.numbers')");
      await expect(as('beta', 'SELECT lastval()')).rejects.toMatchObject({ code: '55000' });
      await as('alpha', "SELECT nextval('public.numbers')");
      await expect(as('beta', "SELECT currval('public.numbers')")).rejects.toMatchObject({ code: '55000' });
    });

    it('the sequence of random()', async () => {
      const drawn = async () => {
        await session.query('SELECT setseed(0.5)');
        return as('beta', 'SELECT random()');
      };
      expect(await drawn()).not.toEqual(await drawn());
    });

    it('temporary objects, should somebody have granted them', async () => {
      await expect(session.query('CREATE TEMPORARY TABLE left_over (n int)')).rejects.toMatchObject({
        code: '42501',
      });
      await administrator.query(`GRANT TEMPORARY ON DATABASE ${database} TO app`);
      await session.query(
        `CREATE TEMPORARY TABLE storage_records AS SELECT 'alpha' AS tenant_id; CREATE TEMPORARY VIEW seen AS SELECT 1;
         CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE pg_temp.t AS (n int);
         CREATE OPERATOR pg_temp.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
         CREATE TEMPORARY SEQUENCE s; CREATE DOMAIN pg_temp.d AS text`,
      );
      await as('beta', 'SELECT');
      const [found] = await rows(
        `SELECT (SELECT count(*)::int FROM pg_class WHERE relnamespace = pg_my_temp_schema())
              + (SELECT count(*)::int FROM pg_proc WHERE pronamespace = pg_my_temp_schema())
              + (SELECT count(*)::int FROM pg_operator WHERE oprnamespace = pg_my_temp_schema())
              + (SELECT count(*)::int FROM pg_type WHERE typnamespace = pg_my_temp_schema()) AS objects`,
      );
      expect(found).toEqual({ objects: 0 });
      await administrator.query(`REVOKE TEMPORARY ON DATABASE ${database} FROM app`);
    });

    it("large objects of the application's role, while another session removes them too", async () => {
      await as('alpha', "SELECT lo_from_bytea(0, 'of alpha'), lo_create(0)");
      const other = await application();
      await other.query("BEGIN; SELECT llama.set_tenant_context('alpha')");
      // A session that comes second neither waits nor fails, and a transaction that writes nothing leaves them.
      await session.query("SET lock_timeout = '2s'");
      await as('beta', 'SELECT');
      await session.query("BEGIN READ ONLY; SELECT llama.set_tenant_context('beta'); COMMIT");
      await other.query('COMMIT');
      await other.end();
      expect(await rows('SELECT oid FROM pg_largeobject_metadata')).toEqual([]);
    });

    it('settings of its own, also after a transaction that failed', async () => {
      await session.query(
        "SET app.current_tenant_id = 'alpha'; SET app.note = 'of alpha'; SET DateStyle = 'German'",
      );
      await expect(as('beta', 'SELECT 1 / 0')).rejects.toMatchObject({ code: '22012' });
      expect(
        await as('beta', "SELECT current_setting('app.note') AS note, current_setting('DateStyle') AS style"),
      ).toEqual([{ note: '', style: 'ISO, MDY' }]);
      expect(await rows(tenants)).toEqual([]);
    });

    it('settings after a rollback of the next tenant, if the runtime began its transaction', async () => {
      await session.query("SET app.current_tenant_id = 'alpha'; SET app.note = 'of alpha'");
      const failed = transaction(session, { tenant: 'beta' }, () => session.query('SELECT 1 / 0'));
      await expect(failed).rejects.toMatchObject({ code: '22012' });
      expect(await rows("SELECT current_setting('app.note') AS note")).toEqual([{ note: '' }]);
      expect(await rows(tenants)).toEqual([]);
    });

    it('SET LOCAL and the user of an earlier context in the same transaction', async () => {
      await session.query(
        "BEGIN; SELECT llama.set_tenant_context('alpha', 'ann', gen_random_uuid(), '192.0.2.1', 'agent')",
      );
      await session.query("SET LOCAL app.note = 'of alpha'; SET LOCAL enable_seqscan = off");
      await session.query("SELECT llama.set_tenant_context('beta')");
      const [left] = await rows(
        `SELECT concat_ws('', current_setting('app.note'), current_setting('app.current_user_id'),
                current_setting('app.correlation_id'), current_setting('app.client_address'), current_setting('app.user_agent')) AS left,
                current_setting('enable_seqscan') AS scan`,
      );
      expect(left).toEqual({ left: '', scan: 'on' });
      await session.query('COMMIT');
      expect(await rows(tenants)).toEqual([]);
    });

    it("settings of the login and of the connection, which are not the session's", async () => {
      await administrator.query("ALTER ROLE app SET statement_timeout = '7s'");
      const own = await connected({
        ...server.connection({ user: 'app', password: 'app' }, { database }),
        options: '-c lock_timeout=3s',
        application_name: 'service',
      });
      await own.query("SET statement_timeout = 0; SET lock_timeout = 0; SET application_name = 'x'");
      await own.query("SELECT llama.set_tenant_context('beta')");
      const [found] = await rows(
        `SELECT current_setting('statement_timeout') AS s, current_setting('lock_timeout') AS l, current_setting('application_name') AS a`,
        own,
      );
      expect(found).toEqual({ s: '7s', l: '3s', a: 'service' });
      await administrator.query('ALTER ROLE app RESET statement_timeout');
      await own.end();
    });
  });

  describe('state that has already changed the transaction or the message is refused', () => {
    it.each([
      ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', 'BEGIN READ WRITE'],
      ['SET default_transaction_isolation = serializable', 'BEGIN ISOLATION LEVEL READ COMMITTED'],
      ['SET default_transaction_deferrable = on', 'BEGIN NOT DEFERRABLE'],
    ])('%s, unless the transaction names its own: %s', async (left, begin) => {
      await session.query(left);
      await expect(as('beta', 'SELECT')).rejects.toMatchObject({
        code: '55000',
        hint: expect.stringContaining('RESET ALL'),
      });
      await session.query(`${begin}; SELECT llama.set_tenant_context('beta'); COMMIT`);
      expect(await as('beta', tenants)).toEqual([{ tenant_id: 'beta' }]);
    });

    it('takes what the transaction itself asked for', async () => {
      await session.query(
        "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE; SELECT llama.set_tenant_context('beta')",
      );
      expect(await rows(tenants)).toEqual([{ tenant_id: 'beta' }]);
      await session.query('COMMIT');
    });
  });

  it('serves the next tenant after all of it at once, through the transaction of the runtime', async () => {
    await session.query('PREPARE "BEGIN" AS SELECT 1');
    await session.query(everythingLeft);
    const seen = await transaction(
      session,
      { tenant: 'beta', user: 'bob', correlationId: '00000000-0000-4000-8000-000000000001' },
      async () => {
        await session.query(
          `INSERT INTO llama.model_metrics (tenant_id, model_version, metric_type, metric_value) VALUES ('beta', 'ü\\', 't', 1)`,
        );
        return rows(
          `SELECT t.tenant_id, m.model_version, current_setting('app.current_user_id') AS "user"
           FROM llama.storage_records AS t JOIN llama.model_metrics AS m USING (tenant_id)`,
        );
      },
    );
    expect(seen[0]).toEqual({ tenant_id: 'beta', model_version: 'ü\\', user: 'bob' });
    const left = await rows(
      `SELECT name FROM pg_settings WHERE source = 'session' UNION ALL SELECT name FROM pg_cursors WHERE is_holdable
       UNION ALL SELECT name FROM pg_prepared_statements UNION ALL SELECT pg_listening_channels()
       UNION ALL SELECT locktype FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()`,
    );
    expect(left).toEqual([]);
  });

  it('knows the one thing that outlives a session: a prepared transaction, which Azure does not allow', async () => {
    await session.query(
      "BEGIN; SELECT llama.set_tenant_context('alpha'); LOCK TABLE llama.storage_records IN SHARE MODE",
    );
    await session.query("PREPARE TRANSACTION 'left'");
    expect(await rows('SELECT gid FROM pg_prepared_xacts')).toEqual([{ gid: 'left' }]);
    await session.query("ROLLBACK PREPARED 'left'");
  });
});

/** In one message: the last setting ends any later statement of more than a millisecond. */
const everythingLeft = `
  SELECT pg_advisory_lock(7); LISTEN kept; 
  BEGIN; SELECT llama.set_tenant_context('alpha'); DECLARE c CURSOR WITH HOLD FOR TABLE llama.storage_records; COMMIT;
  SET app.current_tenant_id = 'alpha'; SET app.current_user_id = 'mallory'; SET DateStyle = 'German'; SET search_path = '';
  SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE; SET row_security = off;
  SET client_encoding = 'LATIN1'; SET standard_conforming_strings = off; SET synchronous_commit = off; SET statement_timeout = 1`;
