/** Names the session that a statement waits for. A statement that gave up its wait can no longer find out. */
import type pg from 'pg';
import type { Reporter } from '../core/report.ts';
import { withoutValues } from './without-values.ts';

/** The part of a connection that the watch needs for its own session. */
export interface Opened {
  readonly client: pg.Client;
  close(): Promise<void>;
}

/** Milliseconds between two looks, and of a statement's run before the first one. */
const interval = 500;
const firstLook = 1_000;

interface Holder {
  readonly pid: number;
  readonly login: string | null;
  readonly application: string;
  readonly state: string | null;
  readonly since: Date | null;
  readonly query: string | null;
}

/**
 * Watches one session through a second one, which is opened only after a statement has run for a second. If it cannot be
 * opened, nothing is reported.
 */
export class LockWatch {
  readonly #watched: pg.Client;
  readonly #open: () => Promise<Opened>;
  readonly #reporter: Reporter | undefined;
  readonly #timer: NodeJS.Timeout;
  #opened: Promise<Opened> | undefined;
  #looking: Promise<void> | undefined;
  #busySince: number | undefined;
  #holder: string | undefined;
  #closed = false;

  constructor(watched: pg.Client, open: () => Promise<Opened>, reporter?: Reporter) {
    this.#watched = watched;
    this.#open = open;
    this.#reporter = reporter;
    this.#timer = setInterval(() => this.#tick(), interval);
    this.#timer.unref();
  }

  /** The session that held the lock at the latest wait: `backend 17, login app, …`. @default - no wait was seen */
  get holder(): string | undefined {
    return this.#holder;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#looking;
    await this.#opened?.then(
      (opened) => opened.close(),
      () => undefined,
    );
  }

  #tick(): void {
    // The driver's own flag; it has no event for the begin of a statement.
    if (Reflect.get(this.#watched, 'readyForQuery') === true) {
      this.#busySince = undefined;
      return;
    }
    this.#busySince ??= performance.now();
    if (this.#closed || performance.now() - this.#busySince < firstLook) return;
    this.#looking ??= this.#look()
      .catch(() => undefined)
      .finally(() => {
        this.#looking = undefined;
      });
  }

  async #look(): Promise<void> {
    this.#opened ??= this.#open();
    const { client } = await this.#opened;
    const { rows } = await client.query<Holder>(
      `SELECT a.pid, a.usename AS login, a.application_name AS application, a.state, a.xact_start AS since, a.query
         FROM unnest(pg_catalog.pg_blocking_pids($1)) AS b (pid)
         JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid
        ORDER BY a.xact_start LIMIT 1`,
      [Reflect.get(this.#watched, 'processID')],
    );
    const [holder] = rows;
    if (!holder) return;
    const text = describe(holder);
    if (text !== this.#holder) this.#reporter?.line(`Waiting for a lock: ${text}`);
    this.#holder = text;
  }
}

function describe({ pid, login, application, state, since, query }: Holder): string {
  const begun = since ? `, in a transaction since ${since.toISOString()}` : '';
  const statement = query
    ? `, ${state === 'active' ? 'running' : 'last statement'}: ${withoutValues(query)}`
    : '';
  return `backend ${pid}, login ${login ?? 'unknown'}, ${application || 'unnamed application'}${begun}${statement}`;
}
