import { ExplainedError } from '../errors.ts';

/**
 * The reason why a value could not be encrypted or decrypted, for programs:
 * `refused`: the value was changed, or belongs to another tenant, table, column or record;
 * `malformed`: the value does not have the form of an encrypted value;
 * `oversized`: the value is too large to be stored, audited and read again;
 * `unknown`: the tenant does not have the data key of the value;
 * `destroyed`: the data key was destroyed, by the erasure of its tenant or at the end of its life;
 * `unregistered`: llama.encrypted_columns does not list the column, so rotation would lose the value;
 * `denied`: this identity may not use the wrapping key;
 * `unavailable`: the service that holds the wrapping key cannot be reached or is busy; a retry may succeed.
 */
export type EncryptionProblem =
  | 'refused'
  | 'malformed'
  | 'unregistered'
  | 'oversized'
  | 'unknown'
  | 'destroyed'
  | 'denied'
  | 'unavailable';

/** A value could not be encrypted or decrypted. The error contains neither plaintext nor key material. */
export class EncryptionError extends ExplainedError {
  override readonly name = 'EncryptionError';
  constructor(
    readonly problem: EncryptionProblem,
    what: string,
    why: string,
    remedy: string,
    options?: ErrorOptions,
  ) {
    super(`encryption/${problem}`, what, why, remedy, options);
  }
}
