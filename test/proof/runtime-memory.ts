/** Memory of a process in which tenants read and write for a long time. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Database, TenantClient } from '../../runtime/index.ts';
import { Disproved, type Log, type Proved } from './proof.ts';
import type { Random } from './random.ts';

export interface RuntimeMemory {
  readonly db: Database;
  /** Sessions of the application on the server. */
  readonly sessions: () => Promise<number>;
  readonly operations: number;
  /** Operations before them that do not count: they compile the code, and fill pools and caches. */
  readonly warmUp: number;
  /** Bytes per operation by which each kind of memory may grow. */
  readonly limits: Growth;
  readonly random: Random;
  readonly log: Log;
}

/** Bytes, or bytes per operation. */
export interface Growth {
  /** Objects of JavaScript after a collection of garbage. */
  readonly heapUsed: number;
  /** Buffers outside of that heap. */
  readonly external: number;
  /** Memory that the process has from the system. */
  readonly rss: number;
}

interface Sample extends Growth {
  readonly operations: number;
}

const callers = 8;
const samples = 20;
const kinds = ['heapUsed', 'external', 'rss'] as const;

const select = 'SELECT id FROM llama.storage_records LIMIT 1';
const insert = `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
                VALUES ($1, 'h', '{}', 'm', 'd')`;

/**
 * Three of four transactions read, one writes. One of a hundred fails, and one of a thousand is aborted, which costs its connection.
 * All have the signal of their caller, as those of a service that stops have. After each twentieth of the operations, memory is
 * measured after a collection of garbage; a line of least squares through these figures has the growth per operation as its slope.
 *
 * @throws Disproved if a kind of memory grows beyond its limit, or the server has more sessions than the pool has connections
 */
export async function proveRuntimeMemory(given: RuntimeMemory): Promise<Proved> {
  const { db, sessions, operations, warmUp, limits, log } = given;
  await someOperations(given, warmUp / callers);
  const measured: Sample[] = [{ operations: 0, ...memory() }];
  const start = performance.now();
  for (let part = 1; part <= samples; part += 1) {
    await someOperations(given, operations / samples / callers);
    const sample = { operations: (operations / samples) * part, ...memory() };
    measured.push(sample);
    await checkSessions(db, sessions);
    log(`${Math.round(sample.operations)} operations: ${figures(sample, 1024 * 1024, 'MB')}`);
  }
  const growth = Object.fromEntries(kinds.map((kind) => [kind, slope(measured, kind)])) as unknown as Growth;
  const rate = Math.round(operations / ((performance.now() - start) / 1000));
  const summary = `${operations} operations at ${rate}/s grew, in bytes per operation: ${figures(growth, 1, '')}`;
  const exceeded = kinds.filter((kind) => growth[kind] > limits[kind]);
  if (exceeded.length > 0)
    throw new Disproved(
      `${summary}; ${exceeded.map((kind) => `${kind} may grow by ${limits[kind]}`).join(', ')}`,
    );
  return { summary };
}

async function someOperations({ db, random }: RuntimeMemory, each: number): Promise<void> {
  await Promise.all(
    Array.from({ length: callers }, async (_, caller) => {
      const stopping = new AbortController();
      for (let nth = 0; nth < each; nth += 1) {
        const tenant = db.tenant(`tenant-${caller}`, { user: `user-${random.below(1000)}` });
        const { signal } = stopping;
        if (random.chance(0.001)) await tenant.read(slowly, { signal: AbortSignal.timeout(2) }).catch(ignore);
        else if (random.chance(0.01)) await tenant.transaction(wrongly, { signal }).catch(ignore);
        else if (random.chance(0.25))
          await tenant.transaction((tx) => tx.query(insert, [tenant.id]), { signal });
        else await tenant.read((tx) => tx.query(select), { signal });
      }
    }),
  );
}

const slowly = (tx: TenantClient) => tx.query('SELECT pg_sleep(1)');
const wrongly = (tx: TenantClient) => tx.query('SELECT 1 / 0');
const ignore = () => undefined;

let collectGarbage: (() => void) | undefined;

function memory(): Growth {
  if (!collectGarbage) {
    setFlagsFromString('--expose-gc');
    collectGarbage = runInNewContext('gc') as () => void;
  }
  // The second one also frees what finalizers held.
  collectGarbage();
  collectGarbage();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heapUsed, external, rss };
}

/** A session that was destroyed ends a moment after its connection. */
async function checkSessions(db: Database, sessions: () => Promise<number>): Promise<void> {
  let last = '';
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const total = db.gauges['default']?.writer.total ?? 0;
    const found = await sessions();
    if (found <= total) return;
    last = `${found} sessions, ${total} connections`;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Disproved(last);
}

/** Slope of the line of least squares through the samples: bytes per operation. */
function slope(counted: readonly Sample[], kind: keyof Growth): number {
  const mean = (of: (sample: Sample) => number) =>
    counted.reduce((sum, sample) => sum + of(sample), 0) / counted.length;
  const [x, y] = [mean(({ operations }) => operations), mean((sample) => sample[kind])];
  const across = mean((sample) => (sample.operations - x) * (sample[kind] - y));
  return across / mean((sample) => (sample.operations - x) ** 2);
}

function figures(of: Growth, per: number, unit: string): string {
  return kinds.map((kind) => `${kind} ${(of[kind] / per).toFixed(2)} ${unit}`.trim()).join(', ');
}
