/** Repeats work that certainly was not done. */
import { ExponentialBackoff, handleWhen, retry } from 'cockatiel';
import type { RetryOptions } from '../configuration/options.ts';
import { onAbort } from '../pool/abort.ts';
import { AttemptFailed } from '../tenant/transaction.ts';

/**
 * The result of the first attempt that succeeds. Delays double and have jitter. A success at once costs nothing of this.
 *
 * @throws the cause of the last attempt
 */
export async function repeated<Result>(
  { forMs = 15_000, firstDelayMs = 50, longestDelayMs = 1000 }: RetryOptions,
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  const endsAt = performance.now() + forMs;
  try {
    return await work();
  } catch (first) {
    if (!isRepeatable(first) || forMs === 0) throw causeOf(first);
    const policy = retry(
      handleWhen((error) => isRepeatable(error) && performance.now() < endsAt && signal?.aborted !== true),
      { backoff: new ExponentialBackoff({ initialDelay: firstDelayMs, maxDelay: longestDelayMs }) },
    );
    let isFirst = true;
    const again = () => {
      if (!isFirst) return work();
      isFirst = false;
      // The policy waits after a failure, so it begins with the one that has happened.
      throw first;
    };
    // The policy adds listeners to the signal that it gets.
    const waiting = new AbortController();
    const forget = onAbort(signal, () => waiting.abort(signal?.reason));
    try {
      return await policy.execute(again, waiting.signal);
    } catch (last) {
      throw causeOf(last);
    } finally {
      forget();
    }
  }
}

function isRepeatable(error: unknown): boolean {
  return error instanceof AttemptFailed && error.isRepeatable;
}

function causeOf(error: unknown): unknown {
  return error instanceof AttemptFailed ? error.cause : error;
}
