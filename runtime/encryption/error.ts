import { ExplainedError } from '../errors.ts';

/**
 * Why a value could not be encrypted or decrypted, for programs:
 * `refused`: the value was changed, or belongs to another tenant, table, column or record;
 * `malformed`: it is no encrypted value at all;
 * `oversized`: it is larger than what can be stored, audited and read again;
 * `unknown`: its data key is not among the tenant's;
 * `destroyed`: its data key was destroyed, with its tenant or after its time;
 * `unregistered`: llama.encrypted_columns does not list the column, so rotation would lose the value;
 * `denied`: the wrapping key's keeper does not let this identity use it;
 * `unavailable`: the keeper could not be reached, or is busy: trying again may help.
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

/** A value could not be encrypted or decrypted. Neither plaintext nor key material is part of the error. */
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
