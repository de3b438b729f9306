/**
 * Runs random statements in the application's role beside another tenant's planted rows. No statement reads or writes the
 * other tenant's data, and no error reveals it.
 *
 * There are three copies of one database. Each transaction runs in the first copy and, as far as its statements can be
 * compared, in the second copy, in which the other tenant is a different one. Both must give the same answers. Some
 * transactions run in the third copy and are committed. All output is searched for the other tenant's marks, and data of
 * other tenants must stay unchanged, byte for byte.
 */
import type pg from 'pg';
import {
  connectionOf,
  copyDatabase,
  dropDatabase,
  type ServerAddress,
} from '../../../local/postgres/address.ts';
import { within } from '../../../local/postgres/bootstrap.ts';
import { randomPassword } from '../../../local/postgres/server.ts';
import { count, Disproved, type Log, type Proved, tally } from '../proof.ts';
import { Random } from '../random.ts';
import { Grammar, type Statement } from './grammar.ts';
import { readNames } from './names.ts';
import { type Heard, Session } from './session.ts';
import { foreignContent, makeTenants, plant, replaceOtherTenant, type Tenants } from './tenants.ts';

export interface IsolationOptions {
  /** Parallel runs, each with logins and databases of its own and with consecutive seeds. @default 1 */
  readonly workers?: number;
  /** A database with every migration. It stays unchanged. */
  readonly template: string;
  readonly server: ServerAddress;
  readonly statements: number;
  readonly random: Random;
  readonly log: Log;
  /** SQL that opens a hole before the run, so that a test can see it found. @default - none */
  readonly hole?: string;
}

export interface Isolated extends Proved {
  /** Statements by SQLSTATE; successful ones count as 'ok'. */
  readonly ends: ReadonlyMap<string, number>;
  readonly compared: number;
}

/** Statements between two comparisons of other tenants' data. */
const compareEvery = 5_000;

/** @throws Disproved with the statement that read, changed or revealed data of the other tenant */
export async function proveIsolation(options: IsolationOptions): Promise<Isolated> {
  const { workers = 1, random, statements, log } = options;
  const settled = await Promise.allSettled(
    Array.from({ length: workers }, async (_, nth) => {
      const own = nth === 0 ? random : new Random(random.seed + nth);
      const prefixed: Log = workers === 1 ? log : (line) => log(`[seed ${own.seed}] ${line}`);
      try {
        return await proveOne({
          ...options,
          statements: Math.ceil(statements / workers),
          random: own,
          log: prefixed,
        });
      } catch (error) {
        if (error instanceof Disproved && workers > 1) {
          throw new Disproved(`with --seed ${own.seed} --workers 1: ${error.message}`, { cause: error });
        }
        throw error;
      }
    }),
  );
  for (const run of settled) {
    if (run.status === 'rejected' && workers > 1)
      log(run.reason instanceof Error ? run.reason.message : String(run.reason));
  }
  const runs = settled.map((run) => {
    if (run.status === 'rejected') throw run.reason;
    return run.value;
  });
  const ends = new Map<string, number>();
  for (const run of runs) for (const [code, times] of run.ends) count(ends, code, times);
  const done = [...ends.values()].reduce((sum, times) => sum + times, 0);
  const compared = runs.reduce((sum, run) => sum + run.compared, 0);
  return {
    ends,
    compared,
    summary: `${done} statements (${ends.get('ok')} succeeded, ${compared} compared with the second copy): no data of the other tenant was read, changed or revealed`,
  };
}

async function proveOne(options: IsolationOptions): Promise<Omit<Isolated, 'summary'>> {
  const { server, template, random } = options;
  const suffix = random.hex(8);
  const databases = {
    planted: `isolation_${suffix}`,
    first: `isolation_${suffix}_a`,
    second: `isolation_${suffix}_b`,
    committed: `isolation_${suffix}_c`,
  };
  const login = { user: `isolation_${suffix}`, password: randomPassword() };
  const asSuperuser = <Result>(database: string, work: (client: pg.Client) => Promise<Result>) =>
    within(connectionOf(server, 'superuser', { database }), work);
  const marks = makeTenants(random);
  try {
    await copyDatabase(server, databases.planted, template);
    const { tenants, names } = await asSuperuser(databases.planted, async (client) => {
      await client.query(
        `CREATE ROLE ${login.user} LOGIN PASSWORD '${login.password}';
         GRANT application_role TO ${login.user} WITH INHERIT TRUE, SET FALSE`,
      );
      const planted = await plant(client, marks);
      if (options.hole) await client.query(options.hole);
      await client.query('VACUUM (FULL, ANALYZE)');
      return { tenants: planted, names: await readNames(client, login.user) };
    });
    await copyDatabase(server, databases.first, databases.planted);
    await copyDatabase(server, databases.second, databases.planted);
    await asSuperuser(databases.second, async (client) => {
      await replaceOtherTenant(client, tenants);
      // The files must be as long as in the first copy, or plans would differ.
      await client.query('VACUUM (FULL)');
    });
    const run = new Run(options, tenants, new Grammar(random, tenants, names), databases, login);
    return await run.all();
  } finally {
    for (const database of Object.values(databases)) await dropDatabase(server, database);
    await asSuperuser('postgres', (client) => client.query(`DROP ROLE IF EXISTS ${login.user}`));
  }
}

