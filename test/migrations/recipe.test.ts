// Duration: 40 s
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { generateManifest } from '../../commands/common/migrated.ts';
import { withConnection } from '../../database/connection.ts';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import { lint } from '../../database/migrator/lint/lint.ts';
import { renderLint } from '../../database/migrator/lint/report.ts';
import { selectFiles } from '../../database/migrator/lint/select.ts';
import { withLock } from '../../database/migrator/lock.ts';
import { migrate } from '../../database/migrator/migrate.ts';
import { formatManifest } from '../../database/schema/manifest-file.ts';
import { resolveTarget } from '../../database/target.ts';
import {
  answersWith,
  deployment,
  idsOf,
  startVerifiedServer,
  type VerifiedServer,
} from '../verification/fixture.ts';
import { recipe } from './recipe.ts';

const reporter = { line: () => {}, warn: () => {} };
const name = '9000_notes.sql';
let home: string;
let directory: string;
let verified: VerifiedServer;
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'llama-db-recipe-'));
  // Migrations import them from the folder above.
  for (const room of ['core', 'database', 'runtime']) {
    symlinkSync(join(import.meta.dirname, '../..', room), join(home, room));
  }
  directory = join(home, 'migrations');
  cpSync(migrationsDirectory, directory, { recursive: true });
  writeFileSync(join(directory, name), recipe);
  writeFileSync(join(directory, 'schema.json'), formatManifest(await generateManifest(directory, [17])));
  verified = await startVerifiedServer();
  const target = await resolveTarget({ url: verified.server.url('migrator') }, {});
  await withConnection(target, { reporter }, (connection) =>
    withLock(connection, { reporter }, () =>
      migrate(connection, { reporter, migrationsDirectory: directory }),
    ),
  );
});
afterAll(async () => {
  await verified.stop();
  rmSync(home, { recursive: true });
});

it('the recipe for a table with rows of tenants passes the lint', async () => {
  const result = await lint(selectFiles([join(directory, name)], directory));
  expect(result.findings, renderLint(result, 'text', false)).toEqual([]);
  expect(result.unseen).toEqual([]);
});

it('verification finds nothing after the recipe, the two-tenant probe included', async () => {
  const answers = await answersWith(verified, {
    files: (copy) => cpSync(directory, copy, { recursive: true }),
    deployment: {
      partitions: {
        monthsAhead: 3,
        retentionDays: { ...deployment.partitions.retentionDays, notes: 90 },
      },
    },
  });
  const failed = answers.filter(({ outcome }) => outcome.status === 'failed');
  expect(failed.map(({ check, outcome }) => [check.id, outcome])).toEqual([]);
  expect(idsOf(answers, 'skipped')).toEqual([]);
});

it('the application writes and reads the table of the recipe at once, and each change is audited', async () => {
  const client = verified.superuser;
  await client.query("BEGIN; SET LOCAL ROLE application_role; SELECT llama.set_tenant_context('tenant a')");
  const { rows } = await client.query<{ id: string }>(
    "INSERT INTO llama.notes (tenant_id, body) VALUES ('tenant a', 'first') RETURNING id",
  );
  const id = rows[0]?.id;
  await client.query('UPDATE llama.notes SET body = $2 WHERE id = $1', [id, 'second']);
  await client.query('SELECT llama.record_read($1, $2)', ['notes', id]);
  const { rows: read } = await client.query('SELECT body FROM llama.notes');
  expect(read).toEqual([{ body: 'second' }]);
  await client.query('DELETE FROM llama.notes WHERE id = $1', [id]);
  const { rows: trail } = await client.query(
    "SELECT operation FROM llama.audit_trail WHERE table_name = 'notes' AND record_id = $1 ORDER BY operation",
    [id],
  );
  expect(trail.map(({ operation }) => operation)).toEqual(['DELETE', 'INSERT', 'SELECT', 'UPDATE']);
  await client.query(
    "ROLLBACK; BEGIN; SET LOCAL ROLE application_role; SELECT llama.set_tenant_context('tenant b')",
  );
  await expect(
    client.query("INSERT INTO llama.notes (tenant_id, body) VALUES ('tenant a', 'foreign')"),
  ).rejects.toThrow(/row-level security/);
  await client.query('ROLLBACK');
});
