/**
 * Spans and metrics through the interface of OpenTelemetry alone: without a registered SDK nothing happens. Names are those of its
 * semantic conventions. Statements and their durations are left to `@opentelemetry/instrumentation-pg`, which reports them.
 * https://opentelemetry.io/docs/specs/semconv/database/
 */
import {
  type Attributes,
  context,
  createNoopMeter,
  type Histogram,
  type MeterProvider,
  metrics,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { isDatabaseFailure, sqlStateOf } from '../errors.ts';
import type { TargetGauges } from '../pool/target.ts';

const scope = '@llama-mapper/database';

/** A transaction to report. */
export interface Traced {
  readonly tenant: string;
  readonly isReadOnly: boolean;
  readonly cell: string;
}

/** The server that an attempt uses. */
export interface TracedServer {
  readonly host: string;
  readonly port: number;
  readonly database: string;
}

export interface Trace {
  /** Begins an attempt. */
  attempt(server: TracedServer): void;
}

/** A proxy: it becomes the tracer of an SDK that is registered later. */
const tracer = trace.getTracer(scope);
const silent: Trace = { attempt: () => undefined };

/** Reports `work`, all its attempts together, as one INTERNAL span, which surrounds the spans of its statements. */
export function traced<Result>(about: Traced, work: (trace: Trace) => Promise<Result>): Promise<Result> {
  const attributes = {
    'db.system.name': 'postgresql',
    'llama.cell': about.cell,
    'llama.transaction.read_only': about.isReadOnly,
  };
  const name = about.isReadOnly ? 'llama.read' : 'llama.transaction';
  const span = tracer.startSpan(name, {
    kind: SpanKind.INTERNAL,
    attributes: { ...attributes, 'llama.tenant': about.tenant },
  });
  const measured = durations();
  // Without an SDK, a transaction costs nothing more.
  if (!measured && !span.isRecording()) return work(silent);
  const within = trace.setSpan(context.active(), span);
  return context.with(within, () => reported(span, measured, attributes, work));
}

async function reported<Result>(
  span: Span,
  measured: Histogram | undefined,
  attributes: Attributes,
  work: (trace: Trace) => Promise<Result>,
): Promise<Result> {
  const start = performance.now();
  let shared = attributes;
  let attempts = 0;
  const attempt = ({ host, port, database }: TracedServer) => {
    attempts += 1;
    const server = { 'server.address': host, 'server.port': port, 'db.namespace': database };
    shared = { ...shared, ...server };
    span.setAttributes({ ...server, 'llama.transaction.attempts': attempts });
  };
  try {
    return await work({ attempt });
  } catch (error) {
    shared = { ...shared, 'error.type': errorType(error) };
    fail(span, error);
    throw error;
  } finally {
    span.end();
    measured?.record((performance.now() - start) / 1000, shared);
  }
}

/** The message stays out: an error of the application can contain data of the tenant. */
function fail(span: Span, error: unknown): void {
  const sqlState = isDatabaseFailure(error) ? error.sqlState : sqlStateOf(error);
  span.setStatus({ code: SpanStatusCode.ERROR });
  span.setAttributes({
    'error.type': errorType(error),
    ...(sqlState === undefined ? {} : { 'db.response.status_code': sqlState }),
  });
}

function errorType(error: unknown): string {
  if (isDatabaseFailure(error)) return error.code;
  return sqlStateOf(error) ?? (error instanceof Error ? error.name : '_OTHER');
}

let histogram: { readonly provider: MeterProvider; readonly made: Histogram } | undefined;
/** The provider of this interface itself, which records nothing. */
const nothing = createNoopMeter().constructor;

/** An SDK can be registered later than this module is loaded, and the interface has no proxy for meters. */
function durations(): Histogram | undefined {
  const provider = metrics.getMeterProvider();
  if (histogram?.provider !== provider) {
    const meter = provider.getMeter(scope);
    if (meter.constructor === nothing) return undefined;
    const made = meter.createHistogram('llama.transaction.duration', {
      unit: 's',
      description: 'Duration of a transaction of a tenant, with all its attempts',
      advice: { explicitBucketBoundaries: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10] },
    });
    histogram = { provider, made };
  }
  return histogram.made;
}

/** The pools of one Database object, by name. */
export type PoolsOf = () => ReadonlyMap<string, TargetGauges>;

/** Reports pools to whatever meter provider is registered. */
export class PoolObserver {
  readonly #pools: PoolsOf;
  #provider: MeterProvider | undefined;
  #isEnding = false;
  #remove = () => {};

  constructor(pools: PoolsOf) {
    this.#pools = pools;
  }

  /** Begins if a provider was registered since the last call. It costs a comparison. */
  begin(): void {
    const provider = metrics.getMeterProvider();
    if (this.#provider === provider || this.#isEnding) return;
    this.#remove();
    this.#provider = provider;
    const meter = provider.getMeter(scope);
    const connections = meter.createObservableUpDownCounter('db.client.connection.count', {
      unit: '{connection}',
      description: 'Connections of the pool by state',
    });
    const pending = meter.createObservableUpDownCounter('db.client.connection.pending_requests', {
      unit: '{request}',
      description: 'Calls that wait for a connection',
    });
    const observed = [connections, pending];
    const callback: Parameters<typeof meter.addBatchObservableCallback>[0] = (result) => {
      for (const [name, { idle, inUse, waiting }] of this.#pools()) {
        const pool = { 'db.client.connection.pool.name': name };
        result.observe(connections, idle, { ...pool, 'db.client.connection.state': 'idle' });
        result.observe(connections, inUse, { ...pool, 'db.client.connection.state': 'used' });
        result.observe(pending, waiting, pool);
      }
      if (this.#isEnding) this.#remove();
    };
    meter.addBatchObservableCallback(callback, observed);
    this.#remove = () => meter.removeBatchObservableCallback(callback, observed);
  }

  /** Ends with the next collection, which reports the closed pools: an SDK repeats the last value of what it does not see again. */
  end(): void {
    this.#isEnding = true;
  }
}
