/**
 * Sends keys, plaintexts and tokens through everything that handles them, and then searches for them. The server logs and
 * records as much as an operator could switch on and the environments allow. `npm run prove -- canaries` runs it on 16, 17
 * and 18.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { withConnection } from '../../../database/connection.ts';
import { ensureLogins, scramVerifier } from '../../../database/principals.ts';
import { resolveTarget } from '../../../database/target.ts';
import { type LocalPostgres, startPostgres } from '../../../local/postgres/server.ts';
import {
  FieldEncryption,
  insertRecord,
  keyStoreOf,
  LocalKey,
  normalisation,
  openRecord,
  type StoredRecord,
  type WrappingKey,
} from '../../../runtime/encryption/index.ts';
import { migrationsCopy, run } from '../../commands/run.ts';
import { Canaries, type Sighting } from './canaries.ts';
import { notesMigration, withTenant } from './fixture.ts';

const canaries = new Canaries();
/** Secrets that must be found, as proof that the search covers every place. */
const controls = new Canaries();
const secret = (name: string, bytes = 24) => {
  const value = `canary "${name}" ${randomBytes(bytes).toString('base64')}`;
  canaries.plant(name, value);
  return value;
};
const output: string[] = [];
let server: LocalPostgres;
let folder: string;
let pool: pg.Pool;
let token: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'llama-db-canaries-'));
  server = await startPostgres({
    databases: ['llama_mapper'],
    settings: {
      log_min_duration_statement: '0',
      log_duration: 'on',
      log_statement: 'ddl',
      log_error_verbosity: 'verbose',
      log_min_messages: 'debug2',
      log_min_error_statement: 'debug2',
      log_lock_waits: 'on',
      log_temp_files: '0',
      log_replication_commands: 'on',
      'pg_stat_statements.track': 'all',
      'pg_stat_statements.track_utility': 'on',
      // As environments/parameters.ts sets them, and verification demands.
      log_parameter_max_length: '0',
      log_parameter_max_length_on_error: '0',
    },
  });
  // A substitute for a token of Entra ID: three parts, as long as in a real one.
  token = ['header', 'payload', 'signature'].map(() => randomBytes(300).toString('base64url')).join('.');
  for (const [part, text] of token.split('.').entries()) canaries.plant(`token, part ${part}`, text);
  const superuser = new pg.Client(server.connection('superuser'));
  await superuser.connect();
  await superuser.query(`ALTER ROLE ${server.administrator} PASSWORD '${scramVerifier(token)}'`);
  await superuser.end();
});
afterAll(async () => {
  await pool?.end();
  await server.stop();
  rmSync(folder, { recursive: true });
});

const url = () => {
  const location = new URL(server.url('migrator'));
  location.password = '';
  return location.href;
};

/** Runs a command with the token as password, and keeps its output. */
async function command(...args: string[]): Promise<number | null> {
  const { code, stdout, stderr } = await run([...args, '--url', url(), '--debug'], { PGPASSWORD: token });
  output.push(stdout, stderr);
  return code;
}

/** Everything that printing an error can show, causes included. */
function printed(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const fields = Object.getOwnPropertyNames(error).map((name) => {
    const value: unknown = Reflect.get(error, name);
    return value instanceof Error ? printed(value) : `${name}: ${JSON.stringify(value)}`;
  });
  return fields.join('\n');
}

async function failing(work: Promise<unknown>): Promise<void> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error, 'it must fail').toBeInstanceOf(Error);
  output.push(printed(error));
}

it('records no key, plaintext or token, and the search would find one', async () => {
  await migrations();
  const login = await logins();
  pool = new pg.Pool({ ...server.connection(login), max: 4 });
  // The test inspects the library's errors below; errors of the pool are the same.
  pool.on('error', () => undefined);
  await fields();
  await breakGlass();
  await rotation();
  await positiveControls();
  const found = await everywhere(canaries);
  expect(found).toEqual([]);
  expect(canaries.size).toBeGreaterThan(20);
  const seen = await everywhere(controls);
  for (const place of ['server log', 'pg_stat_statements', 'audit trail', 'ledger', 'output', 'files'])
    expect(
      seen.map((one) => one.place),
      `the control in the ${place}`,
    ).toContain(place);
}, 240_000);

