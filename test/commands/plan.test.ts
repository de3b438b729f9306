/** `llama-db plan`: exit statuses, files, pending migrations, and a new plan by the real Terraform. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { at, isObject, type Json, objectAt, objectsAt } from '../../core/json.ts';
import { listMigrations, migrationsDirectory } from '../../database/migrator/files.ts';
import { guard } from '../../pipeline/plan/guard.ts';
import { makePlan } from '../../pipeline/plan/make.ts';
import { ownWith } from '../support/own.ts';
import { terraform, whyNoTerraform } from '../support/terraform.ts';
import { migrationsCopy, run as runWith } from './run.ts';

const recorded = (name: string) => join(import.meta.dirname, '../pipeline/plan/recorded', `${name}.json`);
const missing = await whyNoTerraform();
const closed = ownWith('protected');
const open = ownWith('unprotected');
const run = (...args: string[]) => runWith(args);

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'llama-plan-'));
  folders.push(folder);
  return folder;
}

/** A recorded plan with the migrations of this checkout, which have all run, and others. @returns the file */
function planOf(name: string, migrations: Readonly<Record<string, string>> = {}): string {
  const plan: Json = JSON.parse(readFileSync(recorded(name), 'utf8'));
  const step = objectsAt(plan, 'resource_changes').find((one) =>
    isObject(at(one, 'change', 'after', 'triggers_replace', 'migrations')),
  );
  const ran = Object.fromEntries(
    listMigrations(migrationsDirectory).map(({ file, checksum }) => [file, checksum]),
  );
  objectAt(step, 'change', 'before', 'triggers_replace')['migrations'] = ran;
  objectAt(step, 'change', 'after', 'triggers_replace')['migrations'] = { ...ran, ...migrations };
  const file = join(scratch(), 'plan.json');
  writeFileSync(file, JSON.stringify(plan));
  return file;
}

it.each([
  ['online', 2, 'the worst impact is online'],
  ['restart', 2, 'the server restarts'],
  ['refused', 3, 'GRD-001'],
])('judges a recorded plan: %s exits %i', async (name, code, words) => {
  const { code: ended, stdout } = await run('plan', '--plan', planOf(name));
  expect(ended).toBe(code);
  expect(stdout).toContain(words);
});

it('refuses the same plan of an environment without a name, and not of one without protection', async () => {
  expect((await run('plan', '--plan', planOf('refused'))).code).toBe(3);
  if (closed !== undefined) expect((await run('plan', closed, '--plan', planOf('refused'))).code).toBe(3);
  if (open !== undefined) expect((await run('plan', open, '--plan', planOf('refused'))).code).toBe(2);
});

it.each([
  ['an unknown option', ['plan', '--unknown']],
  ['an unknown environment', ['plan', 'nowhere', '--plan', recorded('online')]],
  ['nothing to judge', ['plan']],
  ['a missing file', ['plan', '--plan', '/nowhere/plan.json']],
  ['a file that is not a plan', ['plan', '--plan', 'package.json']],
])('exits 1, which is no result of it, for %s', async (_, args) => {
  const { code, stderr } = await run(...args);
  expect(code).toBe(1);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});

it('writes every report, and the result as JSON', async () => {
  const folder = join(scratch(), 'review');
  const { code, stdout } = await run('plan', '--plan', planOf('restart'), '--out', folder, '--json');
  expect(code).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({ ok: true, impact: 'restart', exitCode: 2 });
  expect(readdirSync(folder).sort()).toEqual([
    'comment.md',
    'guard.html',
    'guard.json',
    'guard.sarif',
    'plan.json',
  ]);
  expect(JSON.parse(readFileSync(join(folder, 'guard.sarif'), 'utf8'))).toMatchObject({ version: '2.1.0' });
});

