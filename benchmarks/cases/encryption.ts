/**
 * What encryption costs: values a second in memory, and records a second into a local server, in clear and encrypted. Run
 * it with `node --import tsx benchmarks/cases/encryption.ts [records]`.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { withConnection } from '../../database/connection.ts';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import { withLock } from '../../database/migrator/lock.ts';
import { migrate } from '../../database/migrator/migrate.ts';
import { ensureLogins } from '../../database/principals.ts';
import { resolveTarget } from '../../database/target.ts';
import { randomPassword, startPostgres } from '../../local/postgres/server.ts';
import { FieldEncryption, insertRecord, keyStoreOf, LocalKey } from '../../runtime/encryption/index.ts';

const records = Number(process.argv[2] ?? 3000);
const reporter = { line: () => undefined, warn: () => undefined };
const server = await startPostgres({ databases: ['llama_mapper'] });
try {
  const login = { user: 'bench_app', password: randomPassword() };
  const target = await resolveTarget({ url: server.url('migrator') }, {});
  await withConnection(target, { reporter }, (connection) =>
    withLock(connection, { reporter }, async () => {
      await migrate(connection, { reporter, migrationsDirectory });
      await ensureLogins(
        connection,
        [{ name: login.user, objectId: '-', type: 'ServicePrincipal', role: 'application_role' }],
        { reporter, passwords: new Map([[login.user, login.password]]) },
      );
      await connection.client.query(
        `SET ROLE admin_role;
         INSERT INTO llama.tenant_configs (tenant_id, encryption_enabled) VALUES ('clear', false), ('sealed', true);
         RESET ROLE`,
      );
    }),
  );
  const pool = new pg.Pool({ ...server.connection(login), max: 2 });
  const encryption = new FieldEncryption({
    store: keyStoreOf(pool),
    wrapping: new LocalKey([randomBytes(32)]),
  });
  await values(encryption);
  const rates: Record<string, number> = {};
  // One round of each before the clock runs.
  for (const tenant of ['clear', 'sealed']) await insert(encryption, pool, tenant, 200);
  for (const tenant of ['clear', 'sealed']) rates[tenant] = await insert(encryption, pool, tenant, records);
  const { clear = 0, sealed = 0 } = rates;
  process.stdout.write(
    `records of 1 KB, one client: ${clear.toFixed(0)}/s in clear, ${sealed.toFixed(0)}/s encrypted (${(sealed / clear).toFixed(2)} of it)\n`,
  );
  encryption.close();
  await pool.end();
} finally {
  await server.stop();
}

async function values(encryption: FieldEncryption): Promise<void> {
  const place = { tenant: 'bench', table: 'storage_records', column: 'mapped_data', record: '1' };
  const plaintext = randomBytes(1024);
  let value = await encryption.encrypt(place, plaintext);
  const rate = async (work: () => Promise<unknown>, count = 30_000) => {
    const start = performance.now();
    for (let n = 0; n < count; n += 1) await work();
    return ((count / (performance.now() - start)) * 1000).toFixed(0);
  };
  const encrypted = await rate(async () => {
    value = await encryption.encrypt(place, plaintext);
  });
  const decrypted = await rate(() => encryption.decrypt(place, value));
  const indexed = await rate(() =>
    encryption.blindIndex({ tenant: 'bench', table: 'notes', column: 'body' }, 'ann@example.org'),
  );
  process.stdout.write(
    `values of 1 KB: ${encrypted}/s encrypted, ${decrypted}/s decrypted; ${indexed} blind indexes/s\n`,
  );
}

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
