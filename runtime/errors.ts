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
