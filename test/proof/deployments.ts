/**
 * Runs two deployments at once: one applies the migrations. The other waits for it and finds nothing to do, or ends with
 * one clear error.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { connectionOf } from '../../local/postgres/address.ts';
import { type Finished, migrationsCopy } from '../commands/run.ts';
import { migrations } from '../migrations/apply.ts';
import { catalogOf } from '../support/catalog.ts';
import { count, Disproved, difference, type Log, type Proved, tally } from './proof.ts';
import type { Random } from './random.ts';
import type { Testbed } from './testbed.ts';

export interface DeploymentsOptions {
  /** Pairs of deployments. */
  readonly pairs: number;
  readonly random: Random;
  readonly log: Log;
}

/** The database before the two runs, and whether the second one waits. */
type Variant = 'empty' | 'empty, not waiting' | 'half-migrated' | 'half-migrated, not waiting';

const variants: readonly Variant[] = [
  'empty',
  'half-migrated',
  'empty, not waiting',
  'half-migrated, not waiting',
];

/** Every line that a deployment may print; any other line disproves the claim. */
const expected = {
  stdout: [
    /^Connected to \S+(?: \(at \S+\))?, database \w+ as \S+ \([\d.]+ m?s\)$/,
    /^Waiting for another run to finish: (the lock is held by backend \d+, llama-db post-deploy \([^)]+\), login \S+, connected since \S+|it let go of its lock this moment)$/,
    /^Prepared [\w ,]+ \([\d.]+ m?s\)$/,
    /^Applied \d{4}_\w+ \([\d.]+ m?s\)$/,
    /^Nothing to migrate: (\d+) of \1 applied$/,
    /^(Table|Partition) \w+ (changed|created)(: .+)?$/,
    /^Created (logins|extensions) .+$/,
    /^Scheduled: .+$/,
    /^Verified: \d+ passed, 0 failed, \d+ skipped \([\d.]+ m?s\)$/,
    /^Note: (Replica \S+ is not inspected: .+|This server does not offer the extensions .+: skipped|pg_cron is not on this server: .+)$/,
    /^Done: \S+(?: \(at \S+\))?, database \w+ is deployed, verified \([\d.]+ m?s\)$/,
  ],
  refusal:
    /^Another run works on \S+(?: \(at \S+\))?, database \w+: (the lock is held by backend \d+, llama-db post-deploy \([^)]+\), login \S+, connected since \S+|it let go of its lock this moment); waited [\d.]+ m?s\. Wait until it has finished and run the command again, or wait longer with --lock-wait <seconds>\.$/,
} as const;

/** @throws Disproved for the first pair that applies a migration twice, prints an unexpected line or does not converge */
export async function proveDeployments(
  testbed: Testbed,
  { pairs, random, log }: DeploymentsOptions,
): Promise<Proved & { readonly ends: ReadonlyMap<string, number> }> {
  const ends = new Map<string, number>();
  let reference: readonly string[] | undefined;
  for (let pair = 1; pair <= pairs; pair += 1) {
    const variant = variants[(pair - 1) % variants.length] ?? 'empty';
    const database = `deployments_${random.hex(10)}`;
    const where = `pair ${pair} (${variant}), database ${database}`;
    await begin(testbed, database, variant, random, where);
    const before = await appliedOf(testbed, database);
    const args = variant.endsWith('not waiting') ? ['--lock-wait', '0'] : [];
    const one = testbed.deploy(database, args);
    // Half of the pairs start at the same moment; in the others, the first run is somewhere in the middle.
    if (random.chance(0.5)) await sleep(random.next() * 700);
    const two = testbed.deploy(database, args);
    const both = await Promise.all([one.finished, two.finished]);
    count(ends, `${variant}: ${judge(both, variant, migrations.length - before.length, where)}`);
    await requireOneHistory(testbed, database, where);
    const state = [
      ...(await catalogOf(connectionOf(testbed.server, 'superuser', { database }))),
      ...(await testbed.roles()),
    ];
    reference ??= state;
    const differing = difference(reference, state);
    if (differing.length > 0) {
      throw new Disproved(
        `${where}: the catalogs differ from those of the first pair: ${differing.slice(0, 8).join('; ')}`,
      );
    }
    await testbed.drop(database);
    if (pair % 10 === 0) log(`${pair} of ${pairs}: ${tally(ends)}`);
  }
  return { ends, summary: `${pairs} pairs, in each exactly one applied: ${tally(ends)}` };
}

