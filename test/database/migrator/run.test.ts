import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Fault } from '../../../core/fault.ts';
import { diagnose } from '../../../database/diagnosis.ts';
import { status } from '../../../database/migrator/migrate.ts';
import { migrationsCopy } from '../../commands/run.ts';
import { type History, makesTable, newHistory } from './history.ts';

let history: History;

beforeEach(async () => {
  history = await newHistory();
});

afterEach(() => history.drop());

const ledger = () =>
  history.rows<{ version: string; direction: string; outcome: string }>(
    'SELECT version, direction, outcome FROM llama.schema_migrations ORDER BY id',
  );

const tables = async () =>
  (
    await history.rows<{ name: string }>(
      `SELECT relname AS name FROM pg_class
        WHERE relnamespace = 'llama'::regnamespace AND relkind = 'r' AND relname LIKE 't\\_%' ORDER BY 1`,
    )
  ).map(({ name }) => name);

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const outcome = await promise.then(
    () => undefined,
    (error) => error,
  );
  expect(outcome).toBeInstanceOf(Fault);
  return outcome as Fault;
}

describe('migrating', () => {
  it('applies in order, as the owner, and records executor, content and duration', async () => {
    history.write('0001_first.sql', makesTable('t_first'));
    history.write('0002_second.sql', makesTable('t_second'));
    expect(await history.migrate()).toEqual(['0001_first', '0002_second']);
    expect(
      await history.rows(
        `SELECT version, description, length(checksum) AS checksum, outcome, executor, execution_time_ms >= 0 AS timed,
                pg_get_userbyid(relowner) AS owner
           FROM llama.schema_migrations JOIN pg_class ON relname = 't_' || description ORDER BY id`,
      ),
    ).toEqual(
      ['first', 'second'].map((description, index) => ({
        version: `000${index + 1}`,
        description,
        checksum: 64,
        outcome: 'applied',
        executor: history.database.server.administrator,
        timed: true,
        owner: 'llama_owner',
      })),
    );
    expect(await history.rows('SELECT name FROM llama.pgmigrations ORDER BY id')).toEqual([
      { name: '0001_first' },
      { name: '0002_second' },
    ]);
  });

  it('writes nothing without pending migrations', async () => {
    history.write('0001_first.sql', makesTable('t_first'));
    await history.migrate();
    const written = () =>
      history.rows(
        'SELECT xmin::text, * FROM llama.schema_migrations UNION ALL SELECT xmin::text, id, name, NULL, NULL, NULL, NULL, run_on, NULL, NULL, NULL FROM llama.pgmigrations',
      );
    const before = await written();
    expect(await history.migrate()).toEqual([]);
    expect(await written()).toEqual(before);
    expect(history.lines.at(-1)).toBe('Nothing to migrate: 1 of 1 applied');
  });

  it('runs a migration as the login on request; the ledger still belongs to the owner', async () => {
    history.write(
      '0001_login.sql',
      '-- run as: login\n-- Up Migration\nCREATE SCHEMA beside;\n-- Down Migration\nDROP SCHEMA beside;\n',
    );
    await history.migrate();
    expect(
      await history.rows(
        "SELECT pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE nspname = 'beside'",
      ),
    ).toEqual([{ owner: history.database.server.administrator }]);
    expect(await history.rollback()).toEqual(['0001_login']);
    expect(await history.rows("SELECT FROM pg_namespace WHERE nspname = 'beside'")).toEqual([]);
  });

  it('runs TypeScript migrations, with and without a transaction', async () => {
    history.write(
      '0001_with.ts',
      `export async function up(pgm) { pgm.createTable({ schema: 'llama', name: 't_with' }, { id: 'uuid' }); }
       export async function down(pgm) { pgm.dropTable({ schema: 'llama', name: 't_with' }); }`,
    );
    history.write(
      '0002_without.ts',
      `export async function up(pgm) {
         pgm.noTransaction();
         await pgm.db.query('CREATE INDEX CONCURRENTLY IF NOT EXISTS t_with_id ON llama.t_with (id)');
       }
       export async function down(pgm) {
         pgm.noTransaction();
         pgm.sql('DROP INDEX CONCURRENTLY IF EXISTS llama.t_with_id');
       }`,
    );
    await history.migrate();
    const index = "SELECT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relname = 't_with_id'";
    expect(await history.rows(index)).toEqual([{ owner: 'llama_owner' }]);
    await history.rollback({ count: 2 });
    expect(await tables()).toEqual([]);
    expect(
      (await ledger()).map(({ version, direction, outcome }) => `${version} ${direction} ${outcome}`),
    ).toEqual(['0001 up rolled back', '0002 up rolled back', '0002 down applied', '0001 down applied']);
  });

  it('undoes a failed migration, keeps the earlier ones, and continues after a correction', async () => {
    history.write('0001_first.sql', makesTable('t_first'));
    history.write(
      '0002_broken.sql',
      '-- Up Migration\nCREATE TABLE llama.t_half (id int);\n\nSELECT 1 / zero FROM (SELECT 0) AS a (zero);\n',
    );
    history.write('0003_third.sql', makesTable('t_third'));
    const fault = await faultOf(history.migrate());
    expect(fault).toMatchObject({
      code: 'server/error',
      what: expect.stringMatching(/^Migration 0002_broken failed \(.*0002_broken\.sql\)/),
      why: expect.stringContaining('division by zero'),
      exitCode: 1,
    });
    expect(await tables()).toEqual(['t_first']);
    expect(await ledger()).toEqual([
      { version: '0001', direction: 'up', outcome: 'applied' },
      { version: '0002', direction: 'up', outcome: 'failed' },
    ]);
    history.write('0002_broken.sql', makesTable('t_half'));
    expect(await history.migrate()).toEqual(['0002_broken', '0003_third']);
    expect(await tables()).toEqual(['t_first', 't_half', 't_third']);
    expect(await ledger()).toHaveLength(4);
  });

  it('names the line if the server reports a position', async () => {
    history.write('0001_broken.sql', '-- Why\n\n-- Up Migration\nSELECT 1;\n\nSELECT nonsense();\n');
    expect((await faultOf(history.migrate())).message).toMatch(/0001_broken\.sql:6\)/);
  });

  it('restores the session after a failure', async () => {
    history.write('0001_broken.sql', "-- Up Migration\nSET work_mem = '1MB';\nSELECT nonsense();\n");
    const connection = await history.connect();
    try {
      const { migrate } = await import('../../../database/migrator/migrate.ts');
      const { reporter, directory } = history;
      await faultOf(migrate(connection, { reporter, migrationsDirectory: directory }));
      const { rows } = await connection.client.query(
        "SELECT CURRENT_USER = SESSION_USER AS self, current_setting('search_path') AS path, current_setting('work_mem') AS mem",
      );
      expect(rows).toEqual([{ self: true, path: '', mem: expect.not.stringMatching(/^1MB$/) }]);
    } finally {
      await connection.close();
    }
  });

  it('prints no statement of a failed migration', async () => {
    const canary = 'canary-7f3a91';
    history.write(
      '0001_secret.sql',
      `-- Up Migration\nCREATE TABLE llama.t_s (a text);\nINSERT INTO llama.t_s VALUES ('${canary}'), (1/0);\n`,
    );
    const written: string[] = [];
    const real = process.stdout.write.bind(process.stdout);
    process.stdout.write = (text: string | Uint8Array) => written.push(String(text)) > 0;
    let fault: Fault;
    try {
      fault = await faultOf(history.migrate());
    } finally {
      process.stdout.write = real;
    }
    expect([...written, ...history.lines, fault.message].join('\n')).not.toContain(canary);
    expect(JSON.stringify(await history.rows('SELECT * FROM llama.schema_migrations'))).not.toContain(canary);
  });

  it('retries while a lock is taken, and succeeds once it is free', async () => {
    history.write('0001_first.sql', makesTable('t_first'));
    await history.migrate();
    history.write('0002_alter.sql', '-- Up Migration\nALTER TABLE llama.t_first ADD more text;\n');
    const busy = await history.database.connect('superuser');
    await busy.query('BEGIN; SELECT FROM llama.t_first');
    const migrating = history.migrate({ limits: { lockTimeout: 100 } });
    await expect.poll(() => history.lines.some((line) => /0002_alter .*retrying in/.test(line))).toBe(true);
    await busy.query('ROLLBACK');
    expect(await migrating).toEqual(['0002_alter']);
  });

  it('gives up on a lock that stays taken; the next run succeeds', async () => {
    history.write('0001_first.sql', makesTable('t_first'));
    await history.migrate();
    history.write('0002_alter.sql', '-- Up Migration\nALTER TABLE llama.t_first ADD more text;\n');
    const busy = await history.database.connect('superuser');
    await busy.query('BEGIN; SELECT FROM llama.t_first');
    const fault = await faultOf(history.migrate({ limits: { lockTimeout: 20 }, attempts: 2 }));
    expect(fault).toMatchObject({
      code: 'server/lock-not-available',
      what: expect.stringContaining('0002_alter failed'),
    });
    await busy.query('ROLLBACK');
    expect(await history.migrate()).toEqual(['0002_alter']);
  });

  it('stops a statement that runs too long', async () => {
    history.write('0001_slow.sql', '-- Up Migration\nSELECT pg_sleep(60);\n');
    const fault = await faultOf(history.migrate({ limits: { statementTimeout: 50 } }));
    expect(fault).toMatchObject({
      code: 'server/statement-cancelled',
      what: expect.stringContaining('0001_slow failed'),
      why: expect.stringContaining('statement timeout'),
    });
  });
});

