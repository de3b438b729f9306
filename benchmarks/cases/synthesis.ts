/**
 * Time and memory of synthesizing all environments, compared with loading cdktf and the same bindings under the same
 * runner.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Benchmark, median } from '../benchmark.ts';

const root = join(import.meta.dirname, '../..');

interface Run {
  readonly seconds: number;
  readonly memoryMb: number;
}

export const benchmark: Benchmark = {
  name: 'synthesis',
  description: 'seconds and memory of synthesizing all environments, beside only loading the bindings',
  rounds: 9,
  async run({ rounds, log }) {
    // Inside the project, so that imports resolve as in main.ts.
    const scratch = mkdtempSync(join(root, 'node_modules', '.bench-'));
    try {
      const loading = join(scratch, 'loading.mts');
      writeFileSync(loading, bindings().join('\n'));
      const runs = { loading: [] as Run[], synthesis: [] as Run[] };
      // Alternately, so that other load on the machine affects both alike.
      for (let round = 0; round <= rounds; round += 1) {
        const pair = {
          loading: measure(loading, scratch),
          synthesis: measure(join(root, 'main.ts'), scratch),
        };
        // The first round fills the runner's cache of compiled files.
        if (round === 0) continue;
        runs.loading.push(pair.loading);
        runs.synthesis.push(pair.synthesis);
        log(
          `round ${round}: loading ${pair.loading.seconds.toFixed(2)} s, synthesis ${pair.synthesis.seconds.toFixed(2)} s`,
        );
      }
      const seconds = (kind: keyof typeof runs) => median(runs[kind].map((run) => run.seconds));
      return {
        figures: {
          loading: { value: seconds('loading'), unit: 's' },
          synthesis: { value: seconds('synthesis'), unit: 's' },
          ratio: { value: seconds('synthesis') / seconds('loading'), unit: '' },
          memory: { value: Math.max(...runs.synthesis.map(({ memoryMb }) => memoryMb)), unit: 'MB' },
        },
      };
    } finally {
      rmSync(scratch, { recursive: true });
    }
  },
};

function measure(file: string, scratch: string): Run {
  // Each process reports its own peak: a parent sees only the largest peak of all its children.
  const report = `process.on('exit', () => process.stderr.write('maxRSS ' + process.resourceUsage().maxRSS))`;
  const start = performance.now();
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--import', `data:text/javascript,${encodeURIComponent(report)}`, file],
    { cwd: root, encoding: 'utf8', env: { ...process.env, CDKTF_OUTDIR: join(scratch, 'out') } },
  );
  const seconds = (performance.now() - start) / 1000;
  if (status !== 0) throw new Error(`${file} failed: ${stderr}`);
  return { seconds, memoryMb: Number(/maxRSS (\d+)$/.exec(stderr)?.[1]) / 1024 };
}

/** Imports of cdktf and of every binding that main.ts loads, and nothing else. */
function bindings(): string[] {
  const imported = ['stacks', 'constructs']
    .flatMap((room) =>
      readdirSync(join(root, room)).map((file) => readFileSync(join(root, room, file), 'utf8')),
    )
    .flatMap((source) => [
      ...source.matchAll(
        /^import (?!type\b)[^;]*?from '(cdktf|constructs|@cdktf\/provider-azurerm\/[^']+)';/gm,
      ),
    ])
    .map(([, name]) => name);
  return [...new Set(imported)].sort().map((name) => `import '${name}';`);
}
