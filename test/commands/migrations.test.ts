import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase, type TestDatabase } from '../support/postgres.ts';
import { type MigrationsCopy, migrationsCopy, run } from './run.ts';

let database: TestDatabase;
let migrations: MigrationsCopy;

beforeEach(async () => {
  database = await freshDatabase();
  migrations = migrationsCopy('empty');
  migrations.write(
    '0001_first.sql',
    '-- Up Migration\nCREATE TABLE llama.first (a int);\n-- Down Migration\nDROP TABLE llama.first;\n',
  );
  migrations.write(
    '0002_second.sql',
    '-- loses data of: second\n-- Up Migration\nCREATE TABLE llama.second (a int);\nINSERT INTO llama.second VALUES (1), (2);\n-- Down Migration\nDROP TABLE llama.second;\n',
  );
});

afterEach(async () => {
  migrations.drop();
  await database.drop();
});

const command = (name: string, ...more: string[]) =>
  run([name, '--url', database.url(), '--migrations', migrations.directory, ...more]);

const schemas = () => database.query('superuser', "SELECT nspname FROM pg_namespace WHERE nspname = 'llama'");

describe('migrate', () => {
  it('with --dry-run lists the migrations to apply and changes nothing', async () => {
    const { code, stdout } = await command('migrate', '--dry-run');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^Would prepare (role llama_owner, )?schema llama, the ledger\nWould apply 0001_first\nWould apply 0002_second$/m,
    );
    expect(await schemas()).toEqual([]);
  });

  it('applies, and reports the applied files as JSON', async () => {
    const { code, stdout, stderr } = await command('migrate', '--json');
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ ok: true, applied: ['0001_first', '0002_second'] });
    expect(stderr).toMatch(/^Applied 0001_first \(\d+ ms\)$/m);
  });
});

describe('status', () => {
  it('lists pending files of an untouched database with exit status 0, and changes nothing', async () => {
    const { code, stdout } = await command('status');
    expect(code).toBe(0);
    expect(stdout).toMatch(/0001_first +│ pending/);
    expect(stdout).toMatch(/^2 pending$/m);
    expect(await schemas()).toEqual([]);
  });

  it('shows executor and time of each migration, and exits with 1 after an edit', async () => {
    await command('migrate');
    migrations.write('0001_first.sql', '-- Up Migration\nSELECT 1;\n');
    migrations.write('0003_third.sql', '-- Up Migration\nSELECT nonsense();\n');
    const { code, stdout } = await command('status');
    expect(code).toBe(1);
    expect(stdout).toMatch(/0001_first +│ edited +│ \d{4}-\d\d-\d\d .* ms +│ applied [0-9a-f]{12}, file/);
    expect(stdout).toMatch(/0002_second +│ applied/);
    expect(stdout).toMatch(/^1 edited, 1 applied, 1 pending\nApplied by database_admins$/m);
  });

  it('distinguishes all states, as text and as JSON', async () => {
    migrations.write('0004_fourth.sql', '-- Up Migration\nSELECT 1;\n');
    expect((await command('migrate')).code).toBe(0);
    migrations.remove('0001_first.sql');
    migrations.write('0002_second.sql', '-- Up Migration\nSELECT 1;\n');
    migrations.write('0003_third.sql', '-- Up Migration\nSELECT 1;\n');
    migrations.write('0005_fifth.sql', '-- Up Migration\nSELECT 1;\n');
    const text = await command('status');
    expect(text.code).toBe(1);
    for (const [name, state, note] of [
      ['0001_first', 'missing', 'its file is missing'],
      ['0002_second', 'edited', 'applied [0-9a-f]{12}, file [0-9a-f]{12}'],
      ['0003_third', 'out of order', ''],
      ['0004_fourth', 'applied', ''],
      ['0005_fifth', 'pending', ''],
    ]) {
      expect(text.stdout).toMatch(new RegExp(`${name} +│ ${state} +│.*${note}`));
    }
    expect(text.stdout).toMatch(/^1 missing, 1 edited, 1 out of order, 1 applied, 1 pending$/m);
    const { code, stdout } = await command('status', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      failures: [],
      migrations: [
        { name: '0001_first', state: 'missing', checksum: null, applied: { executor: 'database_admins' } },
        { name: '0002_second', state: 'edited', checksum: expect.stringMatching(/^[0-9a-f]{64}$/) },
        { name: '0003_third', state: 'out of order', applied: null },
        { name: '0004_fourth', state: 'applied', applied: { executionTimeMs: expect.any(Number) } },
        { name: '0005_fifth', state: 'pending', applied: null },
      ],
    });
  });

  it('reports failures as JSON', async () => {
    migrations.write('0003_third.sql', '-- Up Migration\nSELECT nonsense();\n');
    expect((await command('migrate')).code).toBe(1);
    const { code, stdout } = await command('status', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      migrations: [
        {
          name: '0001_first',
          state: 'applied',
          applied: { outcome: 'applied', executor: 'database_admins' },
        },
        { name: '0002_second', state: 'applied' },
        { name: '0003_third', state: 'pending', applied: null, lastAttempt: { outcome: 'failed' } },
      ],
      failures: [
        { version: '0003', outcome: 'failed', error: expect.stringMatching(/nonsense\(\) does not exist/) },
      ],
    });
  });

  it('without the permission to read exits with 2', async () => {
    await command('migrate');
    await database.query('superuser', "CREATE ROLE status_weak LOGIN PASSWORD 'weak-password'");
    try {
      const url = database.url({ user: 'status_weak', password: 'weak-password' });
      const { code, stderr } = await run(['status', '--url', url]);
      expect(stderr).toMatch(/permission denied to set role "llama_owner".*\[server\/permission-denied\]/);
      expect(code).toBe(2);
    } finally {
      await database.query('superuser', 'DROP ROLE status_weak');
    }
  });
});

describe('rollback', () => {
  beforeEach(async () => {
    expect((await command('migrate')).code).toBe(0);
  });

  it('refuses to lose rows until the table is named', async () => {
    const refused = await command('rollback');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /0002_second.*second \(2 rows\).*--accept-data-loss <table>.*\[rollback\/would-lose-rows\]/,
    );
    const done = await command('rollback', '--to', '0000', '--accept-data-loss', 'llama.second', '--json');
    expect(done.code, done.stderr).toBe(0);
    expect(JSON.parse(done.stdout)).toEqual({ ok: true, rolledBack: ['0002_second', '0001_first'] });
  });

  it('accepts either a version or a number', async () => {
    const { code, stderr } = await command('rollback', '--to', '0001', '--count', '1');
    expect(code).toBe(2);
    expect(stderr).toMatch(/exclude each other/);
  });
});
