/** Maps time to a position in the picture: in proportion, except for the provider's waits, which are folded. */
import type { Interval } from './waits.ts';

/** A shorter wait is not folded. In milliseconds. */
const shortestFold = 4000;
/** Width of a folded wait, in SVG units. */
export const foldWidth = 58;

export interface Fold extends Interval {
  readonly x: number;
}

export interface Scale {
  x(at: number): number;
  readonly folds: readonly Fold[];
  /** Round times at which to draw a line, with their positions. */
  readonly ticks: readonly { readonly x: number; readonly seconds: number }[];
}

/**
 * @param idle intervals with only hard-coded waits, in order
 * @param left position of the start
 * @param width distance from the start to the end
 */
export function scaleOf(whole: Interval, idle: readonly Interval[], left: number, width: number): Scale {
  const folded = idle.filter(({ startedAt, endedAt }) => endedAt - startedAt >= shortestFold);
  const lengthOf = ({ startedAt, endedAt }: Interval) => endedAt - startedAt;
  const working = lengthOf(whole) - folded.reduce((total, one) => total + lengthOf(one), 0);
  const perMillisecond = (width - folded.length * foldWidth) / Math.max(working, 1);
  const x = (at: number): number => {
    const moment = Math.min(Math.max(at, whole.startedAt), whole.endedAt);
    let place = left + (moment - whole.startedAt) * perMillisecond;
    for (const fold of folded) {
      const inside = Math.min(Math.max(moment - fold.startedAt, 0), lengthOf(fold));
      place += inside * (foldWidth / lengthOf(fold) - perMillisecond);
    }
    return place;
  };
  return {
    x,
    folds: folded.map((fold) => ({ ...fold, x: x(fold.startedAt) })),
    ticks: ticksOf(whole, folded, x, working),
  };
}

function ticksOf(
  whole: Interval,
  folded: readonly Interval[],
  x: (at: number) => number,
  working: number,
): Scale['ticks'] {
  const step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((one) => working / 1000 / one <= 12) ?? 1800;
  const all: { x: number; seconds: number }[] = [];
  for (let seconds = 0; seconds * 1000 <= whole.endedAt - whole.startedAt; seconds += step) {
    const at = whole.startedAt + seconds * 1000;
    if (folded.some(({ startedAt, endedAt }) => at > startedAt && at < endedAt)) continue;
    const place = x(at);
    if (place - (all.at(-1)?.x ?? -100) >= 44) all.push({ x: place, seconds });
  }
  return all;
}
