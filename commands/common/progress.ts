/** How far a long command is: a bar on a terminal, a line from time to time elsewhere. */
import type { Reporter } from '../../core/report.ts';
import { duration } from '../../core/text.ts';
import type { Progress } from '../../database/import/import.ts';

/** Milliseconds between two lines without a terminal, and between two drawings of the bar. */
const [lineInterval, barInterval] = [10_000, 100];
const width = 24;

/** @param stream where the bar is drawn, if it is a terminal */
export function progressOn(
  stream: Pick<NodeJS.WriteStream, 'isTTY' | 'write'>,
  reporter: Reporter,
  now: () => number = () => performance.now(),
): Progress {
  const bar = stream.isTTY === true;
  let table = '';
  let start = now();
  let shown = Number.NEGATIVE_INFINITY;
  let drawn = false;
  return {
    update(name, done, total) {
      if (name !== table) {
        [table, start] = [name, now()];
        shown = bar ? Number.NEGATIVE_INFINITY : start;
      }
      if (now() - shown < (bar ? barInterval : lineInterval)) return;
      shown = now();
      const share = total > 0 ? Math.min(done / total, 1) : 1;
      const left =
        share > 0 && share < 1 ? `, ${duration(((shown - start) * (1 - share)) / share)} left` : '';
      const text = `${table} ${Math.floor(share * 100)} %${left}`;
      if (!bar) return reporter.line(text);
      drawn = true;
      const full = Math.round(share * width);
      stream.write(`\r\u001b[2K[${'#'.repeat(full)}${'.'.repeat(width - full)}] ${text}`);
    },
    end() {
      if (drawn) stream.write('\r\u001b[2K');
      drawn = false;
    },
  };
}
