/**
 * How the time of an audited write grows with the document: insert, update and delete of one record from 1 KB to 16 MB. Four
 * times the size takes about four times as long.
 */
import pg from 'pg';
import { type Benchmark, median } from '../benchmark.ts';
import { durableServer, migrateServer, onServer, versionOf } from '../subject.ts';

/** Bytes as JSON text. */
const sizes = [1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216] as const;
/** Below it, the growth is that of fixed costs and of TOAST. */
const smallest = 262_144;

/** Text of a document of about so many bytes. The round makes each document new. */
const documents: Readonly<Record<string, (bytes: number, round: number) => string>> = {
  strings: (bytes, round) =>
    JSON.stringify({ list: Array.from({ length: bytes / 16 }, (_, n) => text(n, round)) }),
  numbers: (bytes, round) =>
    JSON.stringify({ list: Array.from({ length: bytes / 9 }, (_, n) => 10_000_000 + n + round) }),
  wide: (bytes, round) =>
    JSON.stringify(
      Object.fromEntries(Array.from({ length: bytes / 26 }, (_, n) => [text(n, 0), 1_000_000 + round])),
    ),
  nested: (bytes, round) => {
    // PostgreSQL's parser refuses more than about 6,000 levels.
    const depth = Math.min(2000, bytes / 16);
    const one = `${'{"a":['.repeat(depth / 2)}"${text(depth, round)}"${']}'.repeat(depth / 2)}`;
    return `{"list":[${Array.from({ length: Math.max(1, Math.floor(bytes / (one.length + 1))) }, () => one).join()}]}`;
  },
  'one string': (bytes, round) => JSON.stringify({ text: text(round, round).repeat(bytes / 13) }),
};

const text = (n: number, round: number) =>
  `${(n * 7919) % 1_000_003}`.padStart(8, '0') + `${round}`.padStart(5, '.');

export const benchmark: Benchmark = {
  name: 'documents',
  description:
    'growth of the time of an audited insert, update and delete with four times the document; the worst kind',
  rounds: 3,
  run: ({ rounds, log }) =>
    onServer(durableServer, async (server) => {
      await migrateServer(server);
      const client = new pg.Client(server.connection('superuser', { database: 'bench' }));
      await client.connect();
      try {
        let worst = 0;
        let slowest = 0;
        for (const [kind, make] of Object.entries(documents)) {
          let previous: readonly number[] | undefined;
          for (const bytes of sizes) {
            const runs: Array<readonly number[]> = [];
            for (let round = 1; round <= rounds; round += 1)
              runs.push(await measure(client, make(bytes, round), make(bytes, round + 500)));
            const seconds = [0, 1, 2].map((nth) => median(runs.map((run) => run[nth] ?? 0)));
            const growth = seconds.map((one, nth) => (previous ? one / (previous[nth] ?? one) : Number.NaN));
            log(
              `${kind}, ${bytes / 1024} KB: ${['insert', 'update', 'delete']
                .map(
                  (name, nth) =>
                    `${name} ${((seconds[nth] ?? 0) * 1000).toFixed(0)} ms${previous ? ` (${growth[nth]?.toFixed(1)})` : ''}`,
                )
                .join(', ')}`,
            );
            if (bytes > smallest) worst = Math.max(worst, ...growth);
            slowest = Math.max(slowest, ...seconds);
            previous = seconds;
          }
        }
        return {
          serverVersion: await versionOf(server),
          figures: { growth: { value: worst, unit: '' }, 'slowest statement': { value: slowest, unit: 's' } },
        };
      } finally {
        await client.end();
      }
    }),
};

/** @returns seconds of an insert, an update of the whole document, and a delete; of the server's statements only */
async function measure(client: pg.Client, first: string, second: string): Promise<readonly number[]> {
  await client.query('CREATE TEMP TABLE document AS SELECT $1::jsonb AS first, $2::jsonb AS second', [
    first,
    second,
  ]);
  const statements = [
    `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
     SELECT 'tenant', 'h', first, 'm', 'd' FROM document`,
    'UPDATE llama.storage_records SET mapped_data = (SELECT second FROM document)',
    'DELETE FROM llama.storage_records',
  ];
  const seconds: number[] = [];
  for (const statement of statements) {
    const start = performance.now();
    await client.query(statement);
    seconds.push((performance.now() - start) / 1000);
  }
  await client.query('DROP TABLE document');
  await client.query('TRUNCATE llama.storage_records');
  return seconds;
}
