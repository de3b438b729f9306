/**
 * An error that a person can act on. Its message is `what: why. remedy`, without plaintext and secrets.
 */
export class ExplainedError extends Error {
  override readonly name: string = 'ExplainedError';
  constructor(
    /** Stable name for programs: `area/what-is-wrong`. */
    readonly code: `${string}/${string}`,
    /** The failure and its place. */
    readonly what: string,
    /** The reason: the rule, or the service's own words. */
    readonly why: string,
    /** The next step for a person. */
    readonly remedy: string,
    options?: ErrorOptions,
  ) {
    super(`${what}: ${why}. ${remedy}`, options);
  }
}

/** A setting or argument that cannot be used. A retry does not help. */
export class ConfigurationError extends ExplainedError {
  override readonly name = 'ConfigurationError';
}

/** Whether the work of a failed call may have been done: `none`, it was not; `unknown`, nobody can say. */
export type Outcome = 'none' | 'unknown';

export interface FailureOptions extends ErrorOptions {
  /** Whether another attempt of the same work may succeed and cannot do it twice. @default false */
  readonly retryable?: boolean;
  /** @default 'none' */
  readonly outcome?: Outcome;
}

const brand = Symbol.for('@llama-mapper/database/failure');

/**
 * A call that failed for another reason than its SQL: connection, pool, deadline, tenant. An error of a statement stays the
 * driver's own error. `cause` is the original.
 */
export class DatabaseFailure extends ExplainedError {
  override readonly name = 'DatabaseFailure';
  /** SQLSTATE of the cause. @default - the cause has none */
  readonly sqlState: string | undefined;
  readonly retryable: boolean;
  readonly outcome: Outcome;
  constructor(
    code: `${string}/${string}`,
    what: string,
    why: string,
    remedy: string,
    options: FailureOptions = {},
  ) {
    super(code, what, why, remedy, options);
    this.sqlState = sqlStateOf(options.cause);
    this.retryable = options.retryable ?? false;
    this.outcome = options.outcome ?? 'none';
    Object.defineProperty(this, brand, { value: true });
  }
}

/** The same as `instanceof`, also for an error of another copy of this package in the process. */
export function isDatabaseFailure(error: unknown): error is DatabaseFailure {
  return error instanceof Error && Reflect.get(error, brand) === true;
}

/** SQLSTATE of a driver's error. */
export function sqlStateOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** The words of an error, for the reason of another one. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
