/** Signals that many transactions share, such as that of a service that stops. */

const known = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `stop` once the signal aborts. One listener per signal serves all calls, because Node warns of a leak from the eleventh on.
 *
 * @returns takes the call back
 */
export function onAbort(signal: AbortSignal | undefined, stop: () => void): () => void {
  if (!signal || signal.aborted) return () => undefined;
  let stops = known.get(signal);
  if (!stops) {
    const all = new Set<() => void>();
    const stopAll = () => {
      for (const one of all) one();
    };
    signal.addEventListener('abort', stopAll, { once: true });
    known.set(signal, all);
    stops = all;
  }
  const mine = stops;
  // The same function may be given twice.
  const one = () => stop();
  mine.add(one);
  return () => mine.delete(one);
}
