/** What went wrong with single tenants in a run that goes on with the others. */

import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import type { Connection } from '../connection.ts';
import { diagnose, isConnectionError } from '../diagnosis.ts';

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
  readonly #reporter: Reporter;
  readonly #all: Failure[] = [];

  constructor(connection: Connection, reporter: Reporter) {
    this.#connection = connection;
    this.#reporter = reporter;
  }

  get all(): readonly Failure[] {
    return this.#all;
  }

  /** @param doing the step that failed: opens the line of an error that does not say so itself */
  add(error: unknown, doing: string, tenant?: string): void {
    // Nothing that comes after it on this connection could succeed.
    if (isConnectionError(error)) throw error;
    const { what, why, remedy, message } = asFault(
      diagnose(error, this.#connection.circumstances, doing),
      doing,
    );
    this.#all.push({ ...(tenant === undefined ? {} : { tenant }), what, why, remedy });
    this.#reporter.warn(message);
  }

  /** @returns what `work` returns; undefined when it failed, which is kept */
  async attempt<Result>(
    tenant: string,
    doing: string,
    work: () => Promise<Result>,
  ): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      this.add(error, doing, tenant);
      return undefined;
    }
  }
}

/** A defect that the data of one tenant brings out must not stop the others either. Its message may quote that data. */
function asFault(error: Error, doing: string): Fault {
  if (error instanceof Fault) return error;
  return new Fault(
    'keys/defect',
    doing,
    `llama-db has a defect (${error.name})`,
    'Report it; --debug prints where it is.',
    {
      cause: error,
    },
  );
}
