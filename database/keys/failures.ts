/** What went wrong with single tenants in a run that goes on with the others. */
import { Fault } from '../../core/fault.ts';
import { EncryptionError } from '../../runtime/encryption/error.ts';
import type { WrappingKey } from '../../runtime/encryption/wrapping-key.ts';
import type { Connection } from '../connection.ts';
import { diagnose, isConnectionError } from '../diagnosis.ts';
import type { KeysOptions } from './session.ts';

export interface Failure {
  /** @default - not about one tenant */
  readonly tenant?: string;
  readonly what: string;
  readonly why: string;
  readonly remedy: string;
}

/** Reports each failure as it comes, and keeps it for the result. */
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
   * @param doing the step that failed: opens the line of an error that does not say so itself
   * @throws the error, if every other tenant would fail alike: the connection is lost, or the wrapping key's keeper is
   */
  async add(error: unknown, doing: string, tenant?: string): Promise<void> {
    if (isConnectionError(error)) throw error;
    if (error instanceof EncryptionError && error.problem === 'unavailable') {
      // What one tenant wrote into its key can make the keeper fail that request, too.
      await this.#options.wrapping.newest(true);
    }
    const { what, why, remedy } = explained(diagnose(error, this.#connection.circumstances, doing), doing);
    this.#all.push({ ...(tenant === undefined ? {} : { tenant }), what, why, remedy });
    const text = `${what}: ${why}. ${remedy}`;
    const whose = tenant === undefined || text.includes(tenant) ? '' : `Tenant ${tenant}: `;
    this.#options.reporter.warn(`${whose}${text}`);
  }

  /** @returns what `work` returns; undefined if it failed */
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

/** A defect that the data of one tenant brings out must not stop the others either. Its message may quote that data. */
function explained(error: Error, doing: string): Pick<Failure, 'what' | 'why' | 'remedy'> {
  if (error instanceof Fault) return error;
  return {
    what: doing,
    why: `llama-db has a defect (${error.name})`,
    remedy: 'Report it, with the version of llama-db.',
  };
}