/** Settings that leave one order and one method of joins, whatever the statistics say. */
const onePlan = [
  ...[
    'hashjoin',
    'mergejoin',
    'memoize',
    'material',
    'hashagg',
    'indexscan',
    'indexonlyscan',
    'bitmapscan',
  ].map((method) => `SET LOCAL enable_${method} = off`),
  ...['join_collapse_limit = 1', 'from_collapse_limit = 1', 'max_parallel_workers_per_gather = 0'].map(
    (setting) => `SET LOCAL ${setting}`,
  ),
].join('; ');

/** The statements of one transaction so far. */
interface Transaction {
  readonly committed: boolean;
  readonly begin: string;
  readonly sent: string[];
  /** Whether rows were changed. From then on, times and keys chosen by the server differ between two databases. */
  changed: boolean;
}

class Run {
  readonly #ends = new Map<string, number>();
  readonly #kinds = new Map<string, number>();
  #done = 0;
  #compared = 0;
  #rows = 0;
  #committedSince = 0;
  #first: Session;
  #second: Session;
  #committed: Session | undefined;
  #contents: ReadonlyMap<string, string> = new Map();

  constructor(
    private readonly options: IsolationOptions,
    private readonly tenants: Tenants,
    private readonly grammar: Grammar,
    private readonly databases: Readonly<Record<'planted' | 'first' | 'second' | 'committed', string>>,
    private readonly login: { readonly user: string; readonly password: string },
  ) {
    this.#first = this.#session(databases.first);
    this.#second = this.#session(databases.second);
  }

