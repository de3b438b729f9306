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

/**
 * The Fault of an error that has its fields, as the errors of the runtime library have; undefined for any other error.
 * That library does not depend on this class.
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
