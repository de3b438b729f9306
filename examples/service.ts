/**
 * An HTTP service for two tenants: records that are encrypted for those who want it, reads on a replica, metrics.
 *
 *     npm start -- --keep                              # in one shell; it prints the URL for the application
 *     DATABASE_URL='postgresql://…' npm run example    # in another
 *
 * Variables: those of `fromEnvironment`; REPLICA_URL, a replica; WRAPPING_KEY_FILE, the key that wraps the tenants' keys, made if
 * it does not exist (tmp/example.key); PORT (8080; 0 chooses one); TOKENS, `token=tenant,token=tenant` (each tenant's name).
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { Database, fromEnvironment, isDatabaseFailure, type Tenant } from '@llama-mapper/database';
import { FieldEncryption, keyStoreFor, LocalKey } from '@llama-mapper/database/encryption';
import { processCollector, scrape } from '@llama-mapper/database/monitoring';
import { RecordError, StorageRecords, serializeRecord } from '@llama-mapper/database/records';

const { REPLICA_URL, WRAPPING_KEY_FILE = 'tmp/example.key', PORT = '8080', TOKENS } = process.env;
const tokens = new Map(
  (TOKENS ?? 'acme=acme,globex=globex').split(',').map((pair) => pair.split('=') as [string, string]),
);

const options = fromEnvironment();
const db = new Database({
  ...options,
  ...(REPLICA_URL ? { replicas: [{ url: REPLICA_URL, name: 'near' }] } : {}),
});
const store = keyStoreFor(options);
const encryption = new FieldEncryption({ store, wrapping: wrappingKey(WRAPPING_KEY_FILE) });

/** In Azure, KeyVaultWrappingKey takes the place of this key. */
function wrappingKey(file: string): LocalKey {
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  }
  return LocalKey.fromText(readFileSync(file, 'utf8'), file);
}

interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Record<string, string>;
}

async function answer(request: IncomingMessage): Promise<Reply> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://service');
  if (pathname === '/metrics') {
    const { contentType, text } = await scrape([processCollector(db)]);
    return { status: 200, body: text, headers: { 'content-type': contentType } };
  }
  const id = tokens.get(request.headers.authorization?.replace(/^Bearer /, '') ?? '');
  if (id === undefined) return { status: 401, body: { error: 'Send Authorization: Bearer <token>.' } };
  const tenant = db.tenant(id, { user: 'example', address: request.socket.remoteAddress ?? '127.0.0.1' });
  const records = new StorageRecords(tenant, { encryption, searchable: ['email'] });
  // The position of the last write, which the client got from the reply to it: it then reads its own writes on a replica too.
  const position = request.headers['x-position'];
  const read = typeof position === 'string' ? { atLeast: position } : {};
  if (pathname === '/records' && request.method === 'POST') return create(request, tenant, records);
  if (pathname === '/records') {
    const [email, after] = [searchParams.get('email'), searchParams.get('after')];
    const page = { ...read, limit: 20, ...(after === null ? {} : { after }) };
    const { rows, next } = email === null ? await records.list(page) : await records.search({ email }, page);
    return { status: 200, body: { records: rows.map(serializeRecord), next } };
  }
  const [, key] = /^\/records\/([^/]+)$/.exec(pathname) ?? [];
  const found = key === undefined ? undefined : await records.get(key, read);
  return found
    ? { status: 200, body: serializeRecord(found) }
    : { status: 404, body: { error: 'not found' } };
}

async function create(request: IncomingMessage, tenant: Tenant, records: StorageRecords): Promise<Reply> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { text = '', email } = JSON.parse(Buffer.concat(chunks).toString()) as {
    text?: string;
    email?: string;
  };
  const id = await records.insert({
    sourceDataHash: createHash('sha256').update(text).digest('hex'),
    mappedData: { characters: text.length, words: text.split(/\s+/) },
    modelVersion: 'example-1',
    detectorType: 'text',
    confidenceScore: 0.9,
    metadata: email === undefined ? {} : { email },
  });
  return { status: 201, body: { id }, headers: { 'x-position': tenant.lsn ?? '' } };
}

const server = createServer(async (request, response) => {
  const { status, body, headers } = await answer(request).catch((error: unknown): Reply => {
    if (error instanceof RecordError || error instanceof SyntaxError)
      return { status: 400, body: { error: error.message } };
    process.stderr.write(`${String(error)}\n`);
    const isTemporary = isDatabaseFailure(error) && error.retryable;
    return { status: isTemporary ? 503 : 500, body: { error: 'The request failed.' } };
  });
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
});

await db.ready();
server.listen(Number(PORT), '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  const [token] = tokens.keys();
  process.stdout.write(
    `Try: curl -H 'Authorization: Bearer ${token}' -d '{"text":"Hello world","email":"a@example.org"}' http://127.0.0.1:${port}/records\n`,
  );
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    server.closeAllConnections();
    server.close();
    encryption.close();
    await Promise.all([db.close(), store.close()]);
  });
}
