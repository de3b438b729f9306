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
    /** The failure and its place. */
    readonly what: string,
    /** The reason: the rule, or the server's own words. */
    readonly why: string,
    /** The next step for a person. */
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

/**
 * The Fault of an error that has its fields, such as an error of the runtime library, which does not depend on this class.
 * Undefined for any other error.
 */
export function faultOf(error: unknown): Fault | undefined {
  if (error instanceof Fault) return error;
  if (!(error instanceof Error)) return undefined;
  const [code, what, why, remedy] = ['code', 'what', 'why', 'remedy'].map((field): unknown =>
    Reflect.get(error, field),
  );
  if (!isCode(code) || typeof what !== 'string' || typeof why !== 'string' || typeof remedy !== 'string') {
    return undefined;
  }
  const exitCode = error.name === 'ConfigurationError' ? 2 : 1;
  return new Fault(code, what, why, remedy, { cause: error, exitCode });
}

function isCode(value: unknown): value is FaultCode {
  return typeof value === 'string' && /^[a-z0-9-]+\/[a-z0-9-]+$/.test(value);
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').replace(/\.\. /g, '. ');
}
