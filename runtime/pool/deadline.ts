/**
 * The result of a promise, or the error of `late` after some milliseconds. The promise itself goes on.
 *
 * The timer holds the process open, because the caller waits for its result.
 */
export function within<Result>(ms: number, promise: Promise<Result>, late: () => Error): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), Math.max(0, ms));
    promise.then(
      (result) => {
        clearTimeout(timer);
        resolve(result);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