it('puts a preview into the comment, and refuses a file that it cannot read', async () => {
  const folder = scratch();
  const preview = join(folder, 'preview.md');
  writeFileSync(preview, '#### 🟢 Preview: clients were not interrupted\n');
  const given = ['plan', '--plan', planOf('online'), '--out', folder, '--preview'];
  expect((await run(...given, preview)).code).toBe(2);
  expect(readFileSync(join(folder, 'comment.md'), 'utf8')).toContain('Preview: clients were not interrupted');
  const missing = await run(...given, join(folder, 'other.md'));
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain('[plan/file-unreadable]');
});

it('lists pending migrations with their findings and locks', async () => {
  const copy = migrationsCopy();
  const file = '9000_drop.sql';
  copy.write(
    file,
    '-- Up Migration\nALTER TABLE llama.storage_records DROP COLUMN location;\nCREATE INDEX records_idx ON llama.model_metrics (id);\n-- Down Migration\nSELECT 1;\n',
  );
  const plan = planOf('online', { [file]: 'a', '0001_extensions.sql': 'edited' });
  const { code, stdout } = await run('plan', '--plan', plan, '--migrations', copy.directory, '--json');
  copy.drop();
  const report: {
    refusals: { address: string; impact: string }[];
    migrations: { files: { file: string; locks: { on: string; mode: string }[] }[] };
  } = JSON.parse(stdout);
  expect(code).toBe(3);
  const [pending] = report.migrations.files.filter((one) => one.file === file);
  expect(pending?.locks).toContainEqual(
    expect.objectContaining({ on: 'llama.storage_records', mode: 'ACCESS EXCLUSIVE' }),
  );
  expect(pending?.locks).toContainEqual(
    expect.objectContaining({ on: 'llama.model_metrics', mode: 'SHARE' }),
  );
  expect(report.refusals).toContainEqual(
    expect.objectContaining({ address: `migrations/${file}`, impact: 'data-loss' }),
  );
  expect(report.refusals).toContainEqual(
    expect.objectContaining({ address: 'migrations/0001_extensions.sql', impact: 'refused-by-azure' }),
  );
});

it('compares with the schema of a release', async () => {
  const released: { migrations: string[]; common: Record<string, unknown> } = JSON.parse(
    readFileSync(join(migrationsDirectory, 'schema.json'), 'utf8'),
  );
  const last = released.migrations.pop();
  delete released.common['table llama.releases'];
  const file = join(scratch(), 'schema.json');
  writeFileSync(file, JSON.stringify(released));
  const { stdout } = await run('plan', '--plan', planOf('online'), '--released', file, '--json');
  const report: { migrations: { files: { file: string }[]; schema: string[] } } = JSON.parse(stdout);
  expect(report.migrations.files.map((one) => one.file.replace(/\.(?:sql|ts)$/, ''))).toEqual([last]);
  expect(report.migrations.schema).toContain(`+ migration ${last}`);
});

it('plans with the real Terraform, without a lease, and leaves no plan file', async ({ skip }) => {
  skip(missing !== undefined, missing);
  const directory = scratch();
  writeFileSync(
    join(directory, 'main.tf.json'),
    JSON.stringify({ resource: { terraform_data: { one: { input: 'a' } } } }),
  );
  const silent = { line: () => undefined, warn: () => undefined };
  const judge = async () =>
    guard(await makePlan({ directory, reporter: silent }), {
      environment: 'e',
      isProtected: true,
      waivers: [],
      now: new Date(),
    });
  expect(await judge()).toMatchObject({ exitCode: 2, counts: { create: 1 } });
  await terraform(directory, 'apply', '-auto-approve', '-no-color');
  expect((await judge()).exitCode).toBe(0);
  expect(readdirSync(directory).filter((name) => /plan/.test(name))).toEqual([]);
  writeFileSync(join(directory, 'main.tf.json'), '{ "resource": 1 }');
  await expect(makePlan({ directory, reporter: silent })).rejects.toMatchObject({
    code: 'terraform/failed',
    exitCode: 1,
  });
}, 60_000);
