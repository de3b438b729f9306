/** The client that the work of a tenant transaction gets. */
import { EventEmitter } from 'node:events';
import pg from 'pg';
import { DatabaseFailure, sqlStateOf } from '../errors.ts';
import { isConnectionFailure, isSerializationFailure } from '../failures/classify.ts';
import { type Connection, notWritable } from '../pool/connection.ts';

/**
 * A client of `pg` inside of a tenant's transaction. Statements pass unchanged. It accepts them only until the transaction ends,
 * and none that would end it.
 *
 * Drizzle takes it as its client (`drizzle(tx)`), and Kysely takes `tx.pool` (`new PostgresDialect({ pool: tx.pool })`).
 */
export interface TenantClient extends pg.PoolClient {
  readonly tenant: string;
  /** Whether the transaction only reads. */
  readonly isReadOnly: boolean;
  /** A pool of this one client, for libraries that take a pool. Its `end` and the client's `release` do nothing. */
  readonly pool: { connect(): Promise<pg.PoolClient>; end(): Promise<void> };
}

/** Statements that end or begin a transaction. Savepoints stay allowed. */
const transactionControl =
  /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(?:begin|start\s+transaction|commit|end|abort|prepare\s+transaction|rollback(?!\s+(?:work\s+|transaction\s+)?to\b))\b/i;
/** LISTEN in a session that others use next, and that nobody reads notifications of. */
const listening = /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*listen\b/i;
const endingTags = new Set(['BEGIN', 'START TRANSACTION', 'COMMIT', 'PREPARE TRANSACTION']);
const rollbackTo = /\brollback\s+(?:work\s+|transaction\s+)?to\b/i;

export interface ClientOptions {
  readonly connection: Connection;
  readonly tenant: string;
  readonly isReadOnly: boolean;
  /** Milliseconds until an unanswered statement ends the connection. */
  readonly deadlineMs: number;
}

/** The client as its transaction sees it, beside the public interface. */
export class TransactionClient extends EventEmitter {
  readonly tenant: string;
  readonly isReadOnly: boolean;
  readonly #options: ClientOptions;
  /** Statements run one after the other, because `pg` gives up its own queue. */
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  #ending: DatabaseFailure | undefined;
  /** The first failure of a statement that a repetition of the transaction may cure. */
  curable: unknown;

  constructor(options: ClientOptions) {
    super();
    this.#options = options;
    this.tenant = options.tenant;
    this.isReadOnly = options.isReadOnly;
  }

  get public(): TenantClient {
    return this as unknown as TenantClient;
  }

