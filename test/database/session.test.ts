// Duration: 120 s
/** Sessions that somebody else's settings must not change. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, withConnection } from '../../database/connection.ts';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import { withLock } from '../../database/migrator/lock.ts';
import { migrate } from '../../database/migrator/migrate.ts';
import { resolveTarget } from '../../database/target.ts';
import { type LocalPostgres, startPostgres } from '../../local/postgres/server.ts';
import { run } from '../commands/run.ts';

const reporter = { line: () => {}, warn: () => {} };

let server: LocalPostgres;
let superuser: pg.Client;

beforeAll(async () => {
  server = await startPostgres({ databases: ['llama_mapper'] });
  superuser = new pg.Client(server.connection('superuser'));
  await superuser.connect();
});
afterAll(async () => {
  await superuser.end();
  await server.stop();
});

const target = () => resolveTarget({ url: server.url('migrator') }, {});

interface Parameter {
  readonly name: string;
  readonly type: string;
  readonly built: string | null;
  readonly choices: readonly string[] | null;
  readonly least: string | null;
  readonly most: string | null;
  readonly context: string;
}

/** Texts that a parameter accepts beside its built-in one. Others keep it, or are paths and masks that change no result. */
const texts: Readonly<Record<string, readonly string[]>> = {
  DateStyle: ['German, DMY', 'SQL, MDY', 'Postgres, DMY'],
  TimeZone: ['Asia/Kathmandu', 'America/St_Johns'],
  search_path: ['pg_temp, public', 'extensions'],
  lc_messages: ['C'],
  lc_numeric: ['C'],
  default_text_search_config: ['pg_catalog.german'],
  timezone_abbreviations: ['India'],
  restrict_nonsystem_relation_kind: ['view'],
  createrole_self_grant: ['set, inherit'],
  application_name: ['somebody'],
};

/** Settings of the session that may stay as they are, and why. */
const free: Readonly<Record<string, string>> = {
  application_name: 'names the session, set by the connection itself',
  synchronous_commit: 'gets the built-in value, the safe one; this server has another for speed',
  default_statistics_target: 'the sample of ANALYZE, not a result',
};

async function parameters(): Promise<readonly Parameter[]> {
  const { rows } = await superuser.query<Parameter>(
    `SELECT name, vartype AS type, boot_val AS built, enumvals AS choices, min_val AS least, max_val AS most, context
       FROM pg_settings WHERE context IN ('user', 'superuser', 'backend', 'superuser-backend') ORDER BY name`,
  );
  return rows;
}

/** Values that differ from the built-in one; for numbers the extremes. */
function others({ name, type, built, choices, least, most }: Parameter): readonly string[] {
  if (texts[name]) return texts[name];
  if (type === 'bool') return [built === 'on' ? 'off' : 'on'];
  if (type === 'enum') return (choices ?? []).filter((choice) => choice !== built);
  if (type === 'string') return [];
  return [...new Set([least ?? '', most ?? ''])].filter((value) => value !== '' && value !== built);
}

const whom = ['DATABASE llama_mapper', 'ROLE database_admins'];

/** Gives a database, or the login, one other value of each parameter. @returns the names that the server accepted */
async function poison(
  round: number,
  judged: (parameter: Parameter) => boolean = () => true,
): Promise<readonly string[]> {
  const accepted: string[] = [];
  for (const parameter of await parameters()) {
    const values = others(parameter);
    const value = values[round % Math.max(values.length, 1)];
    if (value === undefined || !judged(parameter)) continue;
    const done = await superuser
      .query(
        `ALTER ${whom[round % 2]} SET ${pg.escapeIdentifier(parameter.name)} = ${pg.escapeLiteral(value)}`,
      )
      .then(
        () => true,
        () => false,
      );
    if (done) accepted.push(parameter.name);
  }
  return accepted;
}

async function cured(): Promise<void> {
  for (const one of whom) await superuser.query(`ALTER ${one} RESET ALL`);
}

