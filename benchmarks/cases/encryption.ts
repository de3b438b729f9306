/** Rates of field encryption: values in memory, and records into a local server, in clear and encrypted. */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { ensureLogins } from '../../database/principals.ts';
import { randomPassword } from '../../local/postgres/server.ts';
import { FieldEncryption, insertRecord, keyStoreOf, LocalKey } from '../../runtime/encryption/index.ts';
import { type Benchmark, median } from '../benchmark.ts';
import { migrateServer, onServer, silent, versionOf } from '../subject.ts';

const records = 3000;
const values = 30_000;
const tenants = ['clear', 'sealed'] as const;

export const benchmark: Benchmark = {
  name: 'encryption',
  description:
    'values of 1 KB per second in memory; records of 1 KB per second from one client, clear and encrypted',
  rounds: 1,
  run: ({ rounds, log }) =>
    onServer({ databases: ['llama_mapper'] }, async (server) => {
      const login = { user: 'bench_app', password: randomPassword() };
      await migrateServer(server, async (connection) => {
        await ensureLogins(
          connection,
          [{ name: login.user, objectId: '-', type: 'ServicePrincipal', role: 'application_role' }],
          { reporter: silent, passwords: new Map([[login.user, login.password]]) },
        );
        await connection.client.query(
          `SET ROLE admin_role;
           INSERT INTO llama.tenant_configs (tenant_id, encryption_enabled) VALUES ('clear', false), ('sealed', true);
           RESET ROLE`,
        );
      });
      const pool = new pg.Pool({ ...server.connection(login), max: 2 });
      const encryption = new FieldEncryption({
        store: keyStoreOf(pool),
        wrapping: new LocalKey([randomBytes(32)]),
      });
      try {
        const inMemory = await valueRates(encryption);
        const rates = { clear: [] as number[], sealed: [] as number[] };
        // Warm up both ways first.
        for (const tenant of tenants) await insert(encryption, pool, tenant, 200);
        for (let round = 1; round <= rounds; round += 1) {
          for (const tenant of tenants) rates[tenant].push(await insert(encryption, pool, tenant, records));
          log(
            `round ${round}: ${rates.clear.at(-1)?.toFixed(0)}/s clear, ${rates.sealed.at(-1)?.toFixed(0)}/s encrypted`,
          );
        }
        const [clear, sealed] = [median(rates.clear), median(rates.sealed)];
        return {
          serverVersion: await versionOf(server),
          figures: {
            encrypted: { value: inMemory.encrypted, unit: 'values/s' },
            decrypted: { value: inMemory.decrypted, unit: 'values/s' },
            'blind indexes': { value: inMemory.indexed, unit: 'indexes/s' },
            'clear records': { value: clear, unit: 'records/s' },
            'encrypted records': { value: sealed, unit: 'records/s' },
            ratio: { value: sealed / clear, unit: '' },
          },
        };
      } finally {
        encryption.close();
        await pool.end();
      }
    }),
};

async function valueRates(encryption: FieldEncryption) {
  const place = { tenant: 'bench', table: 'storage_records', column: 'mapped_data', record: '1' };
  const plaintext = randomBytes(1024);
  let value = await encryption.encrypt(place, plaintext);
  const rate = async (work: () => Promise<unknown>) => {
    const start = performance.now();
    for (let n = 0; n < values; n += 1) await work();
    return (values / (performance.now() - start)) * 1000;
  };
  return {
    encrypted: await rate(async () => {
      value = await encryption.encrypt(place, plaintext);
    }),
    decrypted: await rate(() => encryption.decrypt(place, value)),
    indexed: await rate(() =>
      encryption.blindIndex({ tenant: 'bench', table: 'notes', column: 'body' }, 'ann@example.org'),
    ),
  };
}

/** @returns records per second */
async function insert(
  encryption: FieldEncryption,
  pool: pg.Pool,
  tenant: string,
  count: number,
): Promise<number> {
  const client = await pool.connect();
  const mappedData = { text: randomBytes(512).toString('hex') };
  const start = performance.now();
  for (let n = 0; n < count; n += 1) {
    await client.query('BEGIN');
    await client.query('SELECT llama.set_tenant_context($1)', [tenant]);
    await insertRecord(client, encryption, {
      ...{ tenantId: tenant, mappedData, metadata: { n }, sourceDataHash: 'ab'.repeat(32) },
      ...{ modelVersion: 'm', detectorType: 'd' },
    });
    await client.query('COMMIT');
  }
  client.release();
  return (count / (performance.now() - start)) * 1000;
}
