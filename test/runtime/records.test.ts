// Duration: 12 s
/** Storage records, observations and configurations of tenants, on a real server. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FieldEncryption, keyStoreOf, LocalKey } from '../../runtime/encryption/index.ts';
import { Database } from '../../runtime/index.ts';
import {
  configureTenant,
  type JsonValue,
  type NewRecord,
  Observations,
  parseRecord,
  RecordError,
  StorageRecords,
  serializeRecord,
  Timestamp,
  tenantConfiguration,
} from '../../runtime/records/index.ts';
import { decode, encode } from '../../runtime/records/json.ts';
import { type ApplicationDatabase, applicationDatabase } from './fixture.ts';

let testbed: ApplicationDatabase;
let db: Database;
let superuser: pg.Client;
let keys: pg.Pool;
let encryption: FieldEncryption;

beforeAll(async () => {
  testbed = await applicationDatabase();
  db = new Database(testbed.options);
  superuser = await testbed.connect('superuser');
  await superuser.query("SET TimeZone = 'UTC'");
  keys = new pg.Pool({ ...testbed.connection(testbed.login), max: 2 });
  encryption = new FieldEncryption({ store: keyStoreOf(keys), wrapping: new LocalKey([randomBytes(32)]) });
  await superuser.query(
    `INSERT INTO llama.tenant_configs (tenant_id, encryption_enabled)
     VALUES ('open', false), ('sealed', true), ('configured', false)`,
  );
});

afterAll(async () => {
  encryption?.close();
  await keys?.end();
  await db?.close();
  await testbed?.drop();
});

const hash = (text: string) => createHash('sha256').update(text).digest('hex');
const record = (more: Partial<NewRecord> = {}): NewRecord => ({
  sourceDataHash: hash('source'),
  mappedData: { category: 'pii', count: 10n ** 30n },
  modelVersion: 'mapper-1',
  detectorType: 'email',
  ...more,
});
const clear = (tenant: string) => new StorageRecords(db.tenant(tenant), { encryption: 'off' });
const sealed = (tenant: string) =>
  new StorageRecords(db.tenant(tenant), { encryption, searchable: ['email'] });

describe('serialisation', () => {
  const text = fc.string({ unit: 'binary' }).filter((one) => !one.includes('\0'));
  const key = fc.oneof(
    text,
    fc.constantFrom('$bigint', '$date', '$enc', '$search', '$$x', '__proto__', 'constructor'),
  );
  const time = fc
    .tuple(
      fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
      fc.integer({ min: 0, max: 999 }),
    )
    .map(([date, more]) => new Timestamp(date.getTime(), more));
  const { tree } = fc.letrec<{ tree: JsonValue }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      fc.constant(null),
      fc.boolean(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((one) => (one === 0 ? 0 : one)),
      text,
      fc.bigInt(),
      time.filter(({ microseconds }) => microseconds > 0),
      time.map((one) => new Date(one.getTime())),
      fc.array(tie('tree')),
      fc.dictionary(key, tie('tree'), { noNullPrototype: true }),
    ),
  }));
  const object = fc.dictionary(key, tree, { noNullPrototype: true });

  it('of JSON columns loses nothing', () => {
    fc.assert(
      fc.property(tree, (value) => {
        const problems: never[] = [];
        const stored = JSON.stringify(encode(value, 'value', problems));
        expect(problems).toEqual([]);
        expect(isDeepStrictEqual(decode(JSON.parse(stored)), value)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('of JSON columns loses nothing in the server either', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(object, { maxLength: 20 }), async (values) => {
        const stored = values.map((value) => JSON.stringify(encode(value, 'value', [])));
        const { rows } = await superuser.query('SELECT v::jsonb AS v FROM unnest($1::text[]) AS u (v)', [
          stored,
        ]);
        expect(
          isDeepStrictEqual(
            rows.map(({ v }) => decode(v)),
            values,
          ),
        ).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it.each(['open', 'sealed'])(
    'of records of the tenant %s loses nothing between insertion and reading',
    async (tenant) => {
      const now = Date.now();
      const given = fc.record({
        mappedData: tree,
        metadata: object,
        confidenceScore: fc.integer({ min: 0, max: 10_000 }).map((one) => (one / 10_000).toFixed(4)),
        timestamp: fc.integer({ min: 0, max: 999 }).map((more) => new Timestamp(now, more)),
      });
      const records = sealed(tenant);
      await fc.assert(
        fc.asyncProperty(fc.array(given, { minLength: 1, maxLength: 10 }), async (all) => {
          // A searchable field would have to be a text.
          const wanted = all.map(({ metadata: { email: _, ...metadata }, ...one }) => ({ ...one, metadata }));
          const ids = await records.insertAll(wanted.map((one) => record(one)));
          for (const [place, id] of ids.entries()) {
            const { mappedData, metadata, confidenceScore, timestamp } = (await records.get(id)) ?? {};
            expect(
              isDeepStrictEqual({ mappedData, metadata, confidenceScore, timestamp }, { ...wanted[place] }),
            ).toBe(true);
          }
        }),
        { numRuns: 8 },
      );
    },
    60_000,
  );

  it('of a whole record is the inverse of parsing', () => {
    const nullable = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: null });
    const short = (longest: number) => text.filter((one) => one !== '' && [...one].length <= longest);
    const whole = fc.record({
      id: fc.uuid(),
      tenantId: short(100),
      sourceDataHash: fc
        .uint8Array({ minLength: 32, maxLength: 32 })
        .map((one) => Buffer.from(one).toString('hex')),
      mappedData: tree,
      modelVersion: short(100),
      detectorType: short(50),
      confidenceScore: nullable(fc.integer({ min: 0, max: 10_000 }).map((one) => (one / 10_000).toFixed(4))),
      timestamp: time,
      metadata: object,
      s3Key: nullable(short(500)),
      encrypted: fc.boolean(),
      correlationId: nullable(fc.uuid()),
      createdAt: time,
      updatedAt: time,
      azureRegion: nullable(short(50)),
      backupStatus: fc.constantFrom('pending' as const, 'completed' as const, 'failed' as const),
    });
    fc.assert(
      fc.property(whole, (one) => {
        const parsed = parseRecord(JSON.parse(JSON.stringify(serializeRecord(one))));
        expect(isDeepStrictEqual(parsed, { ...one })).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ['2026-02-30T00:00:00Z'],
    ['2026-01-31T12:00:00'],
    ['2026-13-01T00:00:00Z'],
    ['2026-01-31T12:00:00.1234567Z'],
    ['infinity'],
    ['0000-01-01T00:00:00Z'],
  ])('refuses %s as a time', (text) => {
    expect(() => Timestamp.of(text)).toThrow(expect.objectContaining({ code: 'record/not-a-time' }));
  });
});

describe('validation', () => {
  const problemsOf = async (more: object) => {
    const error = await clear('open')
      .insert(record(more))
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RecordError);
    return (error as RecordError).problems.map(({ field }) => field);
  };
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;

  it.each([
    ['an id that is not a uuid', { id: 'x' }, ['id']],
    ['a short hash', { sourceDataHash: 'abc' }, ['sourceDataHash']],
    ['no model version', { modelVersion: '' }, ['modelVersion']],
    ['a long detector type', { detectorType: 'd'.repeat(51) }, ['detectorType']],
    ['a score above 1', { confidenceScore: 1.01 }, ['confidenceScore']],
    ['a negative score', { confidenceScore: '-0.1' }, ['confidenceScore']],
    ['a decimal that the column would round', { confidenceScore: '0.12345' }, ['confidenceScore']],
    ['NaN', { confidenceScore: Number.NaN }, ['confidenceScore']],
    ['an impossible time', { timestamp: new Date(Number.NaN) }, ['timestamp']],
    ['metadata that is a list', { metadata: [] }, ['metadata']],
    ['metadata that is a date', { metadata: new Date() }, ['metadata']],
    ['content without JSON form', { mappedData: { a: [() => 1] } }, ['mappedData.a[0]']],
    ['content with a Map', { mappedData: new Map() }, ['mappedData']],
    ['no content', { mappedData: undefined }, ['mappedData']],
    ['an infinite number', { mappedData: { a: Number.POSITIVE_INFINITY } }, ['mappedData.a']],
    ['a NUL character', { mappedData: { a: 'x\0' } }, ['mappedData.a']],
    ['half a surrogate pair', { metadata: { a: '\ud800' } }, ['metadata.a']],
    [
      'several at once',
      { id: 1, correlationId: 'c', azureRegion: '' },
      ['id', 'correlationId', 'azureRegion'],
    ],
  ])('refuses %s before the server sees it', async (_, more, fields) => {
    expect(await problemsOf(more)).toEqual(fields);
  });

  it('refuses a circle', async () => {
    expect(await problemsOf({ mappedData: circle })).toHaveLength(1);
  });

  it('names the record of a batch, and writes none of it', async () => {
    const id = randomUUID();
    const all = [record({ id }), record({ modelVersion: '' })];
    await expect(clear('open').insertAll(all)).rejects.toMatchObject({
      code: 'record/invalid',
      problems: [{ field: 'records[1].modelVersion' }],
    });
    expect(await clear('open').get(id)).toBeUndefined();
  });

  it('quotes no value', async () => {
    const error = await clear('open')
      .insert(record({ sourceDataHash: 'secret of a tenant' }))
      .catch((reason: unknown) => String(reason));
    expect(error).not.toContain('secret');
  });
});

describe('a record', () => {
  it('comes back with every field', async () => {
    const given = {
      id: randomUUID(),
      sourceDataHash: hash('whole'),
      mappedData: { big: -(2n ** 80n), at: new Date('2026-01-01T00:00:00Z'), $enc: 'mine', price: '19.90' },
      modelVersion: 'mapper-2',
      detectorType: 'phone',
      confidenceScore: '0.1234',
      timestamp: Timestamp.of(`${new Date().toISOString().slice(0, 10)}T01:02:03.456789Z`),
      metadata: { source: 'test', n: 5n },
      s3Key: 'blob/1',
      correlationId: randomUUID(),
      azureRegion: 'westeurope',
    };
    await clear('open').insert(given);
    const found = await clear('open').get(given.id);
    expect(found).toEqual({
      ...given,
      tenantId: 'open',
      encrypted: false,
      backupStatus: 'pending',
      createdAt: expect.any(Timestamp),
      updatedAt: expect.any(Timestamp),
    });
    expect(found?.timestamp.toISOString()).toBe(given.timestamp.toISOString());
  });

  it('comes back the same if the application has replaced the parsers of the driver', async () => {
    const id = await clear('open').insert(record({ confidenceScore: '0.5', metadata: { n: 1 } }));
    const before = await clear('open').get(id);
    const types = [1114, 1184, 1700, 3802];
    const parsers = types.map((type) => pg.types.getTypeParser(type));
    for (const type of types) pg.types.setTypeParser(type, () => 'replaced');
    const after = await clear('open').get(id);
    for (const [place, type] of types.entries()) pg.types.setTypeParser(type, parsers[place] as never);
    expect(after).toEqual(before);
  });

  it('is found by id and time, to the microsecond or by the millisecond of a Date', async () => {
    const records = clear('open');
    const day = new Date().toISOString().slice(0, 10);
    const timestamp = `${day}T02:00:00.000007Z`;
    const id = await records.insert(record({ timestamp }));
    expect(await records.get({ id, timestamp })).toMatchObject({ id });
    expect(await records.get({ id, timestamp: new Date(`${day}T02:00:00Z`) })).toMatchObject({ id });
    expect(await records.get({ id, timestamp: `${day}T02:00:00.000008Z` })).toBeUndefined();
    expect(await records.get({ id, timestamp: new Date(`${day}T02:00:00.001Z`) })).toBeUndefined();
    expect(await clear('other').get({ id, timestamp })).toBeUndefined();
  });

  it('is inserted once, even if the call is repeated with its id and another time', async () => {
    const [id, timestamp] = [randomUUID(), new Date()];
    await clear('open').insert(record({ id, modelVersion: 'first' }));
    await clear('open').insert(record({ id, modelVersion: 'second' }));
    const other = randomUUID();
    for (const modelVersion of ['first', 'second'])
      await clear('open').insert(record({ id: other, timestamp, modelVersion }));
    const { rows } = await superuser.query(
      'SELECT model_version FROM llama.storage_records WHERE id = ANY ($1)',
      [[id, other]],
    );
    expect(rows).toEqual([{ model_version: 'first' }, { model_version: 'first' }]);
  });

  it('has the region of the column if it has none of its own', async () => {
    const { rows } = await superuser.query(
      `SELECT column_default AS usual FROM information_schema.columns
        WHERE table_schema = 'llama' AND table_name = 'storage_records' AND column_name = 'azure_region'`,
    );
    const id = await clear('open').insert(record());
    expect(rows[0].usual).toBe(`'${(await clear('open').get(id))?.azureRegion}'::character varying`);
  });

  it('has a field for every column of the table', async () => {
    const { rows } = await superuser.query(
      `SELECT column_name AS name FROM information_schema.columns
        WHERE table_schema = 'llama' AND table_name = 'storage_records' ORDER BY 1`,
    );
    const found = await clear('open').get(await clear('open').insert(record()));
    expect(found && Object.keys(serializeRecord(found)).sort()).toEqual(rows.map(({ name }) => name));
  });
});

describe('a batch', () => {
  it('is one statement', async () => {
    await superuser.query('SELECT extensions.pg_stat_statements_reset()').catch(() => undefined);
    const statements: string[] = [];
    await db.tenant('batch').transaction(async (tx) => {
      const query = tx.query.bind(tx);
      Object.assign(tx, {
        query: (...given: Parameters<typeof query>) => {
          statements.push(String(given[0]));
          return query(...given);
        },
      });
      // It joins the surrounding transaction, so that it uses its client.
      await clear('batch').insertAll(Array.from({ length: 1000 }, () => record()));
    });
    expect(statements.filter((one) => /insert/i.test(one))).toHaveLength(1);
    const { rows } = await superuser.query(
      "SELECT count(*)::int AS n FROM llama.storage_records WHERE tenant_id = 'batch'",
    );
    expect(rows).toEqual([{ n: 1000 }]);
  });
});

describe('a batch of records with ids', () => {
  it('uses each id once', async () => {
    const id = randomUUID();
    await expect(
      clear('batch').insertAll([record({ id }), record({ id: id.toUpperCase() })]),
    ).rejects.toMatchObject({
      problems: [{ field: 'records[1].id', rule: 'is used once' }],
    });
  });

  it('can be repeated as a whole', async () => {
    const given = Array.from({ length: 50 }, (_, n) =>
      record({ id: randomUUID(), ...(n % 2 === 0 ? { timestamp: new Date() } : {}) }),
    );
    for (let n = 0; n < 2; n += 1) await clear('again').insertAll(given);
    expect((await clear('again').list()).rows).toHaveLength(50);
  });

  it('claims no more than the server has locks for', async () => {
    const given = Array.from({ length: 1001 }, () => record({ id: randomUUID() }));
    await expect(clear('batch').insertAll(given)).rejects.toMatchObject({ code: 'record/invalid' });
    await clear('many').insertAll(given.slice(1));
    await clear('many').insertAll(given.map((one) => ({ ...one, timestamp: new Date() })));
  }, 60_000);

  it('is given up with its signal', async () => {
    const id = randomUUID();
    await expect(
      clear('batch').insert(record({ id }), { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({
      code: 'transaction/aborted',
    });
    expect(await clear('batch').get(id)).toBeUndefined();
  });
});

describe('a list', () => {
  it('has every row once, in pages, although rows share a time and others are inserted meanwhile', async () => {
    const records = clear('paged');
    const day = new Date().toISOString().slice(0, 10);
    const given = Array.from({ length: 57 }, (_, n) =>
      record({ id: randomUUID(), timestamp: `${day}T03:00:00.00000${Math.floor(n / 10)}Z` }),
    );
    await records.insertAll(given);
    const seen: { id: string; at: string }[] = [];
    let after: string | undefined;
    do {
      const page = await records.list({ limit: 10, ...(after === undefined ? {} : { after }) });
      seen.push(...page.rows.map(({ id, timestamp }) => ({ id, at: timestamp.toISOString() })));
      after = page.next;
      if (seen.length === 20) await records.insert(record({ timestamp: `${day}T04:00:00Z` }));
    } while (after !== undefined);
    expect(seen.map(({ id }) => id).sort()).toEqual(given.map(({ id }) => id).sort());
    // 03:00:00.000Z sorts after 03:00:00.000001Z as a text.
    const times = seen.map(({ at }) => at.replace(/(\.\d{3})Z/, '$1000Z'));
    expect(times).toEqual([...times].sort().reverse());
  });

  it('is limited to its period', async () => {
    const day = new Date().toISOString().slice(0, 10);
    const page = await clear('paged').list({
      since: `${day}T03:00:00.000002Z`,
      until: `${day}T03:00:00.000004Z`,
    });
    expect(page.rows).toHaveLength(20);
    expect(page.next).toBeUndefined();
  });

  it.each([['nonsense'], [Buffer.from('2026-01-01T00:00:00Z x').toString('base64url')], ['']])(
    'cannot be continued after %j',
    async (after) => {
      await expect(clear('paged').list({ after })).rejects.toMatchObject({ code: 'record/not-a-cursor' });
    },
  );

  it.each([0, 1001, 1.5])('has no pages of %d rows', async (limit) => {
    await expect(clear('paged').list({ limit })).rejects.toMatchObject({ code: 'record/invalid' });
  });
});

describe('a search of metadata', () => {
  it('finds what contains the fields, of this tenant alone, in pages', async () => {
    const given = Array.from({ length: 5 }, (_, n) =>
      record({ metadata: { kind: 'rare', n, deep: { x: [1, 2] } } }),
    );
    await clear('open').insertAll(given);
    await clear('other').insertAll(given);
    const first = await clear('open').search({ kind: 'rare', deep: { x: [2] } }, { limit: 3 });
    expect(first.rows).toHaveLength(3);
    const { next = '' } = first;
    const rest = await clear('open').search({ kind: 'rare' }, { after: next });
    expect(rest.rows).toHaveLength(2);
    const all = [...first.rows, ...rest.rows];
    expect(all.map(({ metadata }) => metadata['n']).sort()).toEqual([0, 1, 2, 3, 4]);
    expect(all.every(({ tenantId }) => tenantId === 'open')).toBe(true);
    expect((await clear('open').search({ kind: 'common' })).rows).toEqual([]);
  });

  it('uses the index of the metadata as the application, under row-level security', async () => {
    await superuser.query('SET session_replication_role = replica');
    await superuser.query(
      `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, metadata)
       SELECT 't' || n % 5, 'h', '{}', 'm', 'd', jsonb_build_object('serial', n, 'kind', 'k' || n % 7)
         FROM generate_series(1, 15000) AS n`,
    );
    await superuser.query('RESET session_replication_role');
    await superuser.query('ANALYZE llama.storage_records');
    await superuser.query(
      `LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
       SET auto_explain.log_level = notice`,
    );
    await superuser.query(`SET SESSION AUTHORIZATION ${testbed.login.user}`);
    const plans: string[] = [];
    superuser.on('notice', ({ message }) => plans.push(String(message)));
    const planOf = async (sql: string) => {
      plans.length = 0;
      await superuser.query(`BEGIN; SET LOCAL app.current_tenant_id = 't3'`);
      const { rowCount } = await superuser.query(sql);
      await superuser.query('COMMIT');
      return { rowCount, plan: plans.join('\n') };
    };
    const direct = await planOf(
      `SELECT id FROM llama.storage_records WHERE tenant_id = 't3' AND metadata @> '{"serial": 10003}'`,
    );
    const search = await planOf(
      `SELECT record_id FROM llama.find_records('{"serial": 10003}', '-infinity', 'infinity', NULL, NULL, 101)`,
    );
    await superuser.query('RESET SESSION AUTHORIZATION');
    expect([direct.rowCount, search.rowCount]).toEqual([1, 1]);
    expect(direct.plan).not.toMatch(/metadata_(gin|idx)/);
    expect(search.plan).toMatch(/Bitmap Index Scan on \w*metadata\w*/);
    const { rows } = await clear('t3').search({ serial: 10_003 });
    expect(rows).toHaveLength(1);
    expect((await clear('t4').search({ serial: 10_003 })).rows).toEqual([]);
  });
});