describe('a long index build', () => {
  it('reports its progress', async () => {
    const copy = migrationsCopy('empty');
    const { directory } = copy;
    copy.write('0001_first.sql', makesTable('t_first'));
    await history.migrate({ migrationsDirectory: directory });
    copy.write(
      '0002_index.ts',
      `import { buildPartitionedIndex } from '../database/indexes/partitioned-index.ts';
       export async function up(pgm) {
         pgm.noTransaction();
         await buildPartitionedIndex(pgm, { table: 'llama.t_first', name: 't_first_note', definition: '(note)' });
       }`,
    );
    const busy = await history.database.connect('superuser');
    await busy.query("BEGIN; INSERT INTO llama.t_first VALUES ('open')");
    const migrating = history.migrate({ migrationsDirectory: directory, progressEvery: 50 });
    await expect
      .poll(() => history.lines.join('\n'), { timeout: 10_000 })
      .toMatch(
        /Building llama\.t_first_note on llama\.t_first: waiting for .*, for 1 older transactions, now backend \d+/,
      );
    await busy.query('ROLLBACK');
    expect(await migrating).toEqual(['0002_index']);
    copy.drop();
  });
});

describe('a history that differs from the files is refused', () => {
  beforeEach(async () => {
    history.write('0001_first.sql', makesTable('t_first'));
    history.write('0003_third.sql', makesTable('t_third'));
    await history.migrate();
  });

  it('if an applied file was edited, naming it and both checksums', async () => {
    history.write('0001_first.sql', makesTable('t_other'));
    const fault = await faultOf(history.migrate());
    expect(fault).toMatchObject({
      code: 'migration/edited',
      what: expect.stringContaining('0001_first'),
      why: expect.stringMatching(/applied [0-9a-f]{64}, file [0-9a-f]{64}/),
    });
    history.write('0001_first.sql', makesTable('t_first'));
    expect(await history.migrate()).toEqual([]);
  });

  it('if an applied file was renamed, so its rollback is not found', async () => {
    history.remove('0003_third.sql');
    history.write('0003_renamed.sql', makesTable('t_third'));
    const what = expect.stringContaining('0003_renamed');
    expect(await faultOf(history.migrate())).toMatchObject({
      code: 'migration/edited',
      what,
      why: expect.stringContaining('applied as 0003_third'),
    });
    await expect(history.rollback()).rejects.toMatchObject({ code: 'rollback/file-changed', what });
  });

  it('but not if only its line ends changed', async () => {
    history.write('0001_first.sql', makesTable('t_first').replaceAll('\n', '  \r\n'));
    expect(await history.migrate()).toEqual([]);
  });

  it('if an applied file is missing', async () => {
    history.remove('0001_first.sql');
    expect(await faultOf(history.migrate())).toMatchObject({
      code: 'migration/file-missing',
      what: expect.stringContaining('0001_first'),
    });
  });

  it('if a file is out of order, unless that is allowed', async () => {
    history.write('0002_second.sql', makesTable('t_second'));
    expect(await faultOf(history.migrate())).toMatchObject({
      code: 'migration/out-of-order',
      what: expect.stringContaining('0002_second'),
    });
    expect(await history.migrate({ allowOutOfOrder: true })).toEqual(['0002_second']);
    expect(await history.migrate()).toEqual([]);
  });

  it('if only the table of node-pg-migrate contains a name', async () => {
    await history.rows("INSERT INTO llama.pgmigrations (name, run_on) VALUES ('0009_foreign', now())");
    expect(await faultOf(history.migrate())).toMatchObject({
      code: 'migration/not-in-ledger',
      what: expect.stringContaining('0009_foreign'),
    });
  });

  it('and status shows each of these without any change', async () => {
    history.write('0002_second.sql', makesTable('t_second'));
    history.write('0003_third.sql', makesTable('t_other'));
    history.write('0004_fourth.sql', makesTable('t_fourth'));
    history.remove('0001_first.sql');
    const connection = await history.connect();
    const before = await ledger();
    const { migrations } = await status(connection, history.directory).finally(() => connection.close());
    expect(migrations.map(({ name, state }) => `${name} ${state}`)).toEqual([
      '0001_first missing',
      '0002_second out of order',
      '0003_third edited',
      '0004_fourth pending',
    ]);
    expect(await ledger()).toEqual(before);
  });
});

