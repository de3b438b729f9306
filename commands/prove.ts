import { type Command, Option } from 'commander';
import { azurermVersion } from '../azure/provider.ts';
import { duration } from '../core/text.ts';
import type { Log, Proved } from '../test/proof/proof.ts';
import type { Random } from '../test/proof/random.ts';
import type { Successors } from '../test/proof/successors.ts';
import { wholeNumber } from './common/options.ts';

const log: Log = (line) => void process.stdout.write(`${line}\n`);

interface Proof<Options> {
  readonly name: string;
  readonly description: string;
  readonly options: readonly (readonly [
    flags: string,
    description: string,
    byDefault: number | string,
    choices?: readonly string[],
  ])[];
  prove(options: Options, random: Random): Promise<Proved>;
}

/** Long runs that try to disprove a claim of this project (docs/proofs.md). Tests run a shorter version of each. */
export function register(program: Command): void {
  const prove = program
    .command('prove')
    .description('try to disprove the claims of this project in long runs (docs/proofs.md)')
    .addHelpText('after', '\nExample: llama-db prove kills --kills 20');
  add<{ readonly kills: number; readonly rows: number }>(prove, {
    name: 'kills',
    description: 'kill -9 the post-deploy step at random moments; the next run repairs the database',
    options: [
      ['--kills <number>', 'runs to kill', 200],
      ['--rows <number>', 'rows under the indexes that are built', 60_000],
    ],
    async prove(options, random) {
      const { proveKills } = await import('../test/proof/kills.ts');
      return onProductionTestbed((testbed) => proveKills(testbed, { ...options, random, log }));
    },
  });
  add<{ readonly pairs: number }>(prove, {
    name: 'deployments',
    description: 'run two post-deploy steps at once; one applies, the other waits or ends with a clear error',
    options: [['--pairs <number>', 'pairs of deployments', 50]],
    async prove(options, random) {
      const { proveDeployments } = await import('../test/proof/deployments.ts');
      return onProductionTestbed((testbed) => proveDeployments(testbed, { ...options, random, log }));
    },
  });
  add<{ readonly statements: number; readonly pooled: number; readonly workers: number }>(prove, {
    name: 'isolation',
    description:
      "run random statements in the application's role; none reveals or changes another tenant's data",
    options: [
      ['--statements <number>', 'statements beside another tenant', 100_000],
      ['--pooled <number>', 'statements of two tenants in shared sessions', 100_000],
      ['--workers <number>', 'parallel runs, each with the next seed', 4],
    ],
    async prove(options, random) {
      const [{ proveIsolation }, { provePooled }, { isolationTestbed }] = await Promise.all([
        import('../test/proof/isolation/run.ts'),
        import('../test/proof/isolation/pooled.ts'),
        import('../test/proof/isolation/testbed.ts'),
      ]);
      const { server, template, version } = await isolationTestbed();
      log(`PostgreSQL ${version}`);
      try {
        const beside = await proveIsolation({ ...options, server, template, random, log });
        const shared = { ...options, statements: options.pooled };
        const pooled = await provePooled({ ...shared, server, template, random, log });
        return { summary: `${beside.summary}; ${pooled.summary}` };
      } finally {
        await server.stop();
      }
    },
  });
  add<{ readonly rounds: number; readonly rate: number; readonly read: number }>(prove, {
    name: 'partitions',
    description:
      'add and detach months beside a long read and steady writes; no writer waits longer than 100 ms',
    options: [
      ['--rounds <number>', 'rounds of adding and detaching months', 3],
      ['--rate <number>', 'writes per second', 200],
      ['--read <seconds>', 'duration of one read', 10],
    ],
    async prove(options, random) {
      const { provePartitions } = await import('../test/proof/partitions.ts');
      return provePartitions({ ...options, random, log });
    },
  });
  add<{ readonly rows: number; readonly tenants: number }>(prove, {
    name: 'retention',
    description:
      'erase records past their retention in batches; reports rows per second and the longest transaction',
    options: [
      ['--rows <number>', 'records past their retention', 50_000],
      ['--tenants <number>', 'tenants that own them', 200],
    ],
    async prove(options) {
      const { proveRetention } = await import('../test/proof/retention.ts');
      return proveRetention({ ...options, log });
    },
  });
  add<{ readonly rate: number; readonly seconds: number; readonly stop: number }>(prove, {
    name: 'runtime-failures',
    description:
      'restart, stop and kill a primary under writes of the runtime; no acknowledged write is lost, none doubled',
    options: [
      ['--rate <number>', 'writes per second', 200],
      ['--seconds <number>', 'seconds of writes around each failure', 10],
      ['--stop <seconds>', 'duration of the stop', 30],
    ],
    async prove(options, random) {
      const { proveRuntimeFailures } = await import('../test/proof/runtime-failures.ts');
      return proveRuntimeFailures({ ...options, random, log });
    },
  });
  add<{ readonly tenants: number; readonly connections: number }>(prove, {
    name: 'runtime-tenants',
    description:
      'interleave tenants on few connections of the runtime, directly and through PgBouncer; none sees a row of another',
    options: [
      ['--tenants <number>', 'tenants at once', 1000],
      ['--connections <number>', 'connections of the pool', 20],
    ],
    async prove(options, random) {
      const [{ proveRuntimeTenants }, { replicatedServers }, { whyNoPgbouncer }] = await Promise.all([
        import('../test/proof/runtime-tenants.ts'),
        import('../test/runtime/servers.ts'),
        import('../test/runtime/pgbouncer.ts'),
      ]);
      const servers = await replicatedServers();
      const testbed = { server: servers.primary, login: servers.login, options: servers.options(0) };
      const ways = ['nothing', ...(whyNoPgbouncer() ? [] : ['PgBouncer'])] as const;
      if (ways.length === 1) log(`not through PgBouncer: ${whyNoPgbouncer()}`);
      try {
        const summaries: string[] = [];
        for (const through of ways as readonly ('nothing' | 'PgBouncer')[])
          summaries.push((await proveRuntimeTenants({ ...options, testbed, through, random, log })).summary);
        return { summary: summaries.join('; ') };
      } finally {
        await servers.stop();
      }
    },
  });
  add<{ readonly operations: number }>(prove, {
    name: 'runtime-memory',
    description: 'read and write with the runtime for a long time; neither its memory nor its sessions grow',
    options: [['--operations <number>', 'transactions', 1_000_000]],
    async prove({ operations }, random) {
      const [{ proveRuntimeMemory }, { replicatedServers }, { Database }] = await Promise.all([
        import('../test/proof/runtime-memory.ts'),
        import('../test/runtime/servers.ts'),
        import('../runtime/index.ts'),
      ]);
      const servers = await replicatedServers();
      const db = new Database({ ...servers.options(servers.primary.port), pool: { max: 8 } });
      try {
        return await proveRuntimeMemory({
          ...{ db, sessions: () => servers.sessions(), operations, warmUp: 20_000, random, log },
          limits: { heapUsed: 1, external: 1, rss: 20 },
        });
      } finally {
        await db.close({ graceMs: 0 });
        await servers.stop();
      }
    },
  });
  add<{ readonly mutants: number; readonly record: number }>(prove, {
    name: 'plans',
    description:
      'change recorded plans at random; the guard crashes on none, and finds nothing only where nothing changes',
    options: [
      ['--mutants <number>', 'changed plans', 20_000],
      [
        '--record <number>',
        '1 first records the plans again, with Terraform and azurerm on a local Azure',
        0,
      ],
    ],
    async prove({ mutants, record }, random) {
      const [{ provePlans }, { recordPlans }] = await Promise.all([
        import('../test/proof/plans.ts'),
        import('../test/pipeline/plan/recording.ts'),
      ]);
      if (record > 0) await recordPlans(log);
      return provePlans({ mutants, random, log });
    },
  });
  add<object>(prove, {
    name: 'acme',
    description:
      'run all tests and a rehearsal in a copy of this project with other environments, regions and names',
    options: [],
    async prove() {
      const { proveAcme } = await import('../test/proof/acme.ts');
      return proveAcme({ log });
    },
  });
  add<Successors>(prove, {
    name: 'successors',
    description:
      'run the scenarios in a copy of this project with another azurerm, or with the packages that replace the archived ones',
    options: [
      ['--azurerm <version>', 'version of azurerm', azurermVersion],
      ['--packages <which>', 'packages that synthesize', 'archived', ['archived', 'maintained']],
      ['--scenarios <pattern>', 'part of the names to run', ''],
    ],
    async prove(options) {
      const { proveSuccessors } = await import('../test/proof/successors.ts');
      return proveSuccessors({ ...options, log });
    },
  });
  add<object>(prove, {
    name: 'canaries',
    description: 'plant secrets and search everything a server writes for them, on each supported PostgreSQL',
    options: [],
    async prove() {
      const { proveCanaries } = await import('../test/proof/canaries.ts');
      return proveCanaries({ log });
    },
  });
}