/** Creates an empty database, or one that an earlier version has deployed to. */
async function begin(
  testbed: Testbed,
  database: string,
  variant: Variant,
  random: Random,
  where: string,
): Promise<void> {
  await testbed.bare(database);
  if (variant.startsWith('empty')) return;
  const half = migrationsCopy();
  try {
    // At least one migration is applied, and at least two are pending.
    const kept = 1 + random.below(migrations.length - 2);
    for (const { path } of migrations.slice(kept)) half.remove(path.split('/').at(-1) ?? path);
    const { code, stderr } = await testbed.migrate(database, half.directory).finished;
    if (code !== 0) throw new Error(`${where}: the first half could not be applied: ${stderr.trim()}`);
  } finally {
    half.drop();
  }
}

/** @returns the end of the pair, as a short phrase */
function judge(both: readonly Finished[], variant: Variant, pending: number, where: string): string {
  const claim = (holds: boolean, what: string) => {
    if (!holds) {
      const printed = both.map(({ code, stdout, stderr }) => `[exit ${code}]\n${stdout}${stderr}`).join('\n');
      throw new Disproved(`${where}: ${what}:\n${printed}`);
    }
  };
  const applied = both.map(({ stdout }) => stdout.match(/^Applied /gm)?.length ?? 0).sort((a, b) => a - b);
  claim(
    applied[0] === 0 && applied[1] === pending,
    `${applied[1]} and ${applied[0]} applied of ${pending} pending`,
  );
  for (const { stdout, stderr, code } of both) {
    for (const line of stdout.trimEnd().split('\n').filter(Boolean)) {
      claim(
        expected.stdout.some((pattern) => pattern.test(line)),
        `unexpected line "${line}"`,
      );
    }
    if (code === 0) claim(stderr === '', `unexpected on stderr: "${stderr.trim()}"`);
    else
      claim(
        code === 1 && expected.refusal.test(stderr.trimEnd()),
        `ended with exit status ${code} and "${stderr.trim()}"`,
      );
  }
  const refused = both.filter(({ code }) => code === 1);
  claim(refused.length < 2, 'both ended without applying');
  claim(
    refused.length === 0 || variant.endsWith('not waiting'),
    'one ended at once although it could have waited a minute',
  );
  if (refused.length === 1) {
    claim(
      (refused[0]?.stdout.match(/^Applied /gm)?.length ?? 0) === 0,
      'the one that ended at once had applied a migration',
    );
    return 'one ended at once';
  }
  return both.some(({ stdout }) => stdout.includes('Waiting for another run'))
    ? 'one waited for the other'
    : 'one connected after the other had ended';
}

async function appliedOf(testbed: Testbed, database: string): Promise<readonly string[]> {
  const [ledger] = await testbed.query<{ there: boolean }>(
    database,
    "SELECT to_regclass('llama.schema_migrations') IS NOT NULL AS there",
  );
  if (!ledger?.there) return [];
  const rows = await testbed.query<{ version: string }>(
    database,
    "SELECT version FROM llama.schema_migrations WHERE direction = 'up' AND outcome = 'applied'",
  );
  return rows.map(({ version }) => version);
}

/** Requires one attempt per version, applied: no migration was begun twice. */
async function requireOneHistory(testbed: Testbed, database: string, where: string): Promise<void> {
  const rows = await testbed.query<{ version: string; outcomes: string }>(
    database,
    "SELECT version, string_agg(direction || ' ' || outcome, ', ') AS outcomes FROM llama.schema_migrations GROUP BY 1",
  );
  const wrong = rows.filter(({ outcomes }) => outcomes !== 'up applied');
  if (rows.length === migrations.length && wrong.length === 0) return;
  const list = wrong.map(({ version, outcomes }) => `${version}: ${outcomes}`).join('; ');
  throw new Disproved(`${where}: the ledger has ${rows.length} of ${migrations.length} versions; ${list}`);
}
