// Duration: 5 s
/** Spans and metrics as an SDK of OpenTelemetry sees them. */
import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Context,
  context,
  metrics,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { Database } from '../../runtime/index.ts';
import { type ApplicationDatabase, applicationDatabase } from './fixture.ts';

const spans = new InMemorySpanExporter();
const measured = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter: measured, exportIntervalMillis: 600_000 });
const meters = new MeterProvider({ readers: [reader] });
let testbed: ApplicationDatabase;
let db: Database;

/** The context of OpenTelemetry over asynchronous calls; the package for it needs a newer Node. */
const current = new AsyncLocalStorage<Context>();

beforeAll(async () => {
  testbed = await applicationDatabase();
  db = new Database(testbed.options);
  // Before any SDK, as in an application that registers it late.
  await db.tenant('early').read(async () => undefined);
  context.setGlobalContextManager({
    active: () => current.getStore() ?? ROOT_CONTEXT,
    with: (given, work, self, ...args) => current.run(given, () => work.call(self as never, ...args)),
    bind: (_, target) => target,
    enable() {
      return this;
    },
    disable() {
      return this;
    },
  });
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }),
  );
  metrics.setGlobalMeterProvider(meters);
});
beforeEach(() => spans.reset());
afterAll(async () => {
  await db?.close();
  await meters.shutdown();
  await testbed?.drop();
});

const span = () => {
  expect(spans.getFinishedSpans()).toHaveLength(1);
  return spans.getFinishedSpans()[0];
};

it('reports a transaction as one INTERNAL span with stable names', async () => {
  await db.tenant('acme').transaction(async (tx) => {
    await tx.query('SELECT 1');
    await tx.query('SELECT 2');
    // It joins, so it is a part of the same span.
    await db.tenant('acme').read((inner) => inner.query('SELECT 3'));
  });
  expect(span()).toMatchObject({ name: 'llama.transaction', kind: SpanKind.INTERNAL });
  expect(span()?.attributes).toEqual({
    'db.system.name': 'postgresql',
    'db.namespace': testbed.name,
    'server.address': 'localhost',
    'server.port': testbed.server.port,
    'llama.cell': 'default',
    'llama.tenant': 'acme',
    'llama.transaction.read_only': false,
    'llama.transaction.attempts': 1,
  });
});

it('surrounds the spans of its statements, and has the caller as parent', async () => {
  const tracer = trace.getTracer('test');
  await tracer.startActiveSpan('request', async (request) => {
    await db.tenant('acme').read(async () => tracer.startSpan('statement').end());
    request.end();
  });
  const byName = new Map(spans.getFinishedSpans().map((one) => [one.name, one]));
  const idOf = (name: string) => byName.get(name)?.spanContext().spanId;
  expect(byName.get('statement')?.parentSpanContext?.spanId).toBe(idOf('llama.read'));
  expect(byName.get('llama.read')?.parentSpanContext?.spanId).toBe(idOf('request'));
});

it('names the kind of a failure, without its text', async () => {
  const failing = db.tenant('acme').transaction((tx) => tx.query("SELECT 'private'::int"));
  await expect(failing).rejects.toMatchObject({ code: '22P02' });
  expect(span()?.status).toEqual({ code: SpanStatusCode.ERROR });
  expect(span()?.attributes).toMatchObject({ 'error.type': '22P02', 'db.response.status_code': '22P02' });
  expect(JSON.stringify([span()?.attributes, span()?.events])).not.toContain('private');
});

it('names the code of a failure of this library, and counts attempts', async () => {
  let runs = 0;
  const failing = db.tenant('acme').transaction(async (tx) => {
    runs += 1;
    if (runs === 1) await tx.query("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$");
    await tx.query('COMMIT');
  });
  await expect(failing).rejects.toMatchObject({ code: 'transaction/controlled-by-statement' });
  expect(span()?.attributes).toMatchObject({
    'error.type': 'transaction/controlled-by-statement',
    'llama.transaction.attempts': 2,
  });
});

it('reports durations and pools as metrics, until the database is closed', async () => {
  const read = async () => {
    measured.reset();
    await meters.forceFlush();
    const found = measured
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((one) => one.metrics));
    return new Map(found.map(({ descriptor, dataPoints }) => [descriptor.name, dataPoints]));
  };
  const open = await read();
  const durations = open.get('llama.transaction.duration') ?? [];
  expect(durations.map(({ attributes }) => attributes)).toContainEqual(
    expect.objectContaining({
      'db.system.name': 'postgresql',
      'error.type': '22P02',
      'llama.transaction.read_only': false,
    }),
  );
  expect(durations.every(({ attributes }) => !('llama.tenant' in attributes))).toBe(true);
  const connections = open.get('db.client.connection.count') ?? [];
  expect(
    connections.map(({ attributes, value }) => [attributes['db.client.connection.state'], value]),
  ).toEqual([
    ['idle', 1],
    ['used', 0],
  ]);
  expect(open.get('db.client.connection.pending_requests')?.[0]).toMatchObject({
    value: 0,
    attributes: { 'db.client.connection.pool.name': 'default writer' },
  });
  await db.close();
  const closed = (await read()).get('db.client.connection.count') ?? [];
  expect(closed.map(({ value }) => value)).toEqual([0, 0]);
});
