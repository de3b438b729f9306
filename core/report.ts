import { duration } from './text.ts';

/** Where progress goes: plain lines, which a terminal, Terraform's local-exec and a log file all show alike. */
export interface Reporter {
  /** Something happened. */
  line(text: string): void;
  /** Something that a person should look at, though the work goes on. */
  warn(text: string): void;
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