/** Every run logs in with the token. The log quotes a migration that fails, but never the token. */
async function migrations(): Promise<void> {
  expect(await command('migrate', '--json'), output.join('\n')).toBe(0);
  const copy = migrationsCopy();
  try {
    copy.write('9000_notes.sql', notesMigration);
    copy.write('9001_broken.sql', '-- Up Migration\n\nSELECT broken;\n\n-- Down Migration\n\nSELECT 1;\n');
    expect(await command('migrate', '--json', '--migrations', copy.directory)).toBe(1);
  } finally {
    copy.drop();
  }
  const wrong = `${token.slice(0, -20)}${randomBytes(15).toString('base64url')}`;
  const refused = await run(['status', '--url', url(), '--debug', '--json'], { PGPASSWORD: wrong });
  output.push(refused.stdout, refused.stderr);
  expect(refused.code).toBe(2);
}

async function logins(): Promise<{ user: string; password: string }> {
  const login = { user: 'canary_app', password: secret('role password', 12) };
  const target = await resolveTarget({ url: url() }, { PGPASSWORD: token });
  const reporter = { line: (text: string) => output.push(text), warn: (text: string) => output.push(text) };
  await withConnection(target, { reporter }, (connection) =>
    ensureLogins(
      connection,
      [{ name: login.user, objectId: '-', type: 'ServicePrincipal', role: 'application_role' }],
      { reporter, passwords: new Map([[login.user, login.password]]) },
    ),
  );
  return login;
}

/** Plants every data key before it is wrapped. */
function overheard(wrapping: WrappingKey): WrappingKey {
  let keys = 0;
  return {
    id: wrapping.id,
    algorithm: wrapping.algorithm,
    newest: (fresh) => wrapping.newest(fresh),
    unwrap: (wrapped) => wrapping.unwrap(wrapped),
    wrap: (plain) => {
      keys += 1;
      canaries.plant(`data key ${keys}`, Buffer.from(plain.subarray(1, 33)));
      return wrapping.wrap(plain);
    },
  };
}

const keyFile = () => join(folder, 'key');

const within = <Result>(tenant: string, work: (client: pg.PoolClient) => Promise<Result>) =>
  withTenant(pool, tenant, work);

async function fields(): Promise<void> {
  const first = randomBytes(32);
  canaries.plant('wrapping key', first);
  writeFileSync(keyFile(), `${first.toString('base64')}\n`, { mode: 0o600 });
  const encryption = new FieldEncryption({
    store: keyStoreOf(pool),
    wrapping: overheard(LocalKey.fromFile(keyFile())),
  });
  const sourceDataHash = createHash('sha256').update(secret('source')).digest('hex');
  canaries.plant('plain hash of the source', sourceDataHash);
  const record = {
    tenantId: 'canaries',
    mappedData: { said: secret('mapped data'), list: [secret('in a list')] },
    metadata: { note: secret('metadata') },
    search: { email: secret('search value') },
    index: { normalise: normalisation.caseless },
    sourceDataHash,
    modelVersion: 'm',
    detectorType: 'd',
  };
  canaries.plant('search value, normalised', normalisation.caseless(record.search.email));
  const id = await within('canaries', (client) => insertRecord(client, encryption, record));
  const { rows } = await within('canaries', (client) =>
    client.query<StoredRecord>('SELECT tenant_id, id, mapped_data, metadata FROM llama.storage_records'),
  );
  const [row] = rows;
  expect(row && (await openRecord(encryption, row)).mappedData).toEqual(record.mappedData);
  // These statements fail after the record was encrypted: duplicate key, check, type, and a value too long.
  await failing(
    within('canaries', (client) => insertRecord(client, encryption, { ...record, id: 'no uuid' })),
  );
  await failing(
    within('canaries', (client) => insertRecord(client, encryption, record, { confidenceScore: 7 })),
  );
  await failing(
    within('canaries', (client) =>
      insertRecord(client, encryption, { ...record, modelVersion: 'm'.repeat(101) }),
    ),
  );
  await failing(within('other', (client) => insertRecord(client, encryption, record)));
  await recordsInClear(encryption);
  // The following errors come from the library.
  const place = { tenant: 'canaries', table: 'notes', column: 'body', record: '1' };
  const value = await encryption.encrypt(place, secret('note'));
  await failing(encryption.decrypt({ ...place, record: '2' }, value));
  await failing(encryption.decrypt(place, secret('taken for a ciphertext')));
  await failing(encryption.decryptText(place, `${value.slice(0, -8)}AAAAAAAA`));
  const forged = { ...row, id, tenant_id: 'canaries', mapped_data: { $enc: value } };
  await failing(openRecord(encryption, forged as StoredRecord));
  await encryption.blindIndex({ tenant: 'canaries', table: 'notes', column: 'body' }, secret('indexed'));
  encryption.close();
}

