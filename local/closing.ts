/** The end of what runs beside each other: one part that does not end must not leave the others running. */

import { Fault } from '../core/fault.ts';
import { messageOf } from '../core/text.ts';

/** Something that was started, and how it is ended. */
export interface Part {
  /** As a failure calls it: `the local Azure`. */
  readonly name: string;
  close(): Promise<unknown>;
}

interface Failure {
  readonly name: string;
  readonly reason: unknown;
}

/** Says what was left running. When the work before had failed as well, it says that first. */
export class NotEnded extends Fault {
  readonly failures: readonly Failure[];
  /** What did not end, why, and what to do about it. */
  readonly left: string;

  constructor(failures: readonly Failure[], after?: { readonly failure: unknown }) {
    // What did not end inside of a part is named itself, not as that part.
    const all = failures.flatMap((failure) =>
      failure.reason instanceof NotEnded ? failure.reason.failures : [failure],
    );
    const what = `Not everything could be ended: ${all.map(({ name }) => name).join(', ')}`;
    const why = all.map(({ name, reason }) => `${name}: ${messageOf(reason)}`).join('; ');
    const remedy = 'End by hand what is named; everything else has ended.';
    const cause = new AggregateError([...(after ? [after.failure] : []), ...all.map(({ reason }) => reason)]);
    const left = `${what} (${why}). ${remedy}`;
    const { failure } = after ?? {};
    if (failure instanceof Fault)
      super(failure.code, failure.what, failure.why, `${failure.remedy} ${left}`, {
        cause,
        exitCode: failure.exitCode,
      });
    else if (after) super('parts/failed', 'The rehearsal failed', messageOf(failure), left, { cause });
    else super('parts/not-ended', what, why, remedy, { cause });
    this.failures = all;
    this.left = left;
  }
}

/**
 * Ends all of them at once, each whatever becomes of the others.
 *
 * @throws NotEnded with every part that did not end, once all the others have ended
 */
export async function closeAll(parts: readonly Part[]): Promise<void> {
  const failures = await failuresOf(parts);
  if (failures.length > 0) throw new NotEnded(failures);
}

/**
 * Does work, and ends what it used, whatever becomes of it.
 *
 * @param parts asked for when the work has ended
 * @throws what the work threw; NotEnded when something did not end, which says both
 */
export async function ending<Result>(
  work: () => Promise<Result>,
  parts: () => readonly Part[],
): Promise<Result> {
  const [done] = await Promise.allSettled([work()]);
  const failures = await failuresOf(parts());
  if (done.status === 'fulfilled' && failures.length === 0) return done.value;
  if (done.status === 'fulfilled') throw new NotEnded(failures);
  if (failures.length === 0) throw done.reason;
  throw new NotEnded(failures, { failure: done.reason });
}

async function failuresOf(parts: readonly Part[]): Promise<readonly Failure[]> {
  const ended = await Promise.allSettled(parts.map(async (part) => part.close()));
  return ended.flatMap((end, index) =>
    end.status === 'rejected' ? [{ name: parts[index]?.name ?? '', reason: end.reason }] : [],
  );
}