describe('after a kill, the tables are reconciled', () => {
  it('if a migration was running: it is recorded as interrupted and runs again', async () => {
    history.write('0001_first.sql', makesTable('t_first'));
    await history.migrate();
    await history.rows(
      `INSERT INTO llama.schema_migrations (version, description, checksum, outcome, executor)
       VALUES ('0002', 'second', 'x', 'running', 'somebody')`,
    );
    history.write('0002_second.sql', makesTable('t_second'));
    expect(await history.migrate()).toEqual(['0002_second']);
    expect((await ledger()).map(({ outcome }) => outcome)).toEqual(['applied', 'interrupted', 'applied']);
    expect(history.lines.join('\n')).toMatch(/0002_second \(up\) was interrupted/);
  });

  it('if only the ledger was written: the table of node-pg-migrate follows', async () => {
    history.write('0001_first.sql', makesTable('t_first'));
    await history.migrate();
    await history.rows('DELETE FROM llama.pgmigrations');
    expect(await history.migrate()).toEqual([]);
    expect(await history.rows('SELECT name FROM llama.pgmigrations')).toEqual([{ name: '0001_first' }]);
    expect(await history.rollback()).toEqual(['0001_first']);
  });

  it('if only the ledger records a rollback: the table of node-pg-migrate follows', async () => {
    history.write('0001_first.sql', makesTable('t_first'));
    await history.migrate();
    await history.rollback();
    await history.rows("INSERT INTO llama.pgmigrations (name, run_on) VALUES ('0001_first', now())");
    expect(await history.migrate()).toEqual(['0001_first']);
    expect(await history.rows('SELECT name FROM llama.pgmigrations')).toEqual([{ name: '0001_first' }]);
  });
});

describe('status', () => {
  it('reads an untouched database without changing it', async () => {
    history.write('0001_first.sql', makesTable('t_first'));
    const connection = await history.connect();
    const { migrations } = await status(connection, history.directory).finally(() => connection.close());
    expect(migrations).toMatchObject([{ name: '0001_first', state: 'pending' }]);
    expect(await history.rows("SELECT FROM pg_namespace WHERE nspname = 'llama'")).toEqual([]);
  });
});

describe('an error that neither connection nor server caused', () => {
  it('stays recognizable as a defect', async () => {
    const connection = await history.connect();
    await connection.close();
    const defect = new TypeError('x is not a function');
    expect(diagnose(defect, connection.circumstances)).toBe(defect);
  });
});