/** Records that the table refuses must not reach the server, because its message would quote the JSON or the row. */
async function recordsInClear(encryption: FieldEncryption): Promise<void> {
  const client = new pg.Client({
    ...server.connection('migrator'),
    password: token,
    database: 'llama_mapper',
  });
  await client.connect();
  await client.query(
    `SET ROLE admin_role; INSERT INTO llama.tenant_configs (tenant_id, encryption_enabled) VALUES ('in-clear', false)`,
  );
  await client.end();
  const record = {
    tenantId: 'in-clear',
    sourceDataHash: 'ab'.repeat(32),
    modelVersion: 'm',
    detectorType: 'd',
  };
  // Short enough for the log, which quotes 50 characters of JSON and 64 of a column.
  const said = (name: string) => {
    const text = randomBytes(12).toString('hex');
    canaries.plant(`in clear, ${name}`, text);
    return { said: text };
  };
  const wrong: readonly [object, object?][] = [
    [{ mappedData: { ...said('NUL'), nul: 'a\0b' } }],
    [{ mappedData: { ...said('NUL in a key'), 'a\0b': 1 } }],
    [{ mappedData: [said('half a pair'), '\ud800'] }],
    [{ mappedData: 1, metadata: { ...said('NUL in metadata'), nul: ['\0'] } }],
    [{ mappedData: 1, metadata: [said('metadata that is a list')] }],
    [{ mappedData: said('score') }, { confidenceScore: 7 }],
    [{ mappedData: said('no model'), modelVersion: undefined }],
    [{ mappedData: undefined, metadata: said('no content') }],
    [{ mappedData: said('no tenant'), tenantId: '' }],
  ];
  for (const [change, others] of wrong) {
    const bad = { ...record, ...change } as Parameters<typeof insertRecord>[2];
    await failing(within('in-clear', (one) => insertRecord(one, encryption, bad, others)));
  }
}

async function breakGlass(): Promise<void> {
  const client = new pg.Client({
    ...server.connection('migrator'),
    password: token,
    database: 'llama_mapper',
  });
  await client.connect();
  const key = randomBytes(32);
  canaries.plant('break-glass key', key);
  const ring = JSON.stringify({ 'canary.2026': key.toString('base64') });
  const plaintext = secret('break-glass plaintext');
  const call = async (keys: string, sql: string, values: unknown[]) => {
    await client.query('BEGIN; SET LOCAL ROLE admin_role');
    try {
      await client.query(
        "SELECT set_config('app.encryption_keys', $1, true), set_config('app.encryption_key_id', 'canary.2026', true)",
        [keys],
      );
      return (await client.query<{ value: string }>(sql, values)).rows[0]?.value ?? '';
    } finally {
      await client.query('ROLLBACK');
    }
  };
  const encrypt = 'SELECT llama.encrypt_sensitive_data($1, $2) AS value';
  const decrypt = 'SELECT llama.decrypt_sensitive_data($1, $2) AS value';
  try {
    const sealed = await call(ring, encrypt, [plaintext, null]);
    expect(await call(ring, decrypt, [sealed, null])).toBe(plaintext);
    await failing(call('', encrypt, [plaintext, null]));
    await failing(call(`${ring},`, encrypt, [plaintext, null]));
    await failing(
      call(JSON.stringify({ 'canary.2026': `${key.toString('base64')}=` }), encrypt, [plaintext, null]),
    );
    // The original design passed the key instead of its name.
    await failing(call(ring, encrypt, [plaintext, key.toString('hex')]));
    await failing(call(ring, decrypt, [sealed, key.toString('base64')]));
    await failing(call(ring, encrypt, [plaintext, 'missing']));
    await failing(call(ring, decrypt, [plaintext, null]));
    await failing(call(ring, decrypt, [`${sealed.slice(0, 60)}AAAA${sealed.slice(64)}`, null]));
    const other = randomBytes(32);
    canaries.plant('another break-glass key', other);
    await failing(call(JSON.stringify({ 'canary.2026': other.toString('base64') }), decrypt, [sealed, null]));
    // The statement fails after the function ran.
    await failing(call(ring, 'SELECT llama.encrypt_sensitive_data($1, $2)::int AS value', [plaintext, null]));
  } finally {
    await client.end();
  }
}

