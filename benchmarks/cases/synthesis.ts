/**
 * Time and memory of synthesizing all environments, against only loading cdktf and the same bindings under the same
 * runner. Run it with `node --import tsx benchmarks/cases/synthesis.ts [rounds]`; it exits 1 above a limit.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const limits = { ratio: 2, memoryMb: 200 } as const;

const rounds = Number(process.argv[2] ?? 9);
// Inside the project, so that packages are found as they are from main.ts.
const scratch = mkdtempSync(join('node_modules', '.bench-'));
try {
  const loading = join(scratch, 'loading.mts');
  writeFileSync(loading, bindings().join('\n'));
  const measured = { loading: [] as Run[], synthesis: [] as Run[] };
  // One after the other, round by round, so that a busy machine slows both alike.
  for (let round = 0; round <= rounds; round += 1) {
    const pair = { loading: run(loading), synthesis: run('main.ts') };
    // The first round fills the runner's cache of translated files.
    if (round === 0) continue;
    measured.loading.push(pair.loading);
    measured.synthesis.push(pair.synthesis);
  }
  const ratio = median(measured.synthesis, 'seconds') / median(measured.loading, 'seconds');
  const memory = Math.max(...measured.synthesis.map(({ memoryMb }) => memoryMb));
  for (const [name, runs] of Object.entries(measured)) {
    process.stdout.write(
      `${name}: median ${median(runs, 'seconds').toFixed(2)} s, ${median(runs, 'memoryMb').toFixed(0)} MB (${rounds} rounds)\n`,
    );
  }
  process.stdout.write(
    `ratio ${ratio.toFixed(2)} (limit ${limits.ratio}), at most ${memory.toFixed(0)} MB (limit ${limits.memoryMb})\n`,
  );
  process.exitCode = ratio < limits.ratio && memory < limits.memoryMb ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true });
}

interface Run {
  readonly seconds: number;
  readonly memoryMb: number;
}

function run(file: string): Run {
  // Reported by the process itself when it ends; a parent sees the largest of all its children only.
  const report = `process.on('exit', () => process.stderr.write('maxRSS ' + process.resourceUsage().maxRSS))`;
  const start = performance.now();
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--import', `data:text/javascript,${encodeURIComponent(report)}`, file],
    { encoding: 'utf8', env: { ...process.env, CDKTF_OUTDIR: join(scratch, 'out') } },
  );
  const seconds = (performance.now() - start) / 1000;
  if (status !== 0) throw new Error(`${file} failed: ${stderr}`);
  return { seconds, memoryMb: Number(/maxRSS (\d+)$/.exec(stderr)?.[1]) / 1024 };
}

/** Imports of cdktf and of every binding that main.ts loads, and nothing else. */
function bindings(): string[] {
  const imported = ['stacks', 'constructs']
    .flatMap((room) => readdirSync(room).map((file) => readFileSync(join(room, file), 'utf8')))
    .flatMap((source) => [
      ...source.matchAll(
        /^import (?!type\b)[^;]*?from '(cdktf|constructs|@cdktf\/provider-azurerm\/[^']+)';/gm,
      ),
    ])
    .map(([, name]) => name);
  return [...new Set(imported)].sort().map((name) => `import '${name}';`);
}

function median(runs: readonly Run[], what: keyof Run): number {
  const sorted = runs.map((one) => one[what]).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
