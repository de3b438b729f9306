/**
 * Builds indexes on partitioned tables without blocking writers: ON ONLY the parent, CONCURRENTLY on each leaf, ATTACH.
 *
 * The catalogs are the only record of progress. After a kill at any moment, another run finishes the build. It drops an
 * index that a failed build left invalid and builds it again; IF NOT EXISTS would accept the invalid index.
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
import { IndexSession, type LockLimits, type Queryable } from './session.ts';

export interface PartitionedIndex {
  /** Table with its schema: `llama.storage_records`. The table may also be unpartitioned. */
  readonly table: string;
  /** Name of the index, without schema: it is created in the schema of the table. */
  readonly name: string;
  /** Key columns in the syntax of CREATE INDEX, with parentheses: `(tenant_id, "timestamp" DESC)`. */
  readonly definition: string;
  /** Condition of a partial index. @default - all rows */
  readonly where?: string;
  /** Access method. @default 'btree' */
  readonly using?: string;
  /** On a partitioned table, a unique index must contain the partition key. @default false */
  readonly unique?: boolean;
}

/** One completed action of a build. `done` of `total` leaves are finished. */
export interface IndexStep {
  readonly index: string;
  readonly table: string;
  readonly action: 'created' | 'built' | 'rebuilt' | 'attached' | 'kept' | 'dropped';
  readonly done: number;
  readonly total: number;
}

export interface BuildOptions {
  readonly limits?: LockLimits;
  /** Called after each step. @default - none */
  readonly report?: (step: IndexStep) => void;
}

/** Records the builds of a migration that is read without a database. */
export interface IndexRecorder {
  recordIndex(action: 'build' | 'drop', index: PartitionedIndex): void;
}

/**
 * Builds an index on a partitioned table. Call it after `pgm.noTransaction()`, once per index. It does nothing if the
 * index is complete. It runs as the current role of the connection, which must own the table.
 *
 * @throws Fault if another relation has the name, or if a short step does not get its lock
 */
export async function buildPartitionedIndex(
  pgm: { readonly db: Queryable & Partial<IndexRecorder> },
  index: PartitionedIndex,
  options: BuildOptions = {},
): Promise<void> {
  if (Buffer.byteLength(index.name) > longestName) {
    throw new Fault(
      'index/name-too-long',
      `Index ${index.name}`,
      `its name has more than ${longestName} bytes, and PostgreSQL would truncate it`,
      'Choose a shorter name.',
    );
  }
  if (pgm.db.recordIndex) return pgm.db.recordIndex('build', index);
  await IndexSession.run(pgm.db, options.limits ?? {}, (session) =>
    session.alone(index.table, () => new Build(session, index, options).run()),
  );
}

/**
 * Drops such an index, including the remains of an unfinished build. It does nothing if the index does not exist.
 *
 * PostgreSQL refuses DROP INDEX CONCURRENTLY on a partitioned index, so the drop blocks the table for a moment.
 *
 * @throws Fault if the index of that name belongs to another table, or if the drop does not get its lock
 */
