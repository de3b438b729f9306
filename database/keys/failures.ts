/** Failures of single tenants in a run that continues with the other tenants. */
import { Fault } from '../../core/fault.ts';
import { EncryptionError } from '../../runtime/encryption/error.ts';
import type { WrappingKey } from '../../runtime/encryption/wrapping-key.ts';
import type { Connection } from '../connection.ts';
import { diagnose, isConnectionError } from '../diagnosis.ts';
import type { KeysOptions } from './session.ts';

export interface Failure {
  /** @default - the failure does not concern one tenant */
  readonly tenant?: string;
  readonly what: string;
  readonly why: string;
  readonly remedy: string;
}

/** Reports each failure at once and collects it for the result. */
export class Failures {
  readonly #connection: Connection;
  readonly #options: KeysOptions & { readonly wrapping: WrappingKey };
  readonly #all: Failure[] = [];

  constructor(connection: Connection, options: KeysOptions & { readonly wrapping: WrappingKey }) {
    this.#connection = connection;
    this.#options = options;
  }

  get all(): readonly Failure[] {
    return this.#all;
  }

  /**
   * @param doing the step that failed; the message begins with it if the error does not name the step
   * @throws the error, if every other tenant would fail too: the connection or the wrapping key is unavailable
   */
  async add(error: unknown, doing: string, tenant?: string): Promise<void> {
    if (isConnectionError(error)) throw error;
    if (error instanceof EncryptionError && error.problem === 'unavailable') {
      // A key that one tenant damaged can also make this request fail. If the wrapping key answers, the others continue.
      await this.#options.wrapping.newest(true);
    }
    const { what, why, remedy } = explained(diagnose(error, this.#connection.circumstances, doing), doing);
    this.#all.push({ ...(tenant === undefined ? {} : { tenant }), what, why, remedy });
    const text = `${what}: ${why}. ${remedy}`;
    const whose = tenant === undefined || text.includes(tenant) ? '' : `Tenant ${tenant}: `;
    this.#options.reporter.warn(`${whose}${text}`);
  }

  /** @returns the result of `work`; undefined if it failed */
  async attempt<Result>(
    tenant: string,
    doing: string,
    work: () => Promise<Result>,
  ): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      await this.add(error, doing, tenant);
      return undefined;
    }
  }
}

/**
 * A defect that appears with the data of one tenant must not stop the others either. The error's message may quote that
 * data, so only its name is reported.
 */
function explained(error: Error, doing: string): Pick<Failure, 'what' | 'why' | 'remedy'> {
  if (error instanceof Fault) return error;
  return {
    what: doing,
    why: `llama-db has a defect (${error.name})`,
    remedy: 'Report it, with the version of llama-db.',
  };
}
