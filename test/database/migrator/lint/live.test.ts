/** The lint with a database: what it accepts rewrites nothing, and what it reports is refused or scanned. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readTableFacts } from '../../../../database/migrator/lint/estimates.ts';
import { migratedDatabase, type TestDatabase } from '../../../support/postgres.ts';
import { contentOf, type LintFolder, lintFolder } from './files.ts';

let database: TestDatabase;
let folder: LintFolder;
beforeAll(async () => {
  database = await migratedDatabase();
  folder = lintFolder();
});
afterAll(async () => {
  folder.drop();
  await database.drop();
});

it.each([
  ['storage_records', 'azure_region', 'varchar(200)', true],
  ['storage_records', 'model_version', 'varchar(200)', false],
  ['storage_records', 'azure_region', 'text', true],
  ['tenant_configs', 'confidence_threshold', 'numeric(6, 4)', true],
  ['model_metrics', 'metric_value', 'numeric(12, 6)', true],
  ['storage_records', 'model_version', 'varchar(50)', false],
  ['model_metrics', 'metric_value', 'numeric(12, 7)', false],
  ['storage_records', 'tenant_id', 'varchar(200)', false],
  ['storage_records', 'backup_status', 'varchar(40)', false],
  ['detector_executions', 'execution_time_ms', 'bigint', false],
])('%s.%s becomes %s: accepted is %s', async (table, column, type, accepted) => {
  const client = await database.connect();
  const facts = await readTableFacts({ client });
  const up = `ALTER TABLE llama.${table} ALTER COLUMN ${column} TYPE ${type};`;
  const path = folder.write('0900_longer.sql', contentOf({ up }).content);
  const { findings } = await folder.lint(path, { facts });
  expect(findings.map(({ rule }) => rule)).toEqual(accepted ? [] : ['column-type-change']);
  if (!accepted) return;
  const files = `SELECT c.relname, pg_relation_filenode(c.oid) AS file FROM pg_class AS c
    WHERE c.relnamespace = 'llama'::regnamespace AND c.relname LIKE '${table}%' AND c.relkind IN ('r', 'i') ORDER BY 1`;
  await client.query('BEGIN; SET LOCAL ROLE llama_owner');
  const { rows: before } = await client.query(files);
  await client.query(up);
  expect((await client.query(files)).rows).toEqual(before);
  await client.query('ROLLBACK');
});
