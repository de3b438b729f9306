import { setFlagsFromString } from 'node:v8'; import { runInNewContext } from 'node:vm';
import { readFileSync } from 'node:fs';
import { startPostgres } from '../local/postgres/server.ts';
import { Database } from '../runtime/index.ts';
setFlagsFromString('--expose-gc'); const gc = runInNewContext('gc');
import pg from 'pg';
const s = await startPostgres({ databases: ['llama'] });
const c = new pg.Client(s.connection('superuser', { database: 'llama' })); await c.connect();
await c.query(`CREATE SCHEMA llama; CREATE FUNCTION llama.set_tenant_context(a text, b text, c uuid, d inet, e text) RETURNS void LANGUAGE sql AS $$ SELECT set_config('app.current_tenant_id', a, true) $$; CREATE ROLE app SUPERUSER LOGIN PASSWORD 'x'`);
const db = new Database({ user: 'app', password: 'x', host: 'localhost', address: '127.0.0.1', port: s.port, database: 'llama', rootCertificates: readFileSync(s.caFile, 'utf8'), pool: { max: 8 } });
const kinds: Record<string, () => Promise<unknown>> = {
  abort: () => db.tenant('a').read((tx) => tx.query('SELECT pg_sleep(1)'), { signal: AbortSignal.timeout(2) }).catch(() => 0),
  error: () => db.tenant('a').transaction((tx) => tx.query('SELECT 1/0')).catch(() => 0),
  terminate: () => db.tenant('a').read((tx) => tx.query('SELECT pg_terminate_backend(pg_backend_pid())')).catch(() => 0),
};
for (const kind of (process.argv[2] ?? 'abort,error').split(',')) {
  const run = kinds[kind]!;
  for (let part = 0; part < 20; part++) {
    await Promise.all(Array.from({ length: 8 }, async () => { for (let i = 0; i < 25; i++) await run(); }));
    await new Promise((r) => setTimeout(r, 300)); gc(); await new Promise((r) => setTimeout(r, 50)); gc();
    console.log(kind, (part + 1) * 200, process.memoryUsage().heapUsed);
  }
}
await db.close(); await c.end(); await s.stop();