describe('llama.find_records', () => {
  const call = (sql: string, tenant: string, values: readonly unknown[] = []) =>
    db.tenant(tenant).read((tx) => tx.query(sql, [...values]));

  it('needs a tenant', async () => {
    const [one] = await Promise.all([testbed.connect(testbed.login)]);
    await expect(
      one.query("SELECT llama.find_records('{}', '-infinity', 'infinity', NULL, NULL, 1)"),
    ).rejects.toMatchObject({ code: '22023' });
  });

  it('follows the tenant of the transaction, which a plan of another one does not change', async () => {
    for (const tenant of ['t0', 't1', 't0', 't2', 't3', 't1', 't0']) {
      const { rows } = await call(
        `SELECT DISTINCT r.tenant_id AS tenant FROM llama.find_records('{}', '-infinity', 'infinity', NULL, NULL, 20) AS f
           JOIN llama.storage_records AS r ON r.id = f.record_id`,
        tenant,
      );
      expect(rows).toEqual([{ tenant }]);
    }
  });

  it('is not for other roles', async () => {
    for (const role of ['analytics_role', 'maintenance_role', 'import_writer']) {
      const { rows } = await superuser.query(
        `SELECT has_function_privilege($1, p.oid, 'EXECUTE') AS may FROM pg_proc AS p
          WHERE p.oid = 'llama.find_records'::regproc`,
        [role],
      );
      expect([role, rows[0]?.may]).toEqual([role, false]);
    }
  });
});

