/**
 * Kills the post-deploy step with SIGKILL at random moments. The next run always ends with the catalogs of an
 * uninterrupted run, without any repair by hand.
 *
 * Two kinds of runs are killed: a first deployment to an empty server, and a deployment whose pending migration builds
 * indexes outside a transaction over partitions with rows.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { connectionOf, copyDatabase } from '../../local/postgres/address.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { type Finished, migrationsCopy, type Running } from '../commands/run.ts';
import { catalogOf } from '../support/catalog.ts';
import { count, Disproved, difference, type Log, type Proved, quantile } from './proof.ts';
import type { Random } from './random.ts';
import type { Testbed } from './testbed.ts';

export interface KillOptions {
  /** Total number of killed runs. */
  readonly kills: number;
  /** Rows under the indexes that the second kind of run builds. */
  readonly rows: number;
  readonly random: Random;
  readonly log: Log;
}

export interface Killed extends Proved {
  /** Number of kills by the last printed line. */
  readonly moments: ReadonlyMap<string, number>;
  /** Milliseconds that each server process outlived its client. */
  readonly outlived: readonly number[];
}

interface Scenario {
  readonly name: string;
  begin(database: string): Promise<void>;
  run(database: string): Running;
}

interface Measured extends Scenario {
  readonly reference: readonly string[];
  /** Milliseconds from the start to the connection and to the end. */
  readonly span: { readonly connected: number; readonly whole: number };
}

interface Counts {
  readonly moments: Map<string, number>;
  readonly outlived: number[];
  /** Runs that ended before the kill. */
  late: number;
}

/** @throws Disproved for the first killed run after which the next run fails or leaves other catalogs */
export async function proveKills(testbed: Testbed, options: KillOptions): Promise<Killed> {
  const { kills, rows, random, log } = options;
  const counts: Counts = { moments: new Map(), outlived: [], late: 0 };
  const first = Math.ceil(kills * 0.6);
  await killAll(
    testbed,
    {
      name: 'first deployment',
      begin: (database) => testbed.bare(database),
      run: (database) => testbed.deploy(database),
    },
    first,
    options,
    counts,
  );
  // Second, because this database keeps roles that an empty server must not have.
  const migrations = migrationsCopy();
  migrations.write('0990_proof_indexes.ts', buildsIndexes);
  const withRows = `kills_rows_${random.hex(6)}`;
  try {
    await makeRows(testbed, withRows, rows);
    await killAll(
      testbed,
      {
        name: 'indexes over rows',
        begin: (database) => copyDatabase(testbed.server, database, withRows),
        run: (database) => testbed.deploy(database, ['--migrations', migrations.directory]),
      },
      kills - first,
      options,
      counts,
    );
  } finally {
    migrations.drop();
    await testbed.drop(withRows);
  }
  const { moments, outlived, late } = counts;
  for (const [moment, times] of [...moments].sort(([a], [b]) => a.localeCompare(b))) {
    log(`  ${String(times).padStart(4)} ${moment}`);
  }
  log(`  ${late} runs ended before the kill and were repeated`);
  const longest = Math.max(0, ...outlived);
  if (longest > backendTimeoutMs)
    throw new Disproved(`a server process outlived its killed client by more than ${ms(backendTimeoutMs)}`);
  log(
    `  ${outlived.length} runs were connected when they were killed: their server processes ended after ${ms(quantile(outlived, 0.5))} (median), ${ms(longest)} (longest)`,
  );
  return {
    moments,
    outlived,
    summary: `${kills} runs killed; each next run ended with the catalogs of an uninterrupted run`,
  };
}

