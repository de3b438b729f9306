import { onAbort } from './abort.ts';

/**
 * The result of a promise, or the error of `late` after some milliseconds or at the signal. The promise itself goes on.
 *
 * The timer holds the process open, because the caller waits for its result.
 */
export function within<Result>(
  ms: number,
  promise: Promise<Result>,
  late: () => Error,
  signal?: AbortSignal,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      forget();
    };
    const isLate = () => {
      end();
      reject(late());
    };
    const timer = setTimeout(isLate, Math.max(0, ms));
    const forget = onAbort(signal, isLate);
    if (signal?.aborted) isLate();
    promise.then(
      (result) => {
        end();
        resolve(result);
      },
      (error: unknown) => {
        end();
        reject(error);
      },
    );
  });
}
