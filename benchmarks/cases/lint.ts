/**
 * CPU seconds of the lint for large migrations, and their growth: four times the size must take about four times as long.
 * Quadratic time would grow by 16.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lint } from '../../database/migrator/lint/lint.ts';
import { type Benchmark, type Figure, median } from '../benchmark.ts';
import { largeMigrations } from '../large-migrations.ts';

const size = 4_000;

export const benchmark: Benchmark = {
  name: 'lint',
  description: 'CPU seconds of the lint for large migrations, and the growth for four times the size',
  rounds: 1,
  async run({ rounds, log }) {
    const folder = mkdtempSync(join(tmpdir(), 'llama-db-lint-bench-'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    const figures: Record<string, Figure> = {};
    let growth = 0;
    try {
      for (const [name, migration] of Object.entries(largeMigrations)) {
        const seconds = { small: [] as number[], large: [] as number[] };
        for (let round = 1; round <= rounds; round += 1) {
          for (const [kind, count] of [
            ['small', size],
            ['large', 4 * size],
          ] as const) {
            const { kind: extension, content } = migration(count);
            const file = join(
              folder,
              `${String(count).padStart(4, '0')}_${name.replaceAll(' ', '_')}.${extension}`,
            );
            writeFileSync(file, content);
            seconds[kind].push(await processorSeconds(() => lint({ files: [file] })));
          }
        }
        const [small, large] = [median(seconds.small), median(seconds.large)];
        log(`${size} ${name}: ${small.toFixed(2)} s; four times as many: ${large.toFixed(2)} s`);
        figures[name] = { value: large, unit: 's' };
        growth = Math.max(growth, large / small);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    return { figures: { ...figures, growth: { value: growth, unit: '' } } };
  },
};

async function processorSeconds(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000_000;
}