describe('encryption', () => {
  it('is invisible to the caller, and complete in the database', async () => {
    const given = record({
      mappedData: { card: '4111 1111', big: 7n },
      metadata: { email: 'maria@example.org', note: 'private' },
      confidenceScore: '0.5',
    });
    const id = await sealed('sealed').insert(given);
    const found = await sealed('sealed').get(id);
    expect(found).toMatchObject({ mappedData: given.mappedData, metadata: given.metadata, encrypted: true });
    const { rows } = await superuser.query(
      'SELECT r::text AS r FROM llama.storage_records AS r WHERE id = $1',
      [id],
    );
    expect(rows[0].r).not.toMatch(/4111|maria|private/);
    expect(rows[0].r).not.toContain(given.sourceDataHash);
  });

  it('leaves chosen fields searchable', async () => {
    const records = sealed('sealed');
    await records.insertAll(['ada', 'bob', 'ada'].map((email) => record({ metadata: { email } })));
    const { rows } = await records.search({ email: 'ada' });
    expect(rows.map(({ metadata }) => metadata)).toEqual([{ email: 'ada' }, { email: 'ada' }]);
    await expect(records.search({ note: 'x' })).rejects.toMatchObject({
      problems: [{ field: 'metadata.note' }],
    });
    await expect(records.insert(record({ metadata: { email: 5 } }))).rejects.toMatchObject({
      problems: [{ field: 'metadata.email' }],
    });
  });

  it('leaves the records of a tenant that wants none in clear, and finds them too', async () => {
    const records = sealed('open');
    const id = await records.insert(record({ metadata: { email: 'eve' } }));
    expect(await records.get(id)).toMatchObject({ encrypted: false, metadata: { email: 'eve' } });
    expect((await records.search({ email: 'eve' })).rows).toHaveLength(1);
  });

  it('is never left out for a tenant that demands it', async () => {
    await expect(clear('sealed').insert(record())).rejects.toMatchObject({
      code: 'record/encryption-required',
    });
  });
});

