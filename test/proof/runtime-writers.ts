/** Writes at a steady rate, of which each one's fate is known afterwards. */
import { randomUUID } from 'node:crypto';
import { type Database, isDatabaseFailure, type TenantClient } from '../../runtime/index.ts';
import { Disproved } from './proof.ts';

/** How often each key is stored. */
export type Stored = (keys: readonly string[]) => Promise<ReadonlyMap<string, number>>;

export interface Recovery {
  /** Milliseconds until the first acknowledgement after a moment. */
  readonly firstMs: number;
  /** Milliseconds until the first second with half of the acknowledgements of a usual second. */
  readonly flowMs: number;
}

const columns = '(tenant_id, id, source_data_hash, mapped_data, model_version, detector_type, "timestamp")';
/** A repetition of this write makes no second row. */
const withId = `INSERT INTO llama.storage_records ${columns}
                VALUES ($1, $2::uuid, $2::uuid::text, '{}', 'm', 'd', $3) ON CONFLICT DO NOTHING`;
/** A repetition of this one does. */
const withoutId = `INSERT INTO llama.storage_records ${columns}
                   VALUES ($1, gen_random_uuid(), $2::text, '{}', 'm', 'd', $3)`;

export class Writers {
  readonly #db: Database;
  readonly #rate: number;
  readonly #acknowledged: string[] = [];
  /** Moments of the acknowledgements. */
  #moments: number[] = [];
  readonly #undone: string[] = [];
  readonly #unknown: string[] = [];
  /** Errors of the statements themselves, which no failure of a connection explains. */
  readonly #mistakes: unknown[] = [];
  readonly #pending = new Set<Promise<void>>();
  #begun = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(db: Database, rate: number) {
    this.#db = db;
    this.#rate = rate;
  }

  get count(): number {
    return this.#begun;
  }

  /** Begins writes whether or not earlier ones have ended. */
  begin(): void {
    this.#timer = setInterval(() => {
      const writing = this.#write().finally(() => this.#pending.delete(writing));
      this.#pending.add(writing);
    }, 1000 / this.#rate);
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
  }

  /** Every second write may be repeated without harm and is marked so; the others would be stored twice. */
  async #write(): Promise<void> {
    this.#begun += 1;
    const idempotent = this.#begun % 2 === 0;
    const values = ['acme', randomUUID(), new Date()];
    const key = String(values[1]);
    const work = (tx: TenantClient) => tx.query(idempotent ? withId : withoutId, values);
    try {
      await this.#db.tenant('acme').transaction(work, { idempotent });
      this.#acknowledged.push(key);
      this.#moments.push(performance.now());
    } catch (error) {
      if (!isDatabaseFailure(error) && /^(22|23|42)/.test(String(Reflect.get(Object(error), 'code'))))
        this.#mistakes.push(error);
      const isUnknown = isDatabaseFailure(error) && error.outcome === 'unknown';
      (isUnknown ? this.#unknown : this.#undone).push(key);
    }
  }

  /** Acknowledgements per second from a moment on, and forgets earlier ones. */
  perSecondSince(moment: number): number {
    this.#moments = this.#moments.filter((at) => at >= moment);
    return this.#moments.length / ((performance.now() - moment) / 1000);
  }

  /** @throws Disproved if writes do not flow again within a minute */
  async recovery(moment: number, usual: number): Promise<Recovery> {
    const needed = Math.max(1, usual / 2);
    while (performance.now() < moment + 60_000) {
      const later = this.#moments.filter((at) => at > moment);
      // Every window of a second that begins with an acknowledgement.
      const start = later.find((at, nth) => (later[nth + Math.ceil(needed) - 1] ?? Infinity) <= at + 1000);
      if (start !== undefined) return { firstMs: (later[0] ?? start) - moment, flowMs: start - moment };
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Disproved(`fewer than ${needed} writes per second were acknowledged within 60 s`);
  }

  /** @throws Disproved if an acknowledged write is missing, a failed one is stored, or any is stored twice */
  async check(stored: Stored): Promise<string> {
    const [mistake] = this.#mistakes;
    if (mistake) throw mistake;
    const [acknowledged, undone, unknown] = [[...this.#acknowledged], [...this.#undone], [...this.#unknown]];
    const times = await stored([...acknowledged, ...undone, ...unknown]);
    const wrong = {
      'acknowledged writes are lost': acknowledged.filter((key) => !times.has(key)),
      'writes are doubled': [...times].filter(([, count]) => count > 1).map(([key]) => key),
      'writes are stored that were reported as not done': undone.filter((key) => times.has(key)),
    };
    for (const [what, keys] of Object.entries(wrong))
      if (keys.length > 0) throw new Disproved(`${keys.length} ${what}, such as ${keys[0]}`);
    return `${acknowledged.length} acknowledged, ${undone.length} failed, ${unknown.length} of unknown outcome`;
  }
}
