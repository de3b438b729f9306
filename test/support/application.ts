/** A deployed database in use: the application writes, the trail is sealed and verified, by the commands. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { run } from '../commands/run.ts';

/** A transaction of the application: an INSERT and an UPDATE of one record. */
export const writeRecord = (tenant: string) => `
  BEGIN;
  SET LOCAL ROLE application_role;
  SELECT llama.set_tenant_context('${tenant}');
  INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, encrypted, confidence_score)
    VALUES ('${tenant}', repeat('a', 64), '{}', 'v', 'd', false, 0.5);
  UPDATE llama.storage_records SET detector_type = 'e';
  COMMIT`;

/** Runs statements on a connection of their own. @returns the rows of the last one */
export async function ask(url: string, sql: string): Promise<readonly unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return [await client.query(sql)].flat().at(-1)?.rows ?? [];
  } finally {
    await client.end();
  }
}

/** Runs statements one after the other on one connection, outside of a transaction. */
export async function askEach(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of sql.split(';').filter((text) => text.trim())) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Ids of the checks that `llama-db verify` finds violated. */
export async function failedChecks(url: string): Promise<readonly string[]> {
  const { stdout, stderr } = await run(['verify', '--url', url, '--json']);
  if (stdout === '') throw new Error(stderr);
  const { checks } = JSON.parse(stdout) as { checks: { id: string; status: string }[] };
  return checks.filter(({ status }) => status === 'failed').map(({ id }) => id);
}

/** Seals every row: one run notes the newest number, the next one seals up to it. */
export async function sealed(url: string): Promise<void> {
  for (let round = 0; round < 2; round += 1) await run(['audit', 'seal', '--url', url]);
}

export const headOf = async (url: string) => (await run(['audit', 'head', '--url', url])).stdout.trim();

/** The SQL of docs/restoring.md that begins with a comment of these words. */
export function documented(title: string): string {
  const page = readFileSync(join(import.meta.dirname, '../../docs/restoring.md'), 'utf8');
  const block = [...page.matchAll(/```sql\n([\s\S]*?)```/g)].find(([, sql = '']) =>
    sql.trim().startsWith(`-- ${title}\n`),
  );
  if (!block?.[1]) throw new Error(`docs/restoring.md has no statement "${title}"`);
  return block[1];
}
