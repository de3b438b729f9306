/** Closes several parts in parallel, so that one part that fails to close does not leave the others running. */

import { Fault } from '../core/fault.ts';
import { messageOf } from '../core/text.ts';

/** Something that was started and must be closed. */
export interface Part {
  /** Its name in an error: `the local Azure`. */
  readonly name: string;
  close(): Promise<unknown>;
}

interface Failure {
  readonly name: string;
  readonly reason: unknown;
}

/** Names the parts that did not close. If the work before them failed too, its failure comes first. */
export class NotClosed extends Fault {
  readonly failures: readonly Failure[];
  /** The parts that did not close, the reasons, and the remedy, as one sentence. */
  readonly left: string;

  constructor(failures: readonly Failure[], after?: { readonly failure: unknown }) {
    // Name the inner part, not the part that contains it.
    const all = failures.flatMap((failure) =>
      failure.reason instanceof NotClosed ? failure.reason.failures : [failure],
    );
    const what = `These parts did not close: ${all.map(({ name }) => name).join(', ')}`;
    const why = all.map(({ name, reason }) => `${name}: ${messageOf(reason)}`).join('; ');
    const remedy = 'End the named parts by hand; everything else has ended.';
    const cause = new AggregateError([...(after ? [after.failure] : []), ...all.map(({ reason }) => reason)]);
    const left = `${what} (${why}). ${remedy}`;
    const { failure } = after ?? {};
    if (failure instanceof Fault)
      super(failure.code, failure.what, failure.why, `${failure.remedy} ${left}`, {
        cause,
        exitCode: failure.exitCode,
      });
    else if (after) super('parts/work-failed', 'The work failed', messageOf(failure), left, { cause });
    else super('parts/not-closed', what, why, remedy, { cause });
    this.failures = all;
    this.left = left;
  }
}

/**
 * Closes all parts at once. A failure of one part does not keep the others from closing.
 *
 * @throws NotClosed with every part that did not close, after all others have closed
 */
export async function closeAll(parts: readonly Part[]): Promise<void> {
  const failures = await failuresOf(parts);
  if (failures.length > 0) throw new NotClosed(failures);
}

/**
 * Does the work, then closes the parts it used, whether the work succeeded or not.
 *
 * @param parts called after the work has ended
 * @throws the work's own error; NotClosed with both failures if a part did not close
 */
export async function thenClose<Result>(
  work: () => Promise<Result>,
  parts: () => readonly Part[],
): Promise<Result> {
  const [done] = await Promise.allSettled([work()]);
  const failures = await failuresOf(parts());
  if (done.status === 'fulfilled' && failures.length === 0) return done.value;
  if (done.status === 'fulfilled') throw new NotClosed(failures);
  if (failures.length === 0) throw done.reason;
  throw new NotClosed(failures, { failure: done.reason });
}

async function failuresOf(parts: readonly Part[]): Promise<readonly Failure[]> {
  const ended = await Promise.allSettled(parts.map(async (part) => part.close()));
  return ended.flatMap((end, index) =>
    end.status === 'rejected' ? [{ name: parts[index]?.name ?? '', reason: end.reason }] : [],
  );
}
