/**
 * CPU seconds that the lint takes for large migrations, and how they grow: four times the size must take about four times as
 * long. Run it with `node --import tsx benchmarks/cases/lint.ts [size]`; exit 1 if a case grows faster.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lint } from '../../database/migrator/lint/lint.ts';
import { largeMigrations } from '../../test/database/migrator/lint/large.ts';

/** Factor by which the time may grow with four times the size. Quadratic time grows by 16. */
const allowedGrowth = 7;

const size = Number(process.argv[2] ?? 4_000);
const folder = mkdtempSync(join(tmpdir(), 'llama-db-lint-bench-'));
writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
try {
  for (const [name, migration] of Object.entries(largeMigrations)) {
    const seconds: number[] = [];
    for (const count of [size, size * 4]) {
      const { kind, content } = migration(count);
      const file = join(folder, `${String(count).padStart(4, '0')}_${name.replaceAll(' ', '_')}.${kind}`);
      writeFileSync(file, content);
      const before = process.cpuUsage();
      await lint({ files: [file] });
      const { user, system } = process.cpuUsage(before);
      seconds.push((user + system) / 1_000_000);
    }
    const [small = 0, large = 0] = seconds;
    const growth = large / small;
    const verdict = growth > allowedGrowth ? `grows too fast (limit ${allowedGrowth})` : 'ok';
    process.stdout.write(
      `${size} ${name}: ${small.toFixed(2)} s, four times as many ${large.toFixed(2)} s, factor ${growth.toFixed(1)}: ${verdict}\n`,
    );
    if (growth > allowedGrowth) process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
