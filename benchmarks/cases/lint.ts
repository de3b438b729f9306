/** How the CPU time of the lint grows with the size of a migration: four times the size takes about four times as long. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lint } from '../../database/migrator/lint/lint.ts';
import { type Benchmark, median } from '../benchmark.ts';
import { type LargeMigration, largeMigrations } from '../large-migrations.ts';

/** Statements, or four times as many comment lines. */
const size = 2_000;

export const benchmark: Benchmark = {
  name: 'lint',
  description:
    'growth of the CPU time of llama-db lint with four times the size; the worst kind of migration',
  rounds: 3,
  run: async ({ rounds, log }) => {
    const folder = mkdtempSync(join(tmpdir(), 'llama-db-lint-bench-'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    let files = 0;
    const secondsOf = async ({ kind, content }: LargeMigration): Promise<number> => {
      // A new name each time, because Node.js loads a TypeScript file only once.
      files += 1;
      const file = join(folder, `${String(files).padStart(4, '0')}_large.${kind}`);
      writeFileSync(file, content);
      const before = process.cpuUsage();
      await lint({ files: [file] });
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1_000_000;
    };
    const worst = { growth: 0, seconds: 0 };
    try {
      for (const [name, migration] of Object.entries(largeMigrations)) {
        const growths: number[] = [];
        const seconds: number[] = [];
        for (let round = 1; round <= rounds; round += 1) {
          const small = await secondsOf(migration(size));
          const large = await secondsOf(migration(size * 4));
          growths.push(large / small);
          seconds.push(large);
        }
        const [growth, large] = [median(growths), median(seconds)];
        log(`${size * 4} ${name}: ${large.toFixed(2)} s, ${growth.toFixed(1)} times a quarter of them`);
        worst.growth = Math.max(worst.growth, growth);
        worst.seconds = Math.max(worst.seconds, large);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    return {
      figures: {
        growth: { value: worst.growth, unit: '' },
        'slowest migration': { value: worst.seconds, unit: 's' },
      },
    };
  },
};
