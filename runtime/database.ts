/** The database of an application. */
import { inspect } from 'node:util';
import type { DatabaseOptions, SpreadOptions } from './configuration/options.ts';
import { ConfigurationError, DatabaseFailure } from './errors.ts';
import { PoolObserver } from './monitoring/telemetry.ts';
import type { ListenOptions, Notification, Subscription } from './pool/listener.ts';
import { Cell, type CellGauges } from './replicas/cell.ts';
import { Tenant } from './tenant/tenant.ts';
import type { Actor } from './tenant/transaction.ts';

/** Pools, breakers and replicas per cell; without `cells` in the options, the only cell is `default`. */
export type DatabaseGauges = Readonly<Record<string, CellGauges>>;

export interface CloseOptions {
  /** Milliseconds that transactions get to end; later ones are aborted. @default 10000 */
  readonly graceMs?: number;
}

export interface CellListenOptions extends ListenOptions {
  /** Cell whose database is listened to. @default - the only one */
  readonly cell?: string;
}

const longestTenant = 100;

/**
 * Pools of verified connections and the transactions of tenants. Connections open when they are needed. Every transaction belongs
 * to one tenant; without a tenant there is no transaction.
 */
export class Database {
  readonly #cells: ReadonlyMap<string, Cell>;
  readonly #cellOf: (tenant: string) => string | Promise<string>;
  readonly #options: DatabaseOptions | SpreadOptions;
  readonly #observer: PoolObserver;
  #closing: Promise<void> | undefined;

  /** @throws ConfigurationError if the configuration is unusable */
  constructor(options: DatabaseOptions | SpreadOptions) {
    this.#options = options;
    const cells = 'cells' in options ? Object.entries(options.cells) : ([['default', options]] as const);
    this.#cells = new Map(cells.map(([name, cell]) => [name, new Cell(name, cell, options)]));
    this.#cellOf = 'cellOf' in options ? options.cellOf : () => 'default';
    const targets = [...this.#cells.values()].flatMap(({ writer, replicas }) => [
      writer,
      ...replicas.map(({ target }) => target),
    ]);
    this.#observer = new PoolObserver(() => new Map(targets.map(({ name, gauges }) => [name, gauges])));
  }

  /**
   * Work for a tenant.
   *
   * @param id 1 to 100 characters
   * @param actor acting user, for the audit trail. @default - none
   * @throws DatabaseFailure `tenant/missing` without an id
   */
  tenant(id: string, actor: Actor = {}): Tenant {
    if (typeof id !== 'string' || id === '' || id.length > longestTenant || id.includes('\0'))
      throw noTenant();
    this.#observer.begin();
    return new Tenant(id, actor, () => this.#cell(id), this.#options.retry ?? {});
  }

  /**
   * Calls the handler with each notification of a channel (`pg_notify`) from now on. The connection is beside those of the pool, one
   * per cell; it is pinged, and replaced if it is lost. Notifications belong to no tenant: send ids, and read in a transaction of the
   * tenant. An error of the handler is not caught.
   *
   * @throws ConfigurationError for a port of PgBouncer, or a name that PostgreSQL would cut; DatabaseFailure `listen/not-begun`
   */
  async listen(
    channel: string,
    handler: (notification: Notification) => unknown,
    options: CellListenOptions = {},
  ): Promise<Subscription> {
    const [first = ''] = this.#cells.keys();
    const { cell = this.#cells.size === 1 ? first : 'default', ...others } = options;
    return this.#named(cell, 'listen asks for it').listener.listen(channel, handler, others);
  }

  /** Opens a connection to each writer, checks the sizes of the pools, and measures the replicas. */
  async ready(signal?: AbortSignal): Promise<void> {
    await Promise.all(
      [...this.#cells.values()].map(async (cell) => {
        cell.writer.release(await cell.writer.acquire(signal));
        await cell.measure();
      }),
    );
  }

  get gauges(): DatabaseGauges {
    return Object.fromEntries([...this.#cells].map(([name, cell]) => [name, cell.gauges]));
  }

  /** Ends all connections and timers. Nothing of this object keeps the process alive afterwards. */
  close({ graceMs = 10_000 }: CloseOptions = {}): Promise<void> {
    this.#observer.end();
    this.#closing ??= Promise.all([...this.#cells.values()].map((cell) => cell.close(graceMs))).then(
      () => undefined,
    );
    return this.#closing;
  }

  toJSON(): DatabaseGauges {
    return this.gauges;
  }

  [inspect.custom](): string {
    return `Database ${inspect(this.gauges, { depth: 4 })}`;
  }

  async #cell(tenant: string): Promise<Cell> {
    return this.#named(await this.#cellOf(tenant), 'cellOf returned it');
  }

  #named(name: string, origin: string): Cell {
    const cell = this.#cells.get(name);
    if (cell) return cell;
    throw new ConfigurationError(
      'configuration/cell-unknown',
      `There is no cell ${JSON.stringify(name)}`,
      `${origin}, and the cells are ${[...this.#cells.keys()].join(', ')}`,
      'Name one of the cells, or add it to the configuration.',
    );
  }
}

function noTenant(): DatabaseFailure {
  return new DatabaseFailure(
    'tenant/missing',
    'A transaction needs a tenant',
    `a tenant id is a text of 1 to ${longestTenant} characters without NUL, and there is no default`,
    'Pass the tenant that the request was authenticated for.',
  );
}
