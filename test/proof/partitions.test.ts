import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { provePartitions } from './partitions.ts';
import { Random } from './random.ts';

const short = { rounds: 1, rate: 40, read: 3, random: new Random(Random.seed()), log: () => {} };

describe('months added and detached under load (npm run prove -- partitions)', () => {
  it('delay no writer', { timeout: 60_000 }, async () => {
    const { created, detached, longest } = await provePartitions(short);
    expect(created).toBe(4);
    expect(detached).toBe(4);
    expect(longest).toBeLessThan(100);
  });

  it('are reported if they delay a writer', { timeout: 60_000 }, async () => {
    const stopsWriters = provePartitions({
      ...short,
      maintenance: async (client) => {
        await client.query('BEGIN; LOCK TABLE llama.audit_trail IN SHARE MODE');
        await sleep(400);
        await client.query('COMMIT');
      },
    });
    await expect(stopsWriters).rejects.toThrow(/^a writer waited \d{3,} ms for maintenance$/);
  });
});
