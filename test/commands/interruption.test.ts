import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { catalogOf } from '../support/catalog.ts';
import { freshDatabase, type TestDatabase } from '../support/postgres.ts';
import { migrationsCopy, run, start } from './run.ts';

/** The catalogs after an uninterrupted run. */
let reference: readonly string[];
const databases: TestDatabase[] = [];

async function fresh(): Promise<TestDatabase> {
  const database = await freshDatabase();
  databases.push(database);
  return database;
}

beforeAll(async () => {
  const database = await freshDatabase();
  const finished = await run(['post-deploy', '--url', database.url()]);
  expect(finished.code, finished.stderr).toBe(0);
  reference = await catalogOf(database.connection('superuser'));
  expect(reference.length).toBeGreaterThan(100);
  await database.drop();
});

afterEach(async () => {
  for (const database of databases.splice(0)) await database.drop();
});

/** Starts a deployment, waits for a line of output and some time, then kills it. */
async function killAt(database: TestDatabase, moment: RegExp, delay: number): Promise<boolean> {
  const running = start(['post-deploy', '--url', database.url()]);
  let over = false;
  void running.finished.then(() => {
    over = true;
  });
  while (!over && !moment.test(running.printed())) await sleep(2);
  await sleep(delay);
  running.kill();
  return (await running.finished).code === 137;
}

// test/proof covers random moments and parallel deployments.
describe('a deployment that is killed', () => {
  it.each([
    ['before it has done anything', /^/, 200],
    ['right after it connected', /Connected/, 0],
    ['while it makes the extensions', /Prepared/, 5],
    ['while it builds the indexes', /Applied 0003/, 15],
    ['towards the end', /Applied 0009/, 4],
  ])('%s is finished by the next one, to the same catalogs', async (_, moment, delay) => {
    let database = await fresh();
    // On a busy machine the run may end before the signal. Such an attempt is repeated.
    for (let tries = 1; !(await killAt(database, moment, delay)); tries += 1) {
      expect(tries).toBeLessThan(4);
      database = await fresh();
    }
    const finished = await run(['post-deploy', '--url', database.url()]);
    expect(finished.code, finished.stderr).toBe(0);
    expect(await catalogOf(database.connection('superuser'))).toEqual(reference);
  });

  it('reports the reason if the server ends its session', async () => {
    const database = await fresh();
    const migrations = migrationsCopy();
    try {
      migrations.write(
        '9001_slow.sql',
        '-- Up Migration\nCREATE TABLE llama.slow ();\nSELECT pg_sleep(60);\n',
      );
      const running = start(['post-deploy', '--url', database.url(), '--migrations', migrations.directory]);
      const ended = () =>
        database.query(
          'superuser',
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event = 'PgSleep'`,
        );
      await expect.poll(ended, { timeout: 20_000 }).toHaveLength(1);
      const finished = await running.finished;
      expect(finished.stderr).toMatch(
        /^Migration 9001_slow failed .* ended the connection: terminating connection due to administrator command/,
      );
      expect(finished.stderr.trimEnd().split('\n')).toHaveLength(1);
      expect(finished.code).toBe(1);
      migrations.remove('9001_slow.sql');
      const again = await run(['post-deploy', '--url', database.url(), '--migrations', migrations.directory]);
      expect(again.code, again.stderr).toBe(0);
      expect(again.stdout).toMatch(/9001_slow \(up\) was interrupted/);
      expect(await catalogOf(database.connection('superuser'))).toEqual(reference);
    } finally {
      migrations.drop();
    }
  });
});
