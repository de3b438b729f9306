/**
 * The cost of the audit trail for statements over many rows: 20,000 records inserted, updated and deleted in one statement,
 * without triggers, with the statement triggers, and with row triggers as a reference. A further reference shows how fast any
 * trail could be that keeps the rows: statement triggers that only copy each row as JSON into a table without indexes,
 * partitions and policies. The kinds alternate, so that other load on the machine affects all alike.
 */
import pg from 'pg';
import { type Benchmark, type Figure, median } from '../benchmark.ts';
import { durableServer, migrateServer, onServer, setAuditTriggers, versionOf } from '../subject.ts';

const records = 20_000;
const kinds = ['unaudited', 'by statement', 'by row', 'copy alone'] as const;
type Kind = (typeof kinds)[number];

const statements = {
  insert: `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, confidence_score, "timestamp")
    SELECT 'tenant', repeat('0', 64), '{"category": "PII.Contact.Email", "confidence": 0.91, "span": [17, 42], "policy": "mask", "source": "detector"}',
           'mapper-2.1', 'pii', 0.9, date_trunc('day', now()) FROM generate_series(1, ${records})`,
  update: "UPDATE llama.storage_records SET model_version = 'mapper-2.2'",
  delete: 'DELETE FROM llama.storage_records',
} as const;
type Operation = keyof typeof statements;
const operations = Object.keys(statements) as readonly Operation[];

export const benchmark: Benchmark = {
  name: 'batches',
  description: `share of the throughput of ${records} records per statement that remains with the audit trail`,
  rounds: 5,
  run: ({ rounds, log }) =>
    onServer(durableServer, async (server) => {
      await migrateServer(server);
      const superuser = new pg.Client(server.connection('superuser', { database: 'bench' }));
      await superuser.connect();
      try {
        await superuser.query("INSERT INTO llama.tenant_configs (tenant_id) VALUES ('tenant')");
        const seconds = new Map<string, number[]>();
        for (let round = 0; round <= rounds; round += 1) {
          for (const kind of round % 2 ? kinds : [...kinds].reverse()) {
            const measured = await measure(superuser, kind);
            // Round 0 only warms up.
            if (round === 0) continue;
            for (const operation of operations) {
              const key = `${operation} ${kind}`;
              seconds.set(key, [...(seconds.get(key) ?? []), measured[operation]]);
            }
          }
          if (round > 0) log(`round ${round} of ${rounds}`);
        }
        const figures: Record<string, Figure> = {};
        for (const operation of operations) {
          const of = (kind: Kind) => median(seconds.get(`${operation} ${kind}`) ?? []);
          log(`${operation}: ${kinds.map((kind) => `${kind} ${of(kind).toFixed(2)} s`).join(', ')}`);
          figures[`${operation} ratio`] = { value: of('unaudited') / of('by statement'), unit: '' };
          figures[`${operation} ratio by row`] = { value: of('unaudited') / of('by row'), unit: '' };
          figures[`${operation} ratio of a copy alone`] = {
            value: of('unaudited') / of('copy alone'),
            unit: '',
          };
        }
        return { serverVersion: await versionOf(server), figures };
      } finally {
        await superuser.end();
      }
    }),
};

const copying = {
  on: `CREATE TABLE copies (content jsonb);
    CREATE FUNCTION copy_new() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO copies SELECT to_jsonb(n) FROM new_rows AS n; RETURN NULL; END';
    CREATE FUNCTION copy_old() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO copies SELECT to_jsonb(o) FROM old_rows AS o; RETURN NULL; END';
    CREATE TRIGGER copy_insert AFTER INSERT ON llama.storage_records REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION copy_new();
    CREATE TRIGGER copy_update AFTER UPDATE ON llama.storage_records REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION copy_new();
    CREATE TRIGGER copy_delete AFTER DELETE ON llama.storage_records REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION copy_old()`,
  off: 'DROP FUNCTION copy_new, copy_old CASCADE; DROP TABLE copies',
} as const;

/** @throws Error if the trail has another number of rows than the three statements changed */
async function measure(superuser: pg.Client, kind: Kind): Promise<Record<Operation, number>> {
  await setAuditTriggers(superuser, kind === 'by statement' ? 'ENABLE' : 'DISABLE');
  if (kind === 'by row')
    await superuser.query(`CREATE TRIGGER reference AFTER INSERT OR UPDATE OR DELETE ON llama.storage_records
      FOR EACH ROW EXECUTE FUNCTION llama.write_audit('storage_records', 'id', 'timestamp')`);
  if (kind === 'copy alone') await superuser.query(copying.on);
  const before = await auditRows(superuser);
  const seconds: Record<Operation, number> = { insert: 0, update: 0, delete: 0 };
  for (const operation of operations) {
    await superuser.query('CHECKPOINT');
    const start = performance.now();
    await superuser.query(statements[operation]);
    seconds[operation] = (performance.now() - start) / 1000;
  }
  const added = (await auditRows(superuser)) - before;
  const expected = kind === 'unaudited' || kind === 'copy alone' ? 0 : records * operations.length;
  if (added !== expected) throw new Error(`${expected} changes left ${added} rows in the trail`);
  if (kind === 'by row') await superuser.query('DROP TRIGGER reference ON llama.storage_records');
  if (kind === 'copy alone') await superuser.query(copying.off);
  await superuser.query('VACUUM llama.storage_records');
  return seconds;
}

async function auditRows(superuser: pg.Client): Promise<number> {
  const { rows } = await superuser.query<{ rows: number }>(
    `SELECT count(*)::int AS rows FROM llama.audit_trail WHERE table_name = 'storage_records'`,
  );
  return rows[0]?.rows ?? 0;
}
