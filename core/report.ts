/** Where progress goes: plain lines, which a terminal, Terraform's local-exec and a log file all show alike. */
export interface Reporter {
  /** Something happened. */
  line(text: string): void;
  /** Something that a person should look at, though the work goes on. */
  warn(text: string): void;
}

/** Durations as a person reads them: `85 ms`, `2.4 s`, `3 min 20 s`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Reports one step with its duration once it is done; a failing step reports nothing, its Fault does. */
export async function step<Result>(
  reporter: Reporter,
  work: () => Promise<Result>,
  done: (result: Result) => string | undefined,
): Promise<Result> {
  const start = performance.now();
  const result = await work();
  const text = done(result);
  if (text !== undefined) reporter.line(`${text} (${duration(performance.now() - start)})`);
  return result;
}