  async all(): Promise<Omit<Isolated, 'summary'>> {
    const { statements, log, random } = this.options;
    this.#contents = await this.#contentOf(this.databases.first);
    let look = compareEvery;
    try {
      while (this.#done < statements) {
        if (random.chance(0.15)) await this.#committing();
        else await this.#comparing();
        if (this.#done >= look) {
          await this.#requireUntouched();
          const ok = this.#ends.get('ok') ?? 0;
          log(
            `${this.#done} of ${statements}: ${ok} succeeded, ${this.#compared} compared, ${this.#rows} rows read or changed`,
          );
          look += compareEvery;
        }
      }
      await this.#requireUntouched();
    } finally {
      await Promise.all([this.#first.close(), this.#second.close(), this.#committed?.close()]);
    }
    const ok = this.#ends.get('ok') ?? 0;
    const refused = new Map([...this.#ends].filter(([code]) => code !== 'ok'));
    log(`  of ${this.#done}: ${tally(this.#kinds)}`);
    log(
      `  ${ok} succeeded (${Math.round((100 * ok) / Math.max(1, this.#done))} %); failed by SQLSTATE: ${tally(refused)}`,
    );
    return { ends: this.#ends, compared: this.#compared };
  }

  /** Runs a transaction in the first and the second copy, and rolls it back. */
  async #comparing(): Promise<void> {
    const transaction = this.#begin(false);
    await this.#both(transaction.begin);
    const length = 4 + this.options.random.below(20);
    for (let nth = 0; nth < length; nth += 1) {
      const statement = this.grammar.next();
      transaction.sent.push(statement.sql);
      // Always in both copies, so that settings, cursors and changed rows stay the same.
      const [heard, other] = await Promise.all([
        this.#guarded(this.#first, statement.sql),
        this.#guarded(this.#second, statement.sql),
      ]);
      await this.#judge(statement, heard, transaction);
      await this.#compare(statement, heard, other, transaction);
      const changes =
        statement.kind === 'call' || /\b(INSERT|UPDATE|DELETE|MERGE|EXECUTE)\b/.test(statement.sql);
      if (changes && heard.code === undefined) transaction.changed = true;
    }
    await this.#both('ROLLBACK');
  }

  async #both(sql: string): Promise<void> {
    await Promise.all([this.#first.send(sql), this.#second.send(sql)]);
  }

  async #compare(statement: Statement, heard: Heard, other: Heard, transaction: Transaction): Promise<void> {
    if (statement.kind === 'call' || statement.kind === 'server') return;
    // Each copy samples other rows, so other rows raise errors.
    if (transaction.sent.some((sql) => sql.includes('TABLESAMPLE'))) return;
    const failed = heard.code !== undefined || other.code !== undefined;
    if (!failed && !statement.comparable && statement.kind === 'utility') return;
    // Errors must always be the same. After a change, times and keys that the server chose differ.
    const whole =
      !transaction.changed && (failed || (statement.comparable && !/\bnow\(\)/.test(statement.sql)));
    const [one, two] = [heard, other].map((side) =>
      whole ? this.#masked(side.comparable) : (side.code ?? 'ok'),
    );
    this.#compared += 1;
    if (one === two) return;
    if (heard.code === '57014' || other.code === '57014') return; // One of the two has timed out.
    if (await this.#differsAgain(statement, transaction, failed)) {
      await this.#report(
        statement,
        transaction,
        `the answer depends on the other tenant:\n--- with one:\n${one}\n--- with another:\n${two}`,
      );
    }
  }

  /**
   * Whether the answers differ again in new transactions. A difference that does not repeat reveals nothing. SQL leaves
   * open which condition is evaluated first, so an error of the first tenant's own row may depend on the plan, and the
   * plan on the statistics of all tenants. The last time, both copies therefore use one plan.
   */
  async #differsAgain(statement: Statement, transaction: Transaction, failed: boolean): Promise<boolean> {
    for (const preparation of failed ? ['', '', onePlan] : ['', '']) {
      const answers = await Promise.all(
        [this.databases.first, this.databases.second].map(async (database) => {
          const session = this.#session(database);
          await session.send(transaction.begin);
          for (const sql of transaction.sent.slice(0, -1)) await this.#guarded(session, sql);
          if (preparation !== '') await this.#guarded(session, preparation);
          const heard = await this.#guarded(session, statement.sql);
          await session.close();
          return heard.code ?? this.#masked(heard.comparable);
        }),
      );
      if (answers[0] === answers[1]) return false;
    }
    return true;
  }

  /** Commits a transaction in the third copy, or runs one statement outside a transaction. */
  async #committing(): Promise<void> {
    const { random } = this.options;
    if (this.#committed === undefined || this.#committedSince > 2_000) await this.#renew();
    const session = this.#committed;
    if (session === undefined) throw new Error('the third copy has no session');
    const transaction = this.#begin(true);
    if (random.chance(0.3)) {
      const statement = this.grammar.alone();
      transaction.sent.push(statement.sql);
      await this.#judge(statement, await session.send(statement.sql), transaction);
    } else {
      await session.send(transaction.begin);
      const length = 2 + random.below(8);
      for (let nth = 0; nth < length; nth += 1) {
        const statement = this.grammar.next();
        transaction.sent.push(statement.sql);
        await this.#judge(statement, await this.#guarded(session, statement.sql), transaction);
      }
      await this.#judge(
        { kind: 'utility', sql: 'COMMIT', comparable: false },
        await session.send('COMMIT'),
        transaction,
      );
      this.#committedSince += length;
    }
    await session.send('DISCARD ALL');
  }

  #begin(committed: boolean): Transaction {
    const { random } = this.options;
    const mine = `SELECT set_config('app.current_tenant_id', '${this.tenants.mine.id}', true)`;
    const begin = random.weighted([
      [10, `BEGIN; ${mine}`],
      [
        4,
        `BEGIN; SELECT llama.set_tenant_context('${this.tenants.mine.id}', 'own', NULL, '192.0.2.7', 'own')`,
      ],
      [2, `BEGIN ISOLATION LEVEL REPEATABLE READ; ${mine}`],
      [1, `BEGIN ISOLATION LEVEL SERIALIZABLE; ${mine}`],
      [1, 'BEGIN'],
      [1, "BEGIN; SELECT set_config('app.current_tenant_id', '', true)"],
    ]);
    return { begin, committed, sent: [], changed: false };
  }