async function killAll(
  testbed: Testbed,
  unmeasured: Scenario,
  kills: number,
  { random, log }: KillOptions,
  counts: Counts,
): Promise<void> {
  const scenario = await measure(testbed, unmeasured, kills < 20 ? 1 : 3);
  const { name, span, reference } = scenario;
  log(
    `${name}: uninterrupted ${ms(span.whole)}, connected after ${ms(span.connected)}; ${reference.length} lines of catalogs to reproduce`,
  );
  for (let done = 0, nextReport = 20; done < kills; ) {
    const database = `kills_${random.hex(10)}`;
    await scenario.begin(database);
    // Sometimes the repairing run is killed too, and the one after it.
    let wanted = 1;
    while (random.chance(0.25) && done + wanted < kills) wanted += 1;
    const after: string[] = [];
    const watched: Promise<number>[] = [];
    for (let nth = 0; nth < wanted; nth += 1) {
      const killed = await killOnce(testbed, scenario, database, random);
      if (!killed) {
        counts.late += 1;
        break;
      }
      done += 1;
      count(counts.moments, `${name}: ${killed.after}`);
      after.push(killed.after);
      if (killed.outlived) watched.push(killed.outlived);
    }
    if (after.length > 0) await requireConverged(testbed, scenario, database, after);
    counts.outlived.push(...(await Promise.all(watched)));
    await testbed.drop(database);
    if (done >= nextReport) {
      log(`${name}: ${done} of ${kills} killed, each repaired by the next run`);
      nextReport += 20;
    }
  }
}

interface Kill {
  /** Its last printed line. */
  readonly after: string;
  /** Milliseconds that its server process outlived it; absent without one. */
  readonly outlived?: Promise<number>;
}

/** @returns undefined if the run ended before the kill */
async function killOnce(
  testbed: Testbed,
  { run, span }: Measured,
  database: string,
  random: Random,
): Promise<Kill | undefined> {
  // The start of Node is a third of the run and does not touch the database, so it gets only a tenth of the kills.
  const early = random.chance(0.1);
  const moment = random.next() * (early ? span.connected : span.whole - span.connected);
  const running = run(database);
  let over = false;
  const finished = running.finished.finally(() => {
    over = true;
  });
  while (!early && !over && !running.printed().includes('Connected to')) await sleep(1);
  await sleep(moment);
  running.kill();
  const { code, stdout, stderr } = await finished;
  if (code !== 137) {
    if (code === 0) return undefined;
    throw new Disproved(`a run on its own failed: ${stderr.trim()}`);
  }
  return {
    after: lastLine(stdout),
    // The next run must not wait for this: both run side by side.
    ...(stdout.includes('Connected to') ? { outlived: backendsGone(testbed, database, running.pid) } : {}),
  };
}

/** Milliseconds that a server process may outlive its client. A longer one would keep the lock from the next run. */
const backendTimeoutMs = 30_000;

/** Milliseconds until the server processes of a killed client have ended; infinite after the timeout. */
async function backendsGone(testbed: Testbed, database: string, client: number): Promise<number> {
  const start = performance.now();
  return within(connectionOf(testbed.server, 'superuser', { database: 'postgres' }), async (watcher) => {
    for (;;) {
      const { rowCount } = await watcher.query(
        'SELECT FROM pg_stat_activity WHERE datname = $1 AND application_name LIKE $2',
        [database, `% ${client})`],
      );
      const waited = performance.now() - start;
      if (rowCount === 0) return waited;
      if (waited > backendTimeoutMs) return Number.POSITIVE_INFINITY;
      await sleep(20);
    }
  });
}

async function requireConverged(
  testbed: Testbed,
  { name, run, reference }: Measured,
  database: string,
  after: readonly string[],
): Promise<void> {
  const where = `${name}, killed after "${after.join('" and "')}", on database ${database}`;
  requireDone(await run(database).finished, where);
  const differing = difference(reference, await stateOf(testbed, database));
  if (differing.length > 0) {
    throw new Disproved(
      `${where}: other catalogs than an uninterrupted run leaves: ${differing.slice(0, 8).join('; ')}`,
    );
  }
}