async function rotation(): Promise<void> {
  const second = randomBytes(32);
  canaries.plant('second wrapping key', second);
  writeFileSync(keyFile(), `${readFileSync(keyFile(), 'utf8')}${second.toString('base64')}\n`, {
    mode: 0o600,
  });
  const wrapping = ['--wrapping-key', `local:${keyFile()}`, '--json'];
  expect(await command('keys', 'rotate', ...wrapping, '--all', '--grace', '0')).toBe(0);
  expect(await command('keys', 'rewrap', ...wrapping)).toBe(0);
  expect(await command('keys', 'status', ...wrapping)).toBe(0);
  // A file with a malformed key.
  const damaged = join(folder, 'damaged');
  writeFileSync(damaged, `${second.toString('base64')}?\n`, { mode: 0o600 });
  expect(await command('keys', 'rewrap', '--wrapping-key', `local:${damaged}`)).toBe(2);
  expect(await command('keys', 'erase', '--tenant', 'canaries', '--confirm', 'canaries', '--json')).toBe(0);
  expect(await command('verify', '--group', 'encryption', '--json')).not.toBe(2);
}

/** Writes one secret to each place, as careless code would. */
async function positiveControls(): Promise<void> {
  const control = (name: string) => {
    const value = `control ${name} ${randomBytes(18).toString('base64')}`;
    controls.plant(name, value);
    return value;
  };
  const client = new pg.Client({
    ...server.connection('migrator'),
    password: token,
    database: 'llama_mapper',
  });
  await client.connect();
  try {
    await client.query(`DO $$ BEGIN PERFORM '${control('statement')}'; END $$`);
    // The log quotes the row that violates a check.
    await within('control', (one) =>
      one.query(
        `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, confidence_score)
         VALUES ('control', 'h', $1, 'm', 'd', 7)`,
        [JSON.stringify({ said: control('failing row') })],
      ),
    ).catch(() => undefined);
    const clear = Buffer.from(control('record in clear')).toString('base64');
    await within('control', (one) =>
      one.query(
        `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
         VALUES ('control', 'h', $1, 'm', 'd')`,
        [JSON.stringify({ said: clear })],
      ),
    );
    await client.query('SET ROLE llama_owner');
    await client.query(
      'UPDATE llama.schema_migrations SET description = $1 WHERE version = (SELECT max(version) FROM llama.schema_migrations)',
      [Buffer.from(control('ledger')).toString('hex')],
    );
    await client.query('RESET ROLE');
  } finally {
    await client.end();
  }
  output.push(JSON.stringify({ said: control('output') }));
}

async function everywhere(wanted: Canaries): Promise<Sighting[]> {
  const superuser = new pg.Client({ ...server.connection('superuser'), database: 'llama_mapper' });
  await superuser.connect();
  const dump = async (sql: string) => {
    const { rows } = await superuser.query<{ text: string }>(sql);
    return rows.map(({ text }) => text).join('\n');
  };
  try {
    await superuser.query('CHECKPOINT');
    return [
      ...wanted.in('server log', server.log()),
      ...wanted.in(
        'pg_stat_statements',
        await dump('SELECT query AS text FROM extensions.pg_stat_statements'),
      ),
      ...wanted.in('audit trail', await dump('SELECT t::text AS text FROM llama.audit_trail t')),
      ...wanted.in('ledger', await dump('SELECT t::text AS text FROM llama.schema_migrations t')),
      ...wanted.in('ledger', await dump('SELECT t::text AS text FROM llama.pgmigrations t')),
      ...wanted.in('data keys', await dump('SELECT t::text AS text FROM llama.data_keys t')),
      ...wanted.in('settings', await dump('SELECT name || setting AS text FROM pg_settings')),
      ...wanted.in('output', output.join('\n')),
      ...files(wanted),
    ];
  } finally {
    await superuser.end();
  }
}

/** The content of a copy of the disk: tables, indexes, write-ahead log, statistics. */
function files(wanted: Canaries): Sighting[] {
  const entries = readdirSync(server.dataDirectory, { recursive: true, withFileTypes: true });
  return entries
    .filter(
      // The template databases contain no data of the test.
      (entry) =>
        entry.isFile() &&
        /\/(base\/\d{3,}|global|pg_wal|pg_stat\w*)(\/|$)/.test(entry.parentPath) &&
        statSync(join(entry.parentPath, entry.name)).size > 0,
    )
    .flatMap((entry) =>
      wanted.in('files', readFileSync(join(entry.parentPath, entry.name)).toString('latin1')),
    );
}
