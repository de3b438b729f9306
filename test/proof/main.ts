/**
 * `npm run prove -- <name> [options]`: the long runs behind what this project claims of itself (docs/proofs.md). Each
 * prints its seed, its progress and its result, and exits 0 when the claim held, 1 when it did not.
 */
import { Command, InvalidArgumentError } from 'commander';
import { duration } from '../../core/text.ts';
import { Disproved, type Proved, type Say } from './proof.ts';
import { Random } from './random.ts';

const say: Say = (line) => void process.stdout.write(`${line}\n`);

const program = new Command('prove').description('long runs that try to disprove what this project claims');

const whole = (text: string): number => {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new InvalidArgumentError('a whole number is wanted.');
};

function proof<Options extends object>(
  name: string,
  description: string,
  options: readonly (readonly [flags: string, description: string, byDefault: number])[],
  prove: (options: Options, random: Random) => Promise<Proved>,
): void {
  const command = program.command(name).description(description);
  for (const [flags, text, byDefault] of options) command.option(flags, text, whole, byDefault);
  command.option('--seed <number>', 'repeat the run that printed it', whole);
  command.action(async (given: Options & { readonly seed?: number }) => {
    const random = new Random(given.seed ?? Random.seed());
    const start = performance.now();
    say(`${name}: seed ${random.seed}`);
    try {
      const { summary } = await prove(given, random);
      say(`HELD: ${summary} (seed ${random.seed}, ${duration(performance.now() - start)})`);
    } catch (error) {
      if (!(error instanceof Disproved)) throw error;
      say(`DISPROVED: ${error.message} (seed ${random.seed}, ${duration(performance.now() - start)})`);
      process.exitCode = 1;
    }
  });
}

proof<{ readonly kills: number; readonly rows: number }>(
  'kills',
  'kill -9 of the post-deploy step at moments of chance; the next run mends it',
  [
    ['--kills <number>', 'runs to kill', 200],
    ['--rows <number>', 'rows that indexes are built over', 60_000],
  ],
  async (options, random) => {
    const [{ proveKills }, { productionStage }] = await Promise.all([
      import('./kills.ts'),
      import('./stage.ts'),
    ]);
    const stage = await productionStage();
    try {
      return await proveKills(stage, { ...options, random, say });
    } finally {
      await stage.server.stop();
    }
  },
);

proof<{ readonly pairs: number }>(
  'deployments',
  'two post-deploy steps at once; one applies, the other waits or leaves with a clear line',
  [['--pairs <number>', 'pairs of deployments', 50]],
  async (options, random) => {
    const [{ proveDeployments }, { productionStage }] = await Promise.all([
      import('./deployments.ts'),
      import('./stage.ts'),
    ]);
    const stage = await productionStage();
    try {
      return await proveDeployments(stage, { ...options, random, say });
    } finally {
      await stage.server.stop();
    }
  },
);

proof<{ readonly statements: number; readonly workers: number }>(
  'isolation',
  "random statements of the application's role; nothing of another tenant is read, written or told by an error",
  [
    ['--statements <number>', 'statements', 100_000],
    ['--workers <number>', 'runs side by side, each with the next seed', 4],
  ],
  async (options, random) => {
    const [{ proveIsolation }, { isolationStage }] = await Promise.all([
      import('./isolation/run.ts'),
      import('./isolation/stage.ts'),
    ]);
    const { server, template, version } = await isolationStage();
    say(`PostgreSQL ${version}`);
    try {
      return await proveIsolation({ ...options, server, template, random, say });
    } finally {
      await server.stop();
    }
  },
);

proof<{ readonly rounds: number; readonly rate: number; readonly read: number }>(
  'partitions',
  'months added and detached beside a long read and steady writes; no writer waits for it longer than 100 ms',
  [
    ['--rounds <number>', 'times that months are added and detached', 3],
    ['--rate <number>', 'writes a second', 200],
    ['--read <seconds>', 'how long one read lasts', 10],
  ],
  async (options, random) => {
    const { provePartitions } = await import('./partitions.ts');
    return provePartitions({ ...options, random, say });
  },
);

proof<{ readonly rows: number; readonly tenants: number }>(
  'retention',
  'erasing records past their retention in batches: rows a second, and the longest transaction',
  [
    ['--rows <number>', 'records that are due', 50_000],
    ['--tenants <number>', 'tenants that have them', 200],
  ],
  async (options) => {
    const { proveRetention } = await import('./retention.ts');
    return proveRetention({ ...options, say });
  },
);

await program.parseAsync();
