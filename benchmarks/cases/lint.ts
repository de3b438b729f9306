/** CPU time of the lint for large migrations, and its growth: four times the size must take about four times as long. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lint } from '../../database/migrator/lint/lint.ts';
import { largeMigrations } from '../../test/database/migrator/lint/large.ts';
import { type Benchmark, type Figure, median } from '../benchmark.ts';

/** Statements, comments or names of the smaller migration. */
const size = 4_000;

export const benchmark: Benchmark = {
  name: 'lint',
  description:
    'growth of the CPU time of llama-db lint for a migration of four times the size; quadratic is 16',
  rounds: 1,
  async run({ rounds, log }) {
    const folder = mkdtempSync(join(tmpdir(), 'llama-db-lint-bench-'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    try {
      const figures: Record<string, Figure> = {};
      for (const [name, migration] of Object.entries(largeMigrations)) {
        const seconds = async (count: number): Promise<number> => {
          const { kind, content } = migration(count);
          const file = join(folder, `${String(count).padStart(4, '0')}_${name.replaceAll(' ', '_')}.${kind}`);
          writeFileSync(file, content);
          const runs: number[] = [];
          for (let round = 0; round < rounds; round += 1) {
            const before = process.cpuUsage();
            await lint({ files: [file] });
            const { user, system } = process.cpuUsage(before);
            runs.push((user + system) / 1_000_000);
          }
          return median(runs);
        };
        const [small, large] = [await seconds(size), await seconds(size * 4)];
        log(`${size} ${name}: ${small.toFixed(2)} s, four times as many ${large.toFixed(2)} s`);
        figures[`growth, ${name}`] = { value: large / small, unit: '' };
      }
      return { figures };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
