/**
 * Seconds that the whole command takes, process included, against a local server: on an empty database, and
 * again with nothing to do. Run it with `node --import tsx benchmarks/cases/post-deploy.ts [rounds]`.
 */
import { startPostgres } from '../../local/postgres/server.ts';
import { run } from '../../test/commands/run.ts';

/** Seconds allowed on the reference machine (two cores). */
const limits = { empty: 3, nothing: 1 } as const;

const rounds = Number(process.argv[2] ?? 5);
const server = await startPostgres();
const seconds: Record<keyof typeof limits, number[]> = { empty: [], nothing: [] };
try {
  for (let round = 1; round <= rounds; round += 1) {
    const database = `bench_${round}`;
    await server.createDatabase(database);
    const args = ['post-deploy', '--url', server.url('migrator', { database })];
    for (const kind of ['empty', 'nothing'] as const) {
      const start = performance.now();
      const { code, stderr } = await run(args);
      seconds[kind].push((performance.now() - start) / 1000);
      if (code !== 0) throw new Error(stderr);
    }
  }
} finally {
  await server.stop();
}
for (const kind of ['empty', 'nothing'] as const) {
  const sorted = seconds[kind].sort((a, b) => a - b);
  const [best = 0, median = 0, worst = 0] = [0, Math.floor(sorted.length / 2), sorted.length - 1].map(
    (index) => sorted[index],
  );
  const name = kind === 'empty' ? 'empty server' : 'nothing to do';
  process.stdout.write(
    `${name}: median ${median.toFixed(2)} s, best ${best.toFixed(2)}, worst ${worst.toFixed(2)} (limit ${limits[kind]} s, ${rounds} rounds)\n`,
  );
}