describe('observations', () => {
  it('come back with every field, in pages', async () => {
    const observations = new Observations(db.tenant('observed'));
    const at = Timestamp.of(`${new Date().toISOString().slice(0, 10)}T05:00:00.000001Z`);
    const execution = {
      id: randomUUID(),
      detectorType: 'email',
      executionTimeMs: 12,
      confidenceScore: '0.9000',
      success: false,
      errorMessage: 'timeout',
      timestamp: at,
      correlationId: randomUUID(),
    };
    await observations.addExecutions([execution, { detectorType: 'x', executionTimeMs: 0, success: true }]);
    await observations.addExecutions([execution]);
    const first = await observations.executions({ limit: 1 });
    const second = await observations.executions({ after: first.next ?? '' });
    expect([...first.rows, ...second.rows]).toHaveLength(2);
    expect([...first.rows, ...second.rows]).toContainEqual({ ...execution, tenantId: 'observed' });
    const metric = {
      id: randomUUID(),
      modelVersion: 'm',
      metricType: 'f1',
      metricValue: '9999.123456',
      timestamp: at,
      metadata: { fold: 3n },
    };
    await observations.addMetrics([metric]);
    expect((await observations.metrics()).rows).toEqual([{ ...metric, tenantId: 'observed' }]);
  });

  it.each([['10000'], ['1.0000001'], ['1e3']])(
    'refuse the value %s, which the column would change',
    async (metricValue) => {
      const adding = new Observations(db.tenant('observed')).addMetrics([
        { modelVersion: 'm', metricType: 't', metricValue },
      ]);
      await expect(adding).rejects.toMatchObject({ problems: [{ field: 'metricValue' }] });
    },
  );
});

describe('a configuration', () => {
  it('is read, and changed as far as tenants may', async () => {
    const tenant = db.tenant('configured');
    await configureTenant(tenant, {
      confidenceThreshold: '0.75',
      detectorWhitelist: ['email', 'phone'],
      customTaxonomyMappings: { limit: 2n ** 70n },
    });
    expect(await tenantConfiguration(tenant)).toMatchObject({
      tenantId: 'configured',
      confidenceThreshold: '0.7500',
      detectorWhitelist: ['email', 'phone'],
      detectorBlacklist: null,
      storageRetentionDays: 90,
      encryptionEnabled: false,
      auditLevel: 'standard',
      customTaxonomyMappings: { limit: 2n ** 70n },
    });
  });

  it('that is missing is reported', async () => {
    expect(await tenantConfiguration(db.tenant('nobody'))).toBeUndefined();
    await expect(configureTenant(db.tenant('nobody'), { detectorBlacklist: null })).rejects.toMatchObject({
      code: 'record/no-configuration',
    });
  });
});
