// Duration: 10 s
/** Values of records: without loss in JSON and in the server, and refused before the server sees them. */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type JsonValue,
  parseRecord,
  RecordError,
  serializeRecord,
  Timestamp,
} from '../../runtime/records/index.ts';
import { decode, encode } from '../../runtime/records/json.ts';
import { record, useRecords } from './record-fixture.ts';

const on = useRecords();
const { clear, sealed } = on;

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
        const { rows } = await on.superuser.query('SELECT v::jsonb AS v FROM unnest($1::text[]) AS u (v)', [
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
