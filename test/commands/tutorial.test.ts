// Duration: 40 s
/** The commands of docs/tutorial.md, in its order, on a copy of the migrations. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { generateManifest } from '../../commands/common/migrated.ts';
import { formatManifest } from '../../database/schema/manifest-file.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { type LocalPostgres, startPostgres } from '../../local/postgres/server.ts';
import { recipe } from '../migrations/recipe.ts';
import { type Finished, type MigrationsCopy, migrationsCopy, run } from './run.ts';

const page = readFileSync('docs/tutorial.md', 'utf8');
const application = { user: 'tutorial_app', password: 'tutorial' };
let copy: MigrationsCopy;
let server: LocalPostgres;

beforeAll(async () => {
  copy = migrationsCopy();
  server = await startPostgres({ databases: ['llama_mapper'] });
  const first = await run(['migrate', '--url', server.url('migrator'), '--migrations', copy.directory]);
  expect(first.code).toBe(0);
  await within(server.connection('superuser'), (client) =>
    client.query(
      `CREATE ROLE ${application.user} LOGIN PASSWORD '${application.password}' IN ROLE application_role`,
    ),
  );
  copy.write('9000_notes.sql', recipe);
});
afterAll(async () => {
  await server.stop();
  copy.drop();
});

/** Runs a command of the page, on the copy. */
function documented(command: string): Promise<Finished> {
  expect(page.split('\n')).toContain(`npx llama-db ${command}`);
  const words = command.split(' ').map((word) => (word === '"$MIGRATOR"' ? server.url('migrator') : word));
  return run([...words, '--migrations', copy.directory]);
}

/** The statements of a `psql` command of the page. */
function statements(start: string): string {
  const [, text] = new RegExp(`^psql "\\$APPLICATION" -c "(${start}.*)"$`, 'm').exec(page) ?? [];
  if (text === undefined) throw new Error(`the page has no statements that begin with ${start}`);
  return text;
}

const asApplication = (sql: string) =>
  within(server.connection(application), async (client) => {
    const result: pg.QueryResult | pg.QueryResult[] = await client.query(sql);
    return (Array.isArray(result) ? result : [result]).flatMap(({ command, rows }) =>
      command === 'SELECT' ? rows : [],
    );
  });

it('lint accepts the migration, and reports it without FORCE', async () => {
  const files = join(copy.directory, '9000_notes.sql');
  expect((await run(['lint', files, '--migrations', copy.directory])).code).toBe(0);
  copy.write('9000_notes.sql', recipe.replace(', FORCE ROW LEVEL SECURITY', ''));
  const refused = await run(['lint', files, '--migrations', copy.directory]);
  expect(refused.code).toBe(1);
  expect(refused.stdout).toMatch(/FORCE ROW LEVEL SECURITY/);
  copy.write('9000_notes.sql', recipe);
});

it('migrate applies it, and verify reports the missing manifest', async () => {
  const dry = await documented('migrate --url "$MIGRATOR" --dry-run');
  expect(dry.stdout).toContain('Would apply 9000_notes');
  expect((await documented('migrate --url "$MIGRATOR"')).code).toBe(0);
  expect((await documented('status --url "$MIGRATOR"')).stdout).toMatch(/9000_notes +│ applied/);
  const before = await documented('verify --url "$MIGRATOR"');
  expect(before.code).toBe(1);
  expect(before.stdout).toMatch(/DRI-/);
}, 120_000);

it('the manifest that schema writes makes verify find no drift', async () => {
  copy.write('schema.json', formatManifest(await generateManifest(copy.directory, [17])));
  const after = await documented('verify --url "$MIGRATOR"');
  expect(after.stdout).not.toMatch(/│ DRI-/);
}, 120_000);

it('the application sees the rows of its tenant only, and rollback asks for the table', async () => {
  const rows = await asApplication(statements('BEGIN'));
  expect(rows.at(-1)).toMatchObject({ tenant_id: 'acme', body: 'first' });
  expect(await asApplication(statements('SELECT'))).toEqual([]);
  const refused = await documented('rollback --url "$MIGRATOR"');
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(/notes \(1 row\).*rollback\/would-lose-rows/);
  expect((await documented('rollback --url "$MIGRATOR" --accept-data-loss notes')).code).toBe(0);
}, 120_000);
