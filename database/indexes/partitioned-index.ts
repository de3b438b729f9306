/**
 * Indexes on partitioned tables without blocking writers: ON ONLY the parent, CONCURRENTLY on each leaf, ATTACH.
 *
 * The catalogs are the only memory. Whatever moment a build is killed at, running it again finishes what is missing:
 * an index that a broken build left invalid is dropped and built again, never taken for a finished one, which is what
 * IF NOT EXISTS would do.
 */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { Fault } from '../../core/fault.ts';
import {
  type FoundIndex,
  findIndex,
  findTable,
  leavesOf,
  matches,
  qualified,
  type Relation,
  type Table,
} from './catalog.ts';
import { IndexSession, type Patience, type Queryable } from './session.ts';

export interface PartitionedIndex {
  /** Table with its schema: `llama.storage_records`. A table that is not partitioned is served too. */
  readonly table: string;
  /** Name of the index, in the schema of the table. */
  readonly name: string;
  /** Key columns as CREATE INDEX takes them, in brackets: `(tenant_id, "timestamp" DESC)`. */
  readonly definition: string;
  /** Condition of a partial index. @default - every row */
  readonly where?: string;
  /** Access method. @default 'btree' */
  readonly using?: string;
  /** Must contain the partition key on a partitioned table. @default false */
  readonly unique?: boolean;
}

/** One thing the builder did. `done` counts finished leaves out of `total`. */
export interface IndexStep {
  readonly index: string;
  readonly table: string;
  readonly action: 'created' | 'built' | 'rebuilt' | 'attached' | 'kept' | 'dropped';
  readonly done: number;
  readonly total: number;
}

export interface BuildOptions {
  readonly patience?: Patience;
  /** Called after each step. @default - nobody is told */
  readonly report?: (step: IndexStep) => void;
}

/** Stands in for a database while a migration is only read: it hears of builds instead of running them. */
export interface IndexRecorder {
  recordIndex(action: 'build' | 'drop', index: PartitionedIndex): void;
}

/**
 * Builds an index on a partitioned table; call it after `pgm.noTransaction()`, once an index. Does nothing where the
 * index is complete. Runs as the connection's current role, which must own the table.
 *
 * @throws Fault when the name is taken by something else, or the lock of a short step stays taken
 */
export async function buildPartitionedIndex(
  pgm: { readonly db: Queryable & Partial<IndexRecorder> },
  index: PartitionedIndex,
  options: BuildOptions = {},
): Promise<void> {
  if (Buffer.byteLength(index.name) > longestName) {
    throw new Fault(
      'partitioned-index/1',
      `Index ${index.name}`,
      `its name has more than ${longestName} bytes, and PostgreSQL would cut it`,
      'Give it a shorter one.',
    );
  }
  if (pgm.db.recordIndex) return pgm.db.recordIndex('build', index);
  await IndexSession.run(pgm.db, options.patience ?? {}, (session) =>
    session.alone(index.table, () => new Build(session, index, options).run()),
  );
}

/**
 * Drops such an index and what an unfinished build left of it. Does nothing where there is none.
 *
 * DROP INDEX CONCURRENTLY is refused on a partitioned index: for a moment this blocks the table.
 *
 * @throws Fault when the name belongs to another table, or the lock stays taken
 */
export async function dropPartitionedIndex(
  pgm: { readonly db: Queryable & Partial<IndexRecorder> },
  index: Pick<PartitionedIndex, 'table' | 'name'>,
  options: Pick<BuildOptions, 'patience' | 'report'> = {},
): Promise<void> {
  if (pgm.db.recordIndex) return pgm.db.recordIndex('drop', { definition: '', ...index });
  await IndexSession.run(pgm.db, options.patience ?? {}, (session) =>
    session.alone(index.table, () => drop(session, index, options.report)),
  );
}

async function drop(
  session: IndexSession,
  index: Pick<PartitionedIndex, 'table' | 'name'>,
  report: BuildOptions['report'],
): Promise<void> {
  const table = await findTable(session, index.table);
  const found = await indexOf(session, table, index.name);
  if (found !== undefined) {
    const concurrently = table.partitioned ? '' : 'CONCURRENTLY ';
    const statement = `DROP INDEX ${concurrently}${qualified(table.schema, index.name)}`;
    await (table.partitioned ? session.briefly(statement) : session.concurrently(statement));
    report?.({ index: index.name, table: index.table, action: 'dropped', done: 0, total: 0 });
  }
  if (!table.partitioned) return;
  for (const leaf of await leavesOf(session, table)) {
    const name = leafIndexName(index.name, table.name, leaf.name);
    const leftover = await indexOf(session, leaf, name);
    if (leftover === undefined || leftover.parent !== undefined) continue;
    await session.concurrently(`DROP INDEX CONCURRENTLY ${qualified(leaf.schema, name)}`);
  }
}

