/** A read replica, with what was measured of it. */
import type { Target } from '../pool/target.ts';
import type { LogHistory } from './log-history.ts';
import { type Lsn, reaches } from './lsn.ts';

/** `following`: in recovery; `promoted`: it accepts writes by itself; `lost`: it does not answer; `unknown`: not yet measured. */
export type ReplicaState = 'following' | 'promoted' | 'lost' | 'unknown';

/** Milliseconds for the answer to a measurement. */
const measureMs = 2000;
/** Share of a new latency in the average. */
const weight = 0.3;
/** Milliseconds for which a position counts as current. */
const currentMs = 20;

export class Replica {
  readonly target: Target;
  readonly #history: LogHistory;
  state: ReplicaState = 'unknown';
  position: Lsn | undefined;
  /** Average milliseconds of a measurement, which is one round trip. */
  latencyMs: number | undefined;
  #measuredAt = Number.NEGATIVE_INFINITY;
  #measuring: Promise<void> | undefined;

  constructor(target: Target, history: LogHistory) {
    this.target = target;
    this.#history = history;
  }

  /**
   * Upper limit of the milliseconds for which a commit on the primary may not be visible here yet. It needs no clock of a server:
   * the newest known position of the primary that this replica has replayed was read that long ago. Infinity if unknown.
   */
  get lagMs(): number {
    if (this.state !== 'following' || this.position === undefined) return Number.POSITIVE_INFINITY;
    const at = this.#history.newestWithin(this.position);
    return at === undefined ? Number.POSITIVE_INFINITY : performance.now() - at;
  }

  /** The lower, the better: latency, and the connections that others use. */
  get cost(): number {
    return (this.latencyMs ?? Number.POSITIVE_INFINITY) * (1 + this.target.gauges.inUse);
  }

  /** Whether it has replayed a position; asks again if its last known position is older. */
  async hasReplayed(least: Lsn): Promise<boolean> {
    if (this.#shows(least)) return true;
    if (performance.now() - this.#measuredAt > currentMs) await this.measure();
    return this.#shows(least);
  }

  #shows(least: Lsn): boolean {
    return this.state === 'following' && this.position !== undefined && reaches(this.position, least);
  }

  /** Reads position and state; one measurement at a time. Does not throw. */
  measure(): Promise<void> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined;
    });
    return this.#measuring;
  }

  async #measure(): Promise<void> {
    try {
      const connection = await this.target.acquire();
      try {
        const start = performance.now();
        const { rows } = await connection.run(measureMs, () =>
          connection.client.query<{ recovering: boolean; position: Lsn | null }>(
            'SELECT pg_catalog.pg_is_in_recovery() AS recovering, pg_catalog.pg_last_wal_replay_lsn()::text AS position',
          ),
        );
        const latency = performance.now() - start;
        this.latencyMs =
          this.latencyMs === undefined ? latency : this.latencyMs + weight * (latency - this.latencyMs);
        this.state = rows[0]?.recovering ? 'following' : 'promoted';
        this.position = rows[0]?.position ?? undefined;
      } catch (error) {
        this.target.failed(error, connection);
        throw error;
      } finally {
        this.target.release(connection);
      }
    } catch {
      this.state = 'lost';
    }
    this.#measuredAt = performance.now();
  }
}