function add<Options extends object>(parent: Command, proof: Proof<Options>): void {
  const command = parent.command(proof.name).description(proof.description);
  for (const [flags, text, byDefault, choices] of proof.options) {
    const option = new Option(flags, text).default(byDefault);
    if (choices) option.choices(choices);
    if (typeof byDefault === 'number') option.argParser(wholeNumber);
    command.addOption(option);
  }
  command.option('--seed <number>', 'repeat the run that printed this seed', wholeNumber);
  command.action(async (given: Options & { readonly seed?: number }) => {
    const [{ Disproved }, { Random }] = await Promise.all([
      import('../test/proof/proof.ts'),
      import('../test/proof/random.ts'),
    ]);
    const random = new Random(given.seed ?? Random.seed());
    const start = performance.now();
    const facts = () => `(seed ${random.seed}, ${duration(performance.now() - start)})`;
    log(`${proof.name}: seed ${random.seed}`);
    try {
      const { summary } = await proof.prove(given, random);
      log(`HELD: ${summary} ${facts()}`);
    } catch (error) {
      if (!(error instanceof Disproved)) throw error;
      log(`DISPROVED: ${error.message} ${facts()}`);
      process.exitCode = 1;
    }
  });
}

async function onProductionTestbed(
  prove: (
    testbed: Awaited<ReturnType<typeof import('../test/proof/testbed.ts').productionTestbed>>,
  ) => Promise<Proved>,
): Promise<Proved> {
  const { productionTestbed } = await import('../test/proof/testbed.ts');
  const testbed = await productionTestbed();
  try {
    return await prove(testbed);
  } finally {
    await testbed.server.stop();
  }
}
