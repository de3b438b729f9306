/** The database of an application. */
import { inspect } from 'node:util';
import type { DatabaseOptions, SpreadOptions } from './configuration/options.ts';
import { ConfigurationError, DatabaseFailure } from './errors.ts';
import { Cell, type CellGauges } from './replicas/cell.ts';
import { Tenant } from './tenant/tenant.ts';
import type { Actor } from './tenant/transaction.ts';

/** Pools, breakers and replicas per cell; without `cells` in the options, the only cell is `default`. */
export type DatabaseGauges = Readonly<Record<string, CellGauges>>;

export interface CloseOptions {
  /** Milliseconds that transactions get to end; later ones are aborted. @default 10000 */
  readonly graceMs?: number;
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
  #closing: Promise<void> | undefined;

  /** @throws ConfigurationError if the configuration is unusable */
  constructor(options: DatabaseOptions | SpreadOptions) {
    this.#options = options;
    const cells = 'cells' in options ? Object.entries(options.cells) : ([['default', options]] as const);
    this.#cells = new Map(cells.map(([name, cell]) => [name, new Cell(name, cell, options)]));
    this.#cellOf = 'cellOf' in options ? options.cellOf : () => 'default';
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
    return new Tenant(id, actor, () => this.#cell(id), this.#options.retry ?? {});
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
    const name = await this.#cellOf(tenant);
    const cell = this.#cells.get(name);
    if (cell) return cell;
    throw new ConfigurationError(
      'configuration/cell-unknown',
      `There is no cell ${JSON.stringify(name)}`,
      `cellOf returned it, and the cells are ${[...this.#cells.keys()].join(', ')}`,
      'Add the cell to the configuration, or correct cellOf.',
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