/** Catalogs, roles, and the ledger's entry of each version. */
async function stateOf(testbed: Testbed, database: string): Promise<readonly string[]> {
  const catalogs = await catalogOf(connectionOf(testbed.server, 'superuser', { database }));
  return [...catalogs, ...(await testbed.roles())];
}

async function measure(testbed: Testbed, scenario: Scenario, rounds: number): Promise<Measured> {
  const connected: number[] = [];
  const whole: number[] = [];
  let reference: readonly string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const database = `kills_reference_${process.pid}_${round}`;
    await scenario.begin(database);
    const start = performance.now();
    const running = scenario.run(database);
    let over = false;
    const finished = running.finished.finally(() => {
      over = true;
    });
    while (!over && !running.printed().includes('Connected to')) await sleep(1);
    connected.push(performance.now() - start);
    requireDone(await finished, `${scenario.name}, uninterrupted`);
    whole.push(performance.now() - start);
    const state = await stateOf(testbed, database);
    if (round > 0 && difference(reference, state).length > 0) {
      throw new Error(
        `two uninterrupted runs differ: ${difference(reference, state).slice(0, 8).join('; ')}`,
      );
    }
    reference = state;
    await testbed.drop(database);
  }
  return {
    ...scenario,
    reference,
    span: { connected: quantile(connected, 0.5), whole: quantile(whole, 0.5) },
  };
}

function requireDone({ code, stderr }: Finished, where: string): void {
  if (code !== 0) throw new Disproved(`${where}: the run ended with status ${code}: ${stderr.trim()}`);
}

/** Creates a deployed database with rows in the current and the last month. */
async function makeRows(testbed: Testbed, database: string, rows: number): Promise<void> {
  await testbed.bare(database);
  requireDone(await testbed.deploy(database).finished, 'the deployment before the rows');
  await testbed.query(
    database,
    `INSERT INTO llama.storage_records
       (tenant_id, source_data_hash, mapped_data, model_version, detector_type, confidence_score, "timestamp")
     SELECT 'tenant-' || n % 50, md5(n::text), jsonb_build_object('n', n), 'model-' || n % 7, 'detector-' || n % 5,
            (n % 1000) / 1000.0, date_trunc('month', now(), 'UTC') - make_interval(mins => n % 40000) + interval '14 days'
       FROM generate_series(1, $1) AS n`,
    [rows],
  );
  // Rows that stay unsealed for a quarter of an hour are a finding in every later run.
  for (let sealed = 0; sealed < rows; ) {
    const [found] = await testbed.query(database, 'SELECT llama.seal_audit_trail()::int AS sealed');
    sealed += Number(found?.['sealed']);
  }
}

/** A migration with three indexes, so that kills leave an index in each intermediate state of its builder. */
const buildsIndexes = `
import { buildPartitionedIndex, dropPartitionedIndex } from '../database/indexes/partitioned-index.ts';

const indexes = [
  { table: 'llama.storage_records', name: 'proof_hash', definition: '(source_data_hash, "timestamp")' },
  { table: 'llama.storage_records', name: 'proof_mapped', using: 'gin', definition: '(mapped_data)' },
  { table: 'llama.audit_trail', name: 'proof_values', definition: '(record_key, "timestamp")' },
];

export async function up(pgm) {
  pgm.noTransaction();
  for (const index of indexes) await buildPartitionedIndex(pgm, index);
}

export async function down(pgm) {
  pgm.noTransaction();
  for (const index of indexes) await dropPartitionedIndex(pgm, index);
}
`;

/** The last line without its durations, targets and numbers, which differ between runs. */
function lastLine(printed: string): string {
  const line = printed.trimEnd().split('\n').at(-1) ?? '';
  if (line === '') return 'it had printed no line';
  return line
    .replace(/ \([\d.]+ (ms|s)\)$/, '')
    .replace(/^Connected to .*/, 'Connected')
    .replace(/^Prepared .*/, 'Prepared')
    .replace(/^Done: .*/, 'Done');
}

function ms(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}