/** Times a build is begun that is ended as a deadlock. */
const deadlocks = 5;

function isDeadlock(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '40P01';
}

/** PostgreSQL's NAMEDATALEN - 1, in bytes. */
const longestName = 63;

/** Name of a leaf's part: the index's name and what tells the leaf from its parent, within PostgreSQL's limit. */
export function leafIndexName(index: string, parent: string, leaf: string): string {
  const suffix = leaf.startsWith(`${parent}_`) ? leaf.slice(parent.length + 1) : leaf;
  const name = `${index}_${suffix}`;
  if (Buffer.byteLength(name) <= longestName) return name;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 10);
  return `${Buffer.from(name)
    .subarray(0, 52)
    .toString('utf8')
    .replace(/\uFFFD+$/, '')}_${digest}`;
}

class Build {
  readonly #session: IndexSession;
  readonly #index: PartitionedIndex;
  readonly #options: BuildOptions;

  constructor(session: IndexSession, index: PartitionedIndex, options: BuildOptions) {
    this.#session = session;
    this.#index = index;
    this.#options = options;
  }

  async run(): Promise<void> {
    const table = await findTable(this.#session, this.#index.table);
    if (!table.partitioned) {
      await this.#leaf(table, table, this.#index.name, 0, 1);
      return;
    }
    const existing = await indexOf(this.#session, table, this.#index.name);
    if (existing === undefined) {
      await this.#session.briefly(this.#create(table, this.#index.name, 'ON ONLY'));
      this.#report('created', this.#index.table, 0, 0);
    } else await this.#refuseOther(existing, table);

    // Leaves attached from here on get the index by being attached, so one pass sees every leaf that needs one.
    const leaves = await leavesOf(this.#session, table);
    for (const [position, leaf] of leaves.entries()) {
      // Asked anew each time: building takes hours, and others attach and detach meanwhile.
      const parent = await this.#required(table);
      if (parent.attached.has(leaf.id)) await this.#attachedLeaf(parent, leaf, position, leaves.length);
      else await this.#newLeaf(table, leaf, position, leaves.length);
    }
    await this.#validate(table);
  }

  /** @throws Fault for an index of this name that is another one */
  async #refuseOther(found: FoundIndex, table: Table): Promise<void> {
    if (await matches(this.#session, found, table, this.#index)) return;
    throw new Fault(
      'partitioned-index/2',
      `Index ${qualified(found.schema, found.name)}`,
      `it exists with another definition: ${found.definition}`,
      'Give the new index another name, or drop the old one in a migration before.',
    );
  }

  async #newLeaf(table: Table, leaf: Relation, position: number, total: number): Promise<void> {
    const name = leafIndexName(this.#index.name, table.name, leaf.name);
    try {
      await this.#leaf(table, leaf, name, position, total);
      await this.#session.briefly(
        `ALTER INDEX ${qualified(table.schema, this.#index.name)} ATTACH PARTITION ${qualified(leaf.schema, name)}`,
      );
    } catch (error) {
      const remaining = await leavesOf(this.#session, table).catch(() => [leaf]);
      if (remaining.some(({ id }) => id === leaf.id)) throw error;
      // It was detached or dropped in the meantime, and nobody has asked for an index on what it is now.
      const left = await findIndex(this.#session, leaf.schema, name);
      if (left?.table === leaf.id) {
        await this.#session.concurrently(`DROP INDEX CONCURRENTLY ${qualified(leaf.schema, name)}`);
      }
      this.#report('dropped', leaf.name, position + 1, total);
      return;
    }
    this.#report('attached', leaf.name, position + 1, total);
  }

  /** PostgreSQL looks whether a parent has become valid when a part is attached, not when the last leaf without one goes. */
  async #validate(table: Table): Promise<void> {
    let finished = await this.#required(table);
    const [part] = finished.attached.values();
    if (!finished.valid && part !== undefined) {
      await this.#session.briefly(
        `ALTER INDEX ${qualified(table.schema, this.#index.name)} ATTACH PARTITION ${qualified(part.schema, part.name)}`,
      );
      finished = await this.#required(table);
    }
    if (finished.valid) return;
    throw new Fault(
      'partitioned-index/3',
      `Index ${qualified(table.schema, this.#index.name)}`,
      `it is still invalid with ${finished.attached.size} of ${(await leavesOf(this.#session, table)).length} leaves attached`,
      'Run the migration again; if that does not help, drop it with dropPartitionedIndex and build it anew.',
    );
  }

  /** Leaves exactly one valid index of this name and definition on `leaf`. */
  async #leaf(table: Table, leaf: Relation, name: string, done: number, total: number): Promise<void> {
    // The backend of a killed client goes on building, and may finish; two builds of one table would be a deadlock.
    await this.#session.untilUnchangedByOthers(leaf.id);
    const found = await indexOf(this.#session, leaf, name);
    if (found?.valid) {
      if (found.parent !== undefined) {
        throw new Fault(
          'partitioned-index/4',
          `Index ${qualified(leaf.schema, name)}`,
          'it is a part of another partitioned index',
          'Give the new index another name.',
        );
      }
      await this.#refuseOther(found, table);
      this.#report('kept', leaf.name, done, total);
      return;
    }
    if (found) await this.#session.concurrently(`DROP INDEX CONCURRENTLY ${qualified(leaf.schema, name)}`);
    await this.#buildLeaf(leaf, name, found !== undefined, done, total);
  }

  async #buildLeaf(leaf: Relation, name: string, again: boolean, done: number, total: number): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#session.concurrently(this.#create(leaf, name, 'CONCURRENTLY'));
        break;
      } catch (error) {
        // What is left of it costs every write and helps no read; it may be out of reach if the connection is gone.
        if (error instanceof pg.DatabaseError) await this.#dropInvalid(leaf, name).catch(() => undefined);
        // Whoever waits for the leaf in a transaction and is waited for by this build; one of the two is ended.
        if (!isDeadlock(error) || attempt >= deadlocks) throw error;
      }
    }
    this.#report(again ? 'rebuilt' : 'built', leaf.name, done, total);
  }