  /** Runs a statement in a savepoint, so that the transaction continues after an error. */
  async #guarded(session: Session, sql: string): Promise<Heard> {
    const heard = await session.send(`SAVEPOINT fuzz; ${sql}; RELEASE SAVEPOINT fuzz`);
    if (heard.code !== undefined) await session.send('ROLLBACK TO SAVEPOINT fuzz; RELEASE SAVEPOINT fuzz');
    return heard;
  }

  /** Counts a statement and searches its output for the other tenant. */
  async #judge(statement: Statement, heard: Heard, transaction: Transaction): Promise<void> {
    this.#done += 1;
    count(this.#ends, heard.code ?? 'ok');
    count(this.#kinds, `${statement.kind} ${heard.code === undefined ? 'ok' : 'failed'}`);
    this.#rows += heard.rows;
    const found = this.tenants.secret.exec(heard.text);
    if (found) {
      const around = heard.text.slice(Math.max(0, found.index - 80), found.index + 80);
      await this.#report(
        statement,
        transaction,
        `the output contains the other tenant's ${found[0]}: …${around}…`,
      );
    }
    const { id } = this.tenants.theirs;
    // A committed transaction may have written the name into the first tenant's own rows.
    const asked = transaction.committed || transaction.sent.some((sql) => sql.includes(id.slice(0, 10)));
    if (statement.kind === 'read' && !asked && heard.text.includes(id)) {
      await this.#report(
        statement,
        transaction,
        `the output contains the other tenant's name ${id}, which no statement contained`,
      );
    }
  }

  async #requireUntouched(): Promise<void> {
    const { first, committed } = this.databases;
    for (const database of this.#committed ? [first, committed] : [first]) {
      const now = await this.#contentOf(database);
      for (const [table, before] of this.#contents) {
        if (now.get(table) === before) continue;
        throw new Disproved(
          `${table} has changed rows of other tenants, in ${database === first ? 'the copy without commits' : 'the copy with commits'}: ${before} became ${now.get(table)}`,
        );
      }
    }
  }

  /** Throws Disproved with the statement and the shortest transaction that reproduces it. */
  async #report(statement: Statement, transaction: Transaction, what: string): Promise<never> {
    const before = transaction.sent.slice(0, -1);
    const needed = await this.#needed(statement, transaction, before);
    throw new Disproved(
      `statement ${this.#done} ${what}\n${[transaction.begin, ...needed, statement.sql].map((sql) => `  ${sql};`).join('\n')}`,
    );
  }

  /** Removes earlier statements as long as the output still contains the other tenant's mark. */
  async #needed(
    statement: Statement,
    transaction: Transaction,
    before: readonly string[],
  ): Promise<readonly string[]> {
    let kept = [...before];
    for (const candidate of [[], ...before.map((sql) => [sql])]) {
      const tried = candidate.length === 0 ? [] : kept.filter((sql) => sql !== candidate[0]);
      const session = this.#session(this.databases.first);
      await session.send(transaction.begin);
      for (const sql of tried) await this.#guarded(session, sql);
      const heard = await this.#guarded(session, statement.sql);
      await session.close();
      if (!this.tenants.secret.test(heard.text)) continue;
      kept = tried;
      if (kept.length === 0) break;
    }
    return kept;
  }

  /** The text without generated keys and without the names of the two other tenants. */
  #masked(text: string): string {
    return this.tenants.replacements
      .reduce((masked, [from, to]) => masked.replaceAll(to, from), text)
      .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>');
  }

  #session(database: string): Session {
    return new Session({
      ...connectionOf(this.options.server, this.login, { database }),
      statement_timeout: 1_500,
      application_name: 'application',
    });
  }

  #contentOf(database: string): Promise<ReadonlyMap<string, string>> {
    return within(connectionOf(this.options.server, 'superuser', { database }), (client) =>
      foreignContent(client, this.tenants.mine.id),
    );
  }

  /** Copies the third database again, because commits use up the first tenant's rows. */
  async #renew(): Promise<void> {
    const { server } = this.options;
    if (this.#committed) {
      await this.#requireUntouched();
      await this.#committed.close();
    }
    await dropDatabase(server, this.databases.committed);
    await copyDatabase(server, this.databases.committed, this.databases.planted);
    this.#committed = this.#session(this.databases.committed);
    this.#committedSince = 0;
  }
}
