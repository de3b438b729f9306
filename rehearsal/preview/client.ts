/**
 * A client of the application during a change: one connection per host name, without a pool and without retries, so that
 * it counts every refusal that a server gives.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { messageOf } from '../../core/text.ts';
import type { Statement } from './statements.ts';

/** Milliseconds between two statements, and between two attempts to connect. */
const pause = { statement: 10, connect: 50 } as const;

/** A statement that takes longer waited for something. In milliseconds. */
const shortestWait = 250;

/** A connection on which nothing arrives is given up. In milliseconds. */
const longestSilence = 30_000;

export interface Moment {
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endedAt: number;
}

/** From the first failure of a connection until the next statement that succeeds. */
export interface Outage extends Moment {
  /** The failure that began it. */
  readonly kind: string;
  /** Whether the client could work again while the preview watched. */
  readonly isOver: boolean;
}

/** A statement that succeeded late. */
export interface Wait extends Moment {
  readonly statement: string;
}

export interface ClientReport {
  /** `writer` or `reader`. */
  readonly name: string;
  readonly host: string;
  readonly statements: number;
  readonly outages: readonly Outage[];
  /** Failures of statements that an open connection received, by kind. */
  readonly refused: Readonly<Record<string, number>>;
  /** Attempts to connect that failed, by kind: the longer an interruption, the more. */
  readonly connecting: Readonly<Record<string, number>>;
  readonly waits: readonly Wait[];
}

export interface ClientOptions {
  readonly name: string;
  readonly host: string;
  readonly connection: pg.ClientConfig;
  readonly statements: readonly Statement[];
}

export class WatchingClient {
  readonly #options: ClientOptions;
  readonly #outages: Outage[] = [];
  readonly #refused = new Map<string, number>();
  readonly #connecting = new Map<string, number>();
  readonly #waits: Wait[] = [];
  #statements = 0;
  #open: { readonly startedAt: number; readonly kind: string } | undefined;
  #isStopped = false;
  #running: Promise<void> | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** Resolves when the first statement has succeeded. @throws its error */
  async start(): Promise<void> {
    const client = await this.#connect();
    try {
      for (const statement of this.#options.statements) await statement.run(client);
    } finally {
      await client.end();
    }
    this.#running = this.#loop();
  }

  async stop(): Promise<ClientReport> {
    this.#isStopped = true;
    await this.#running;
    if (this.#open) this.#outages.push({ ...this.#open, endedAt: Date.now(), isOver: false });
    const { name, host } = this.#options;
    return {
      name,
      host,
      statements: this.#statements,
      outages: this.#outages,
      refused: Object.fromEntries(this.#refused),
      connecting: Object.fromEntries(this.#connecting),
      waits: this.#waits,
    };
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      ...this.#options.connection,
      connectionTimeoutMillis: 5000,
      query_timeout: longestSilence,
    });
    // The statement that runs receives the error; without one, the next statement does.
    client.on('error', () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
  }

  async #loop(): Promise<void> {
    while (!this.#isStopped) {
      try {
        const client = await this.#connect();
        await this.#work(client).finally(() => client.end().catch(() => undefined));
      } catch (error) {
        const kind = kindOf(error);
        this.#open ??= { startedAt: Date.now(), kind };
        count(this.#connecting, kind);
        await sleep(pause.connect);
      }
    }
  }

  /** Runs the statements in turn until the connection is lost. */
  async #work(client: pg.Client): Promise<void> {
    for (let turn = 0; !this.#isStopped; turn += 1) {
      const statement = this.#options.statements[turn % this.#options.statements.length];
      if (!statement) return;
      const startedAt = Date.now();
      try {
        await statement.run(client);
        const endedAt = Date.now();
        this.#statements += 1;
        if (endedAt - startedAt >= shortestWait)
          this.#waits.push({ startedAt, endedAt, statement: statement.name });
        this.#resume(endedAt);
      } catch (error) {
        const kind = kindOf(error);
        if (!endsConnection(error)) {
          count(this.#refused, `${kind} (${statement.name})`);
          this.#resume(Date.now());
          await client.query('ROLLBACK').catch(() => undefined);
        } else {
          count(this.#refused, kind);
          this.#open ??= { startedAt, kind };
          return;
        }
      }
      await sleep(pause.statement);
    }
  }

  #resume(at: number): void {
    if (this.#open) this.#outages.push({ ...this.#open, endedAt: at, isOver: true });
    this.#open = undefined;
  }
}

function count(counts: Map<string, number>, kind: string): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
}

/** SQLSTATE classes after which a connection is of no use, and 25006: the server became a standby. */
const ending = /^(?:08|57P0|25006)/;

function endsConnection(error: unknown): boolean {
  return !(error instanceof pg.DatabaseError) || ending.test(error.code ?? '');
}

/** Names of PostgreSQL, https://www.postgresql.org/docs/17/errcodes-appendix.html */
const names: Readonly<Record<string, string>> = {
  '57P01': 'admin_shutdown',
  '57P02': 'crash_shutdown',
  '57P03': 'cannot_connect_now',
  '25006': 'read_only_sql_transaction',
  '55P03': 'lock_not_available',
  '57014': 'query_canceled',
  '40P01': 'deadlock_detected',
  '42501': 'insufficient_privilege',
  '42703': 'undefined_column',
  '42P01': 'undefined_table',
  '23502': 'not_null_violation',
  '23514': 'check_violation',
  '28P01': 'invalid_password',
  '53300': 'too_many_connections',
};

/** SQLSTATE with its name, the code of a socket's error, or the message of the driver. */
export function kindOf(error: unknown): string {
  if (error instanceof pg.DatabaseError) {
    const code = error.code ?? 'unknown';
    return names[code] === undefined ? code : `${code} ${names[code]}`;
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code !== '') return code;
  // The driver has the server's reason only if a statement was under way.
  return /not queryable|^Connection terminated/.test(messageOf(error))
    ? 'connection ended'
    : messageOf(error);
}