export async function dropPartitionedIndex(
  pgm: { readonly db: Queryable & Partial<IndexRecorder> },
  index: Pick<PartitionedIndex, 'table' | 'name'>,
  options: Pick<BuildOptions, 'limits' | 'report'> = {},
): Promise<void> {
  if (pgm.db.recordIndex) return pgm.db.recordIndex('drop', { definition: '', ...index });
  await IndexSession.run(pgm.db, options.limits ?? {}, (session) =>
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

/** Attempts at a build that ends in a deadlock. */
const buildAttempts = 5;

function isDeadlock(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '40P01';
}

/** Bytes that PostgreSQL keeps of a name: NAMEDATALEN - 1. */
export const longestName = 63;

/** Name of the index on a leaf: the name of the whole index and the suffix of the leaf, within PostgreSQL's limit. */
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

    // A leaf that is attached from now on gets the index from ATTACH, so one pass covers all leaves.
    const leaves = await leavesOf(this.#session, table);
    for (const [position, leaf] of leaves.entries()) {
      // Read again for each leaf: a build takes hours, and others attach and detach partitions meanwhile.
      const parent = await this.#required(table);
      if (parent.attached.has(leaf.id)) await this.#attachedLeaf(parent, leaf, position, leaves.length);
      else await this.#newLeaf(table, leaf, position, leaves.length);
    }
    await this.#validate(table);
  }

  /** @throws Fault if the existing index has another definition */
  async #refuseOther(found: FoundIndex, table: Table): Promise<void> {
    if (await matches(this.#session, found, table, this.#index)) return;
    throw new Fault(
      'index/other-definition',
      `Index ${qualified(found.schema, found.name)}`,
      `it already exists with another definition: ${found.definition}`,
      'Give the new index another name, or drop the old one in an earlier migration.',
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
      // The leaf was detached or dropped in the meantime. A detached table needs no index.
      const left = await findIndex(this.#session, leaf.schema, name);
      if (left?.table === leaf.id) {
        await this.#session.concurrently(`DROP INDEX CONCURRENTLY ${qualified(leaf.schema, name)}`);
      }
      this.#report('dropped', leaf.name, position + 1, total);
      return;
    }
    this.#report('attached', leaf.name, position + 1, total);
  }

  /** PostgreSQL marks a parent valid only when a part is attached, not when the last leaf without a part is removed. */
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
      'index/still-invalid',
      `Index ${qualified(table.schema, this.#index.name)}`,
      `it is still invalid with ${finished.attached.size} of ${(await leavesOf(this.#session, table)).length} leaves attached`,
      'Run the migration again. If the index stays invalid, drop it with dropPartitionedIndex and build it again.',
    );
  }

  /** Ensures exactly one valid index of this name and definition on `leaf`. */
  async #leaf(table: Table, leaf: Relation, name: string, done: number, total: number): Promise<void> {
    // The backend of a killed client continues its build and may finish it; a second build of the table would deadlock.
    await this.#session.untilUnchangedByOthers(leaf.id);
    const found = await indexOf(this.#session, leaf, name);
    if (found?.valid) {
      if (found.parent !== undefined) {
        throw new Fault(
          'index/part-of-another',
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
        // An invalid index slows every write and serves no read. On a lost connection the drop fails too.
        if (error instanceof pg.DatabaseError) await this.#dropInvalid(leaf, name).catch(() => undefined);
        // A transaction that waits for the leaf deadlocks with this build, which waits for the transaction.
        if (!isDeadlock(error) || attempt >= buildAttempts) throw error;
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
    // Attaching it again makes PostgreSQL check whether the parent is valid now.
    await this.#session.briefly(
      `ALTER INDEX ${qualified(parent.schema, parent.name)} ATTACH PARTITION ${name}`,
    );
    this.#report('rebuilt', leaf.name, done + 1, total);
  }

  async #required(table: Table): Promise<FoundIndex> {
    const found = await indexOf(this.#session, table, this.#index.name);
    if (found !== undefined) return found;
    throw new Fault(
      'index/disappeared',
      `Index ${qualified(table.schema, this.#index.name)}`,
      'it disappeared while it was being built',
      'Find the other session that changes indexes of this table, then run the migration again.',
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

/** The index of that name on `relation`. @throws Fault if another relation has the name */
async function indexOf(
  session: IndexSession,
  relation: Relation,
  name: string,
): Promise<FoundIndex | undefined> {
  const found = await findIndex(session, relation.schema, name);
  if (found === undefined || found.table === relation.id) return found;
  throw new Fault(
    'index/name-taken',
    `Index ${qualified(relation.schema, name)}`,
    `its name belongs to ${found.definition ?? 'a table or view'}, not to an index of ${relation.name}`,
    'Give the index another name.',
  );
}
