/** Retention by whole partitions for a login that may not act as the owner: one function call per partition. */
import { sqlState } from '../diagnosis.ts';
import { type Attempt, type Due, eraseCopies, partitionsPastRetention, whyDueStays } from './detach.ts';
import { briefly, type Run } from './run.ts';

/** SQLSTATEs of a partition that stays: rows that differ from their seals, or a state that forbids the removal. */
const refusals = new Set(['XX001', '55000']);

/**
 * Removes every partition past retention in which no tenant has records left. Tables that an earlier run of the owner
 * detached are left to its next run.
 */
export async function removeExpired(run: Run, attempt: Attempt): Promise<void> {
  await attempt('Partitions past retention', async () => {
    for (const due of await partitionsPastRetention(run)) {
      const reason = whyDueStays(due);
      if (reason) run.act({ step: 'partitions', done: 'left attached', object: due.leaf, ...reason });
      else await attempt(`Partition ${due.leaf}`, () => remove(run, due));
    }
  });
}

async function remove(run: Run, due: Due): Promise<void> {
  const { table, leaf } = due;
  try {
    await eraseCopies(run, due);
    await briefly(run, `Removing partition ${leaf}`, () =>
      run.connection.client.query('SELECT llama.remove_partition_past_retention($1, $2)', [table, leaf]),
    );
    run.act({ step: 'partitions', done: 'dropped', object: leaf });
  } catch (error) {
    if (!refusals.has(sqlState(error) ?? '') || !(error instanceof Error)) throw error;
    run.act({ step: 'partitions', done: 'left attached', object: leaf, detail: error.message });
  }
}
