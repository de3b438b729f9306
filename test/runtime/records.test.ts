// Duration: 8 s
/** Storage records, observations and configurations of tenants, on a real server. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import {
  configureTenant,
  Observations,
  serializeRecord,
  Timestamp,
  tenantConfiguration,
} from '../../runtime/records/index.ts';
import { hash, record, useRecords } from './record-fixture.ts';

const on = useRecords();
const { clear, sealed } = on;

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
    const { rows } = await on.superuser.query(
      'SELECT model_version FROM llama.storage_records WHERE id = ANY ($1)',
      [[id, other]],
    );
    expect(rows).toEqual([{ model_version: 'first' }, { model_version: 'first' }]);
  });

  it('has the region of the column if it has none of its own', async () => {
    const { rows } = await on.superuser.query(
      `SELECT column_default AS usual FROM information_schema.columns
        WHERE table_schema = 'llama' AND table_name = 'storage_records' AND column_name = 'azure_region'`,
    );
    const id = await clear('open').insert(record());
    expect(rows[0].usual).toBe(`'${(await clear('open').get(id))?.azureRegion}'::character varying`);
  });

  it('has a field for every column of the table', async () => {
    const { rows } = await on.superuser.query(
      `SELECT column_name AS name FROM information_schema.columns
        WHERE table_schema = 'llama' AND table_name = 'storage_records' ORDER BY 1`,
    );
    const found = await clear('open').get(await clear('open').insert(record()));
    expect(found && Object.keys(serializeRecord(found)).sort()).toEqual(rows.map(({ name }) => name));
  });
});

describe('a batch', () => {
  it('is one statement', async () => {
    await on.superuser.query('SELECT extensions.pg_stat_statements_reset()').catch(() => undefined);
    const statements: string[] = [];
    await on.db.tenant('batch').transaction(async (tx) => {
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
    const { rows } = await on.superuser.query(
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
    const { rows } = await on.superuser.query(
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
    const observations = new Observations(on.db.tenant('observed'));
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
      const adding = new Observations(on.db.tenant('observed')).addMetrics([
        { modelVersion: 'm', metricType: 't', metricValue },
      ]);
      await expect(adding).rejects.toMatchObject({ problems: [{ field: 'metricValue' }] });
    },
  );
});

describe('a configuration', () => {
  it('is read, and changed as far as tenants may', async () => {
    const tenant = on.db.tenant('configured');
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
    expect(await tenantConfiguration(on.db.tenant('nobody'))).toBeUndefined();
    await expect(configureTenant(on.db.tenant('nobody'), { detectorBlacklist: null })).rejects.toMatchObject({
      code: 'record/no-configuration',
    });
  });
});
