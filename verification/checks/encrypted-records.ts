/** Records that should be encrypted: docs/encryption.md. */
import type pg from 'pg';
import { rolledBack } from '../../database/transaction.ts';
import { type CheckInput, checksOf, type Finding, type Outcome } from '../check.ts';
import {
  becomeAdministrator,
  keysTable,
  listedTenants,
  missing,
  recordsTable,
  source,
  withKeys,
} from '../data-key-tables.ts';
import { modelOf, schema } from '../model.ts';
import { counted, judge } from '../outcome.ts';

/** Pages that a sample reads of all partitions together, approximately. */
const samplePages = 200;

export const checks = checksOf('encryption', [
  {
    id: 'ENC-009',
    name: 'encrypted-rows-hold-ciphertext',
    loses: 'secrets',
    title: 'Every record that is marked as encrypted is encrypted',
    inspects: `a sample of ${recordsTable} (about ${samplePages} pages): rows with encrypted, and the form of their values`,
    why: 'A column that claims encryption over readable data misleads everybody.',
    remedy: 'Encrypt the rows (sealRecord).',
    source,
    run: (input) =>
      withSample(input, 'r.encrypted', async (client, sample) => {
        const { rows } = await client.query<{ tenant: string; readable: number; seen: number }>(
          `WITH seen AS (${sample})
           SELECT tenant_id AS tenant, count(*)::int AS seen,
                  count(*) FILTER (WHERE content_key IS NULL OR (metadata_readable AND metadata_key IS NULL))::int AS readable
             FROM seen GROUP BY 1 ORDER BY 1`,
        );
        return {
          seen: rows.reduce((sum, { seen }) => sum + seen, 0),
          findings: rows
            .filter(({ readable }) => readable > 0)
            .map(({ tenant, readable }) => ({
              object: `tenant ${tenant}`,
              detail: `${counted(readable, 'record')} marked as encrypted but readable`,
            })),
        };
      }),
  },
  {
    id: 'ENC-011',
    name: 'encrypting-tenants-have-key',
    loses: 'promise',
    title: 'Every tenant with encryption enabled and records has a data key',
    inspects: `tenant_configs.encryption_enabled, records and ${keysTable}`,
    why: "The configuration promises encryption; without a key none of the tenant's rows was ever encrypted.",
    remedy: 'Write the records of the tenant with sealRecord, or set encryption_enabled = false.',
    source,
    run: (input) =>
      withKeys(input, async ({ client }) => {
        const { rows } = await client.query<{ tenant: string }>(
          `SELECT c.tenant_id AS tenant FROM ${schema}.tenant_configs c
            WHERE c.encryption_enabled
              AND NOT EXISTS (SELECT FROM ${keysTable} k WHERE k.tenant_id = c.tenant_id AND k.purpose = 'encryption'
                                AND k.state IN ('active', 'erased'))
              AND EXISTS (SELECT FROM ${recordsTable} r WHERE r.tenant_id = c.tenant_id)
            ORDER BY 1 LIMIT ${listedTenants}`,
        );
        return rows.map(({ tenant }) => ({
          object: `tenant ${tenant}`,
          detail: 'has records but no data key',
        }));
      }),
  },
  {
    id: 'ENC-012',
    name: 'encrypting-tenants-have-no-plaintext',
    loses: 'promise',
    title: 'Tenants with encryption enabled have no plaintext records',
    inspects: `a sample of ${recordsTable} (about ${samplePages} pages): unencrypted rows of tenants with encryption_enabled`,
    why: 'A writer stores in clear what the tenant expects to be encrypted.',
    remedy:
      'Find the writer (audit trail: user_agent, login), make it use sealRecord, and encrypt the rows that it wrote.',
    source,
    run: (input) =>
      withSample(input, 'r.encrypted IS NOT TRUE', async (client, sample) => {
        const { rows } = await client.query<{ tenant: string; readable: number; seen: number }>(
          `WITH seen AS (${sample})
           SELECT s.tenant_id AS tenant, count(*)::int AS seen,
                  count(*) FILTER (WHERE c.encryption_enabled)::int AS readable
             FROM seen s LEFT JOIN ${schema}.tenant_configs c USING (tenant_id) GROUP BY 1 ORDER BY 1`,
        );
        return {
          seen: rows.reduce((sum, { seen }) => sum + seen, 0),
          findings: rows
            .filter(({ readable }) => readable > 0)
            .map(({ tenant, readable }) => ({
              object: `tenant ${tenant}`,
              detail: `${counted(readable, 'record')} of the sample in clear`,
            })),
        };
      }),
  },
]);

type SampleFindings = (
  client: pg.Client,
  sample: string,
) => Promise<{ readonly seen: number; readonly findings: readonly Finding[] }>;

async function withSample(
  { client, snapshot }: CheckInput,
  condition: string,
  find: SampleFindings,
): Promise<Outcome> {
  const model = modelOf(snapshot);
  if (!model.named(keysTable) || !model.named(recordsTable)) return missing;
  return rolledBack(client, async () => {
    const { rows } = await client.query<{ pages: number }>(
      `SELECT coalesce(sum(pg_relation_size(i.inhrelid)) / current_setting('block_size')::int, 0)::float8 AS pages
         FROM pg_inherits i WHERE i.inhparent = '${recordsTable}'::regclass`,
    );
    await becomeAdministrator(client);
    const share = Math.min(100, (100 * samplePages) / Math.max(rows[0]?.pages ?? 1, 1));
    const sample = `
      SELECT r.tenant_id, ${schema}.data_key_of(r.mapped_data ->> '$enc') AS content_key,
             ${schema}.data_key_of(r.metadata ->> '$enc') AS metadata_key,
             coalesce(r.metadata - '$search' <> '{}', false) AS metadata_readable
        FROM ${recordsTable} AS r TABLESAMPLE SYSTEM (${share}) WHERE ${condition}`;
    const { seen, findings } = await find(client, sample);
    return judge(`${counted(seen, 'record')} of a ${share.toFixed(share < 1 ? 3 : 0)} % sample`, findings);
  });
}
