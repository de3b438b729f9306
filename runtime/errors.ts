/**
 * An error that a person can act on. Its message is `what: why. remedy`. It quotes neither plaintext nor secrets.
 */
export class ExplainedError extends Error {
  override readonly name: string = 'ExplainedError';
  constructor(
    /** Stable, `area/what-is-wrong`, for programs. */
    readonly code: `${string}/${string}`,
    /** What failed and where. */
    readonly what: string,
    /** Why, with the rule or the service's own words. */
    readonly why: string,
    /** What to do about it. */
    readonly remedy: string,
    options?: ErrorOptions,
  ) {
    super(`${what}: ${why}. ${remedy}`, options);
  }
}

/** A setting or argument that cannot be used. Trying again does not help. */
export class ConfigurationError extends ExplainedError {
  override readonly name = 'ConfigurationError';
}
