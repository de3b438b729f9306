/** The contract of a benchmark, the catalogue of benchmarks, and their limits. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { Fault } from '../core/fault.ts';

export interface Figure {
  readonly value: number;
  /** `s`, `MB`, `updates/s`; empty for a ratio. */
  readonly unit: string;
}

export interface Measured {
  readonly figures: Readonly<Record<string, Figure>>;
  /** Version of the measured PostgreSQL, such as `17.10`. @default - no server was involved */
  readonly serverVersion?: string;
}

export interface BenchmarkRun {
  readonly rounds: number;
  /** Called with each line of progress and of detail. */
  readonly log: (line: string) => void;
}

export interface Benchmark {
  /** Name of its file in `cases/` without the extension. */
  readonly name: string;
  readonly description: string;
  /** Default number of rounds. */
  readonly rounds: number;
  run(options: BenchmarkRun): Promise<Measured>;
}

/** A limit on the reference machine (two cores). Its sides are inclusive. */
export interface Limit {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}

const folder = path.join(import.meta.dirname, 'cases');
const limitsSchema = z.record(
  z.string(),
  z.record(z.string(), z.strictObject({ min: z.number().optional(), max: z.number().optional() })),
);

/** All benchmarks, by name. */
export async function benchmarks(): Promise<readonly Benchmark[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.ts')).sort();
  return Promise.all(
    files.map(async (file) => {
      const { benchmark }: { readonly benchmark: Benchmark } = await import(path.join(folder, file));
      if (`${benchmark.name}.ts` !== file) throw new Error(`${file} exports benchmark ${benchmark.name}`);
      return benchmark;
    }),
  );
}

/** @throws Fault with exit status 2 if no benchmark has this name */
export async function benchmarkNamed(name: string): Promise<Benchmark> {
  const all = await benchmarks();
  const found = all.find((one) => one.name === name);
  if (found) return found;
  throw new Fault(
    'benchmark/unknown',
    `There is no benchmark ${name}`,
    `benchmarks/cases/ has ${all.map((one) => one.name).join(', ')}`,
    'Name one of them, or none for all.',
    { exitCode: 2 },
  );
}

/** The limits of `limits.json`, by benchmark and figure. */
export async function limits(): Promise<Readonly<Record<string, Readonly<Record<string, Limit>>>>> {
  const text = await readFile(path.join(import.meta.dirname, 'limits.json'), 'utf8');
  return limitsSchema.parse(JSON.parse(text));
}

/** One sentence per violated limit. A figure that has a limit and was not measured is a violation. */
export function violations(
  name: string,
  { figures }: Measured,
  limitsOfAll: Awaited<ReturnType<typeof limits>>,
): readonly string[] {
  return Object.entries(limitsOfAll[name] ?? {}).flatMap(([figure, { min, max }]) => {
    const measured = figures[figure];
    if (!measured) return [`${name}: ${figure} has a limit but was not measured`];
    const text = `${name}: ${figure} is ${format(measured)}`;
    return [
      ...(min !== undefined && !(measured.value >= min) ? [`${text}, below its minimum of ${min}`] : []),
      ...(max !== undefined && !(measured.value <= max) ? [`${text}, above its maximum of ${max}`] : []),
    ];
  });
}

/** `1.95 s`, `774 rows/s`, `0.66`. */
export function format({ value, unit }: Figure): string {
  return `${value.toFixed(value < 100 ? 2 : 0)} ${unit}`.trimEnd();
}

/** The middle value, or the mean of the two in the middle; NaN for an empty list. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low = Number.NaN, high = Number.NaN] = [
    sorted[Math.floor((sorted.length - 1) / 2)],
    sorted[Math.floor(sorted.length / 2)],
  ];
  return (low + high) / 2;
}
