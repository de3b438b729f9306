/**
 * Stable name of a kind of failure: `area/what-is-wrong`. Programs and tests match it; docs/faults.md lists all.
 */
export type FaultCode = `${string}/${string}`;

/**
 * A failure that a person can act on. Commands print it as one line, `what: why. remedy [code]`, without a stack.
 *
 * Anything else that is thrown is a defect of this project.
 */
export class Fault extends Error {
  override readonly name = 'Fault';
  constructor(
    readonly code: FaultCode,
    /** What failed and where. */
    readonly what: string,
    /** Why, with the rule or the server's own words. */
    readonly why: string,
    /** What to do about it. */
    readonly remedy: string,
    options?: ErrorOptions & {
      /** Process exit status. @default 1 */
      readonly exitCode?: number;
    },
  ) {
    super(oneLine(`${what}: ${why}. ${remedy}`), options);
    this.exitCode = options?.exitCode ?? 1;
  }
  readonly exitCode: number;
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').replace(/\.\. /g, '. ');
}