describe('settings that somebody else made', () => {
  it('change no setting of a session on which a result depends, for any parameter of pg_settings', async () => {
    const all = async () => {
      const connection = await connect(await target(), { attempts: 1 });
      try {
        const { rows } = await connection.client.query<{
          name: string;
          setting: string;
          category: string;
          context: string;
        }>("SELECT name, setting, category, context FROM pg_settings WHERE context = 'user' ORDER BY name");
        return new Map(rows.map((row) => [row.name, row]));
      } finally {
        await connection.close();
      }
    };
    const before = await all();
    try {
      for (let round = 0; round < 6; round += 1) {
        const accepted = await poison(round);
        expect(accepted.length).toBeGreaterThan(150);
        const after = await all();
        const changed = [...after.values()].filter(
          ({ name, setting }) =>
            before.get(name)?.setting !== setting.replaceAll('"', '') && free[name] === undefined,
        );
        expect(changed.map(({ name, setting }) => `${name} = ${setting}`)).toEqual([]);
        await cured();
      }
    } finally {
      await cured();
    }
  });

  it('change no result of a command, and stop no job', async () => {
    const found = await target();
    await withConnection(found, { reporter }, (connection) =>
      withLock(connection, { reporter }, () => migrate(connection, { reporter, migrationsDirectory })),
    );
    await superuser.query(
      `INSERT INTO llama.tenant_configs (tenant_id) VALUES ('first');
       INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, confidence_score, detector_type)
       SELECT 'first', repeat('a', 64), '{"value": 0.30000000000000004}', '1', 0.1 + 0.2, 'pii' FROM generate_series(1, 5)`,
    );
    const without = await results();
    const deployed = await released();
    try {
      for (const round of [0, 1, 2]) {
        await cured();
        // Numbers are limits and sizes: work_mem of 2 TB exhausts the memory.
        await poison(
          round,
          ({ name, type }) => texts[name] !== undefined || (/^(bool|enum)$/.test(type) && !meant.has(name)),
        );
        await jobs();
        expect(await results(), `round ${round}`).toEqual(without);
        // The last one, because it resets settings.
        expect(await released(), `round ${round}`).toEqual(deployed);
      }
    } finally {
      await cured();
    }
  }, 240_000);
});

/** Parameters that change what a session is meant to do, so that verification reports them and nothing overrides them. */
const meant = new Set([
  // Only a superuser can set them.
  ...['session_replication_role', 'allow_system_table_mods', 'ignore_system_indexes', 'zero_damaged_pages'],
  'lo_compat_privileges',
  // Azure sets it on a full disk, and a job must not override that.
  'default_transaction_read_only',
]);

/** Runs every job as pg_cron does: on a session of its own without any setting of this project. */
async function jobs(): Promise<void> {
  const { rows } = await superuser.query<{ command: string }>('SELECT command FROM llama.scheduled_jobs()');
  expect(rows.length).toBeGreaterThan(3);
  for (const { command } of rows) {
    const client = new pg.Client(server.connection('migrator'));
    await client.connect();
    try {
      await client.query(command);
    } finally {
      await client.end();
    }
  }
}

/** The results of the commands on the database, without times. */
async function results(): Promise<unknown> {
  const url = ['--url', server.url('migrator'), '--json'];
  const says = async (...args: string[]) => {
    const { code, stdout, stderr } = await run([...args, ...url]);
    expect(stderr, args.join(' ')).not.toMatch(/defect/);
    return { code, said: JSON.parse(stdout || '{}') };
  };
  await says('audit', 'seal');
  const maintained = await says('maintain');
  const [status, migrated, trail, keys, verified] = [
    await says('status'),
    await says('migrate'),
    await says('audit', 'verify'),
    await says('keys', 'status'),
    await says('verify'),
  ];
  const timeless = (found: { said: Record<string, unknown> }) => ({
    ...found,
    said: { ...found.said, durationMs: 0 },
  });
  return {
    maintained: timeless(maintained),
    status,
    migrated: timeless(migrated),
    intact: [trail.code, trail.said.intact],
    keys,
    // The checks of the settings themselves differ, as they should.
    checks: verified.said.checks
      .filter(({ group, id }: Check) => group !== 'settings' && !settingsChecks.has(id))
      .map(({ id, status }: Check) => `${id} ${status}`),
  };
}

/** The result of the post-deploy step, without times and the settings that it resets. */
async function released(): Promise<unknown> {
  // The records of this test are in clear, which is a finding of its own.
  const options = ['--fail-on', 'critical', '--json'];
  const { code, stdout, stderr } = await run(['post-deploy', '--url', server.url('migrator'), ...options]);
  expect(stderr).not.toMatch(/defect/);
  expect(code, stderr).toBe(0);
  const { applied, restarted, schedules, outcome } = JSON.parse(stdout);
  return { applied, restarted, schedules, outcome };
}

interface Check {
  readonly id: string;
  readonly group: string;
  readonly status: string;
}

/** Checks of other groups that read the settings of roles and databases. */
const settingsChecks = new Set(['DRI-013', 'AUD-007']);
