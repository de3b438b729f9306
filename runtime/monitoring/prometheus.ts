/** Samples as the text that Prometheus reads. */
import { reasonOf } from '../errors.ts';
import { type Collector, families, type Sample } from './families.ts';

/** A collector that failed, and why. */
export interface CollectorProblem {
  readonly collector: string;
  readonly error: unknown;
}

export interface ScrapeOptions {
  /** Milliseconds after which a collector without an answer has failed. @default 8000 */
  readonly timeoutMs?: number;
  /** @default - problems show in llama_collector_up only */
  readonly onProblem?: (problem: CollectorProblem) => void;
}

export interface Scrape {
  readonly contentType: string;
  readonly text: string;
}

/** Reads all collectors. One that fails costs its own metrics, and `llama_collector_up` is 0 for it. */
export async function scrape(collectors: readonly Collector[], options: ScrapeOptions = {}): Promise<Scrape> {
  const { timeoutMs = 8000, onProblem } = options;
  const samples = await Promise.all(
    collectors.map(async ({ name, collect }): Promise<readonly Sample[]> => {
      const up = (value: number): Sample => ({
        name: 'llama_collector_up',
        value,
        labels: { collector: name },
      });
      try {
        return [up(1), ...(await within(timeoutMs, collect()))];
      } catch (error) {
        onProblem?.({ collector: name, error });
        return [up(0)];
      }
    }),
  );
  return render(samples.flat());
}

async function render(samples: readonly Sample[]): Promise<Scrape> {
  const { Counter, Gauge, Registry } = await import('prom-client');
  // A registry of its own: labels of an earlier scrape would stay in a shared one.
  const registry = new Registry();
  const made = new Map<string, { add(sample: Sample): void }>();
  const metricOf = (name: Sample['name']) => {
    const { type, help, labels } = families[name];
    const configuration = { name, help, labelNames: [...labels], registers: [registry] };
    if (type === 'counter') {
      const counter = new Counter(configuration);
      return { add: (one: Sample) => counter.inc({ ...one.labels }, one.value) };
    }
    const gauge = new Gauge(configuration);
    return { add: (one: Sample) => gauge.set({ ...one.labels }, one.value) };
  };
  for (const sample of samples) {
    const metric = made.get(sample.name) ?? metricOf(sample.name);
    made.set(sample.name, metric);
    metric.add(sample);
  }
  return { contentType: registry.contentType, text: await registry.metrics() };
}

function within<Result>(ms: number, work: Promise<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** A problem in one line. */
export function describeProblem({ collector, error }: CollectorProblem): string {
  return `${collector}: ${reasonOf(error)}`;
}