  get #client(): pg.Client {
    return this.#options.connection.client;
  }

  get pool() {
    return { connect: async () => this.public, end: async () => undefined };
  }

  async connect(): Promise<this> {
    return this;
  }

  release(): void {}

  async end(): Promise<void> {}

  getTransactionStatus() {
    return this.#client.getTransactionStatus();
  }

  escapeIdentifier(text: string): string {
    return pg.escapeIdentifier(text);
  }

  escapeLiteral(text: string): string {
    return pg.escapeLiteral(text);
  }

  getTypeParser(...given: Parameters<pg.Client['getTypeParser']>) {
    return this.#client.getTypeParser(...given);
  }

  /** Not on a shared connection: the next user would get the parsers too. Give `types` with the statement. */
  setTypeParser(): never {
    throw new DatabaseFailure(
      'transaction/type-parser',
      'setTypeParser cannot be used in a tenant transaction',
      'the connection is shared, and the next user would get the parser',
      'Give `types` with the statement, or use pg.types.setTypeParser once for the process.',
    );
  }

  query(config: unknown, values?: unknown, callback?: unknown): unknown {
    const done = typeof values === 'function' ? values : callback;
    if (isSubmittable(config)) return this.#submit(config);
    const running = this.#statement(config, typeof values === 'function' ? undefined : values);
    if (typeof done !== 'function') return running;
    running.then(
      (result) => done(null, result),
      (error: unknown) => done(error),
    );
    return undefined;
  }

  #statement(config: unknown, values: unknown): Promise<unknown> {
    const running = this.#last.then(() => this.#send(config, values));
    this.#last = running.catch(() => undefined);
    return running;
  }

  async #send(config: unknown, values: unknown): Promise<unknown> {
    this.#refuseIfClosed();
    const text = textOf(config);
    if (transactionControl.test(text)) throw this.#controlled(text);
    if (listening.test(text)) throw listens();
    const { connection, deadlineMs } = this.#options;
    const [statement, ownDeadline] = withoutTimeout(config);
    try {
      const result = await connection.run(ownDeadline ?? deadlineMs, () =>
        this.#client.query(statement as pg.QueryConfig, values as unknown[]),
      );
      this.#requireOpen(text, result);
      return result;
    } catch (error) {
      const isFormerPrimary = !this.isReadOnly && sqlStateOf(error) === '25006';
      const failure = isFormerPrimary ? notWritable(connection.server, error) : error;
      if (isConnectionFailure(failure) || isSerializationFailure(failure)) this.curable ??= failure;
      throw failure;
    }
  }

  /** A cursor or stream of `pg`, which the driver runs by itself. The statement's deadline does not apply to it. */
  #submit(submittable: pg.Submittable): unknown {
    this.#refuseIfClosed();
    return this.#client.query(submittable);
  }

  #refuseIfClosed(): void {
    if (this.#isClosed) throw this.#ending ?? ended();
  }

  #controlled(text: string): DatabaseFailure {
    const word = text.trim().split(/\s+/, 1)[0]?.toUpperCase() ?? '';
    return new DatabaseFailure(
      'transaction/controlled-by-statement',
      `${word} cannot be used in a tenant transaction`,
      'the tenant ends with the transaction, and later statements would run without it',
      'Return from the function to commit, throw to roll back, and use SAVEPOINT for parts.',
    );
  }

  /** A statement inside of several can end the transaction too; the answer shows it. */
  #requireOpen(text: string, result: unknown): void {
    const status = this.#client.getTransactionStatus();
    const tags = [result].flat().map((one) => String(Reflect.get(Object(one), 'command') ?? ''));
    if (tags.includes('LISTEN')) throw listens();
    const ended = status === 'I' || tags.some((tag) => endingTags.has(tag));
    const rolledBack = tags.includes('ROLLBACK') && !rollbackTo.test(text);
    if (!ended && !rolledBack) return;
    const failure = this.#controlled(text);
    this.close(failure);
    this.#options.connection.destroy(failure);
    throw failure;
  }

  /** Waits for the statements that the work began and did not await. */
  async settled(): Promise<void> {
    for (let last: unknown; last !== this.#last; ) {
      last = this.#last;
      await this.#last;
    }
  }

  /** Accepts no more statements. */
  close(failure?: DatabaseFailure): void {
    this.#isClosed = true;
    this.#ending ??= failure;
  }
}

function ended(): DatabaseFailure {
  return new DatabaseFailure(
    'transaction/ended',
    'A statement came after the end of its transaction',
    'the client belongs to the transaction, and its connection may serve another tenant by now',
    'Await every statement inside of the function.',
  );
}

function listens(): DatabaseFailure {
  return new DatabaseFailure(
    'transaction/listens',
    'LISTEN cannot be used in a tenant transaction',
    'its session serves other tenants afterwards, and nobody would get the notifications',
    'Use listen() of the Database object.',
  );
}

function isSubmittable(config: unknown): config is pg.Submittable {
  return typeof config === 'object' && config !== null && typeof Reflect.get(config, 'submit') === 'function';
}

function textOf(config: unknown): string {
  if (typeof config === 'string') return config;
  const text: unknown =
    typeof config === 'object' && config !== null ? Reflect.get(config, 'text') : undefined;
  return typeof text === 'string' ? text : '';
}

/** `query_timeout` of the driver would leave the connection blocked, so it becomes the deadline. */
function withoutTimeout(config: unknown): readonly [unknown, number | undefined] {
  if (typeof config !== 'object' || config === null) return [config, undefined];
  const ms: unknown = Reflect.get(config, 'query_timeout');
  if (typeof ms !== 'number') return [config, undefined];
  const { query_timeout: _, ...rest } = config as { query_timeout: number };
  return [rest, ms];
}