  async #dropInvalid(leaf: Relation, name: string): Promise<void> {
    const left = await findIndex(this.#session, leaf.schema, name);
    if (left === undefined || left.table !== leaf.id || left.valid) return;
    await this.#session.concurrently(`DROP INDEX CONCURRENTLY ${qualified(leaf.schema, name)}`);
  }

  async #attachedLeaf(parent: FoundIndex, leaf: Relation, done: number, total: number): Promise<void> {
    const part = parent.attached.get(leaf.id);
    if (part === undefined || part.valid) {
      this.#report('kept', leaf.name, done + 1, total);
      return;
    }
    const name = qualified(part.schema, part.name);
    await this.#session.concurrently(`REINDEX INDEX CONCURRENTLY ${name}`);
    // Attaching again makes PostgreSQL look whether the parent has become valid.
    await this.#session.briefly(
      `ALTER INDEX ${qualified(parent.schema, parent.name)} ATTACH PARTITION ${name}`,
    );
    this.#report('rebuilt', leaf.name, done + 1, total);
  }

  async #required(table: Table): Promise<FoundIndex> {
    const found = await indexOf(this.#session, table, this.#index.name);
    if (found !== undefined) return found;
    throw new Fault(
      'partitioned-index/5',
      `Index ${qualified(table.schema, this.#index.name)}`,
      'it disappeared while it was being built',
      'Find what else changes indexes of this table, and run again.',
    );
  }

  #create(on: Relation, name: string, how: 'ON ONLY' | 'CONCURRENTLY'): string {
    const { definition, using = 'btree', where, unique = false } = this.#index;
    return [
      `CREATE ${unique ? 'UNIQUE ' : ''}INDEX${how === 'CONCURRENTLY' ? ' CONCURRENTLY' : ''}`,
      pg.escapeIdentifier(name),
      `ON ${how === 'ON ONLY' ? 'ONLY ' : ''}${qualified(on.schema, on.name)}`,
      `USING ${pg.escapeIdentifier(using)} ${definition}`,
      ...(where === undefined ? [] : [`WHERE ${where}`]),
    ].join(' ');
  }

  #report(action: IndexStep['action'], table: string, done: number, total: number): void {
    this.#options.report?.({ index: this.#index.name, table, action, done, total });
  }
}

/** The index of that name, if it is one of `relation`. @throws Fault when the name is something else's */
async function indexOf(
  session: IndexSession,
  relation: Relation,
  name: string,
): Promise<FoundIndex | undefined> {
  const found = await findIndex(session, relation.schema, name);
  if (found === undefined || found.table === relation.id) return found;
  throw new Fault(
    'partitioned-index/6',
    `Index ${qualified(relation.schema, name)}`,
    `the name is taken by ${found.definition ?? 'a relation that is no index'}, not by an index of ${relation.name}`,
    'Give the index another name.',
  );
}
