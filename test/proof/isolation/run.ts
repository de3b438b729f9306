/**
 * Random statements of the application's role, with another tenant's rows planted beside its own: nothing of the other
 * tenant is read, written, or told by an error.
 *
 * Three copies of one database. Each transaction runs in the first; where its statements can be compared, they run in
 * the second as well, where the other tenant is somebody else, and both must answer alike. Some transactions run in the
 * third and are committed. Everything that comes back is searched for the other tenant's marks, and what is not the
 * first tenant's must stay as it was, byte for byte.
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
import { becomeSomebodyElse, foreignContent, makeTenants, plant, type Tenants } from './tenants.ts';

export interface IsolationOptions {
  /** Runs side by side, each with seed, logins and databases of its own: the seed, the one after it, and so on. @default 1 */
  readonly workers?: number;
  /** A database with every migration applied; it stays as it is. */
  readonly template: string;
  readonly server: ServerAddress;
  readonly statements: number;
  readonly random: Random;
  readonly log: Log;
  /** Opened before the run, to see that it finds what it should. @default - none */
  readonly hole?: string;
}

export interface Isolated extends Proved {
  /** By SQLSTATE, and those that succeeded as 'ok'. */
  readonly ends: ReadonlyMap<string, number>;
  readonly compared: number;
}

/** Statements between two looks at what is not the first tenant's. */
const lookEvery = 5_000;

/** @throws Disproved with the seed's statement that read, wrote or was told something of the other tenant */
export async function proveIsolation(options: IsolationOptions): Promise<Isolated> {
  const { workers = 1, random, statements, log } = options;
  const settled = await Promise.allSettled(
    Array.from({ length: workers }, async (_, nth) => {
      const own = nth === 0 ? random : new Random(random.seed + nth);
      const told: Log = workers === 1 ? log : (line) => log(`[seed ${own.seed}] ${line}`);
      try {
        return await proveOne({
          ...options,
          statements: Math.ceil(statements / workers),
          random: own,
          log: told,
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
    summary: `${done} statements (${ends.get('ok')} succeeded, ${compared} also beside somebody else's rows): nothing of the other tenant read, written or told`,
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
      await becomeSomebodyElse(client, tenants);
      // As long as the first copy's files, or plans would differ.
      await client.query('VACUUM (FULL)');
    });
    const run = new Run(options, tenants, new Grammar(random, tenants, names), databases, login);
    return await run.all();
  } finally {
    for (const database of Object.values(databases)) await dropDatabase(server, database);
    await asSuperuser('postgres', (client) => client.query(`DROP ROLE IF EXISTS ${login.user}`));
  }
}

/** What one transaction has done so far. */
interface Course {
  readonly committed: boolean;
  readonly begin: string;
  readonly sent: string[];
  /** Whether rows were changed: times and keys that the server chose differ between two databases from then on. */
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
    let look = lookEvery;
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
          look += lookEvery;
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
      `  ${ok} succeeded (${Math.round((100 * ok) / this.#done)} %); failed by SQLSTATE: ${tally(refused)}`,
    );
    return { ends: this.#ends, compared: this.#compared };
  }

  /** A transaction in the first copy, side by side with the second, rolled back. */
  async #comparing(): Promise<void> {
    const course = this.#begin(false);
    await this.#both(course.begin);
    const length = 4 + this.options.random.below(20);
    for (let nth = 0; nth < length; nth += 1) {
      const statement = this.grammar.next();
      course.sent.push(statement.sql);
      // In both in any case: settings, cursors and changed rows must be the same.
      const [heard, other] = await Promise.all([
        this.#guarded(this.#first, statement.sql),
        this.#guarded(this.#second, statement.sql),
      ]);
      await this.#judge(statement, heard, course);
      await this.#compare(statement, heard, other, course);
      const changes =
        statement.kind === 'call' || /\b(INSERT|UPDATE|DELETE|MERGE|EXECUTE)\b/.test(statement.sql);
      if (changes && heard.code === undefined) course.changed = true;
    }
    await this.#both('ROLLBACK');
  }

  async #both(sql: string): Promise<void> {
    await Promise.all([this.#first.send(sql), this.#second.send(sql)]);
  }

  async #compare(statement: Statement, heard: Heard, other: Heard, course: Course): Promise<void> {
    if (statement.kind === 'call' || statement.kind === 'server') return;
    // Which rows are sampled, and so which of them raise an error, is chance in each copy.
    if (course.sent.some((sql) => sql.includes('TABLESAMPLE'))) return;
    const failed = heard.code !== undefined || other.code !== undefined;
    if (!failed && !statement.comparable && statement.kind === 'utility') return;
    // Errors are told alike whatever can be compared of an answer; after a change, times and keys differ that the server chose.
    const whole = !course.changed && (failed || (statement.comparable && !/\bnow\(\)/.test(statement.sql)));
    const [one, two] = [heard, other].map((side) =>
      whole ? this.#masked(side.comparable) : (side.code ?? 'ok'),
    );
    this.#compared += 1;
    if (one === two) return;
    if (heard.code === '57014' || other.code === '57014') return; // One of the two took too long.
    if (await this.#alsoAlone(statement, course)) {
      await this.#report(
        statement,
        course,
        `the answer depends on who the other tenant is:\n--- beside one:\n${one}\n--- beside another:\n${two}`,
      );
    }
  }

  /** Whether it differs again in new transactions: what happens once is chance, and no way to find anything out. */
  async #alsoAlone(statement: Statement, course: Course): Promise<boolean> {
    for (let time = 0; time < 2; time += 1) {
      const answers = await Promise.all(
        [this.databases.first, this.databases.second].map(async (database) => {
          const session = this.#session(database);
          await session.send(course.begin);
          for (const sql of course.sent.slice(0, -1)) await this.#guarded(session, sql);
          const heard = await this.#guarded(session, statement.sql);
          await session.close();
          return heard.code ?? this.#masked(heard.comparable);
        }),
      );
      if (answers[0] === answers[1]) return false;
    }
    return true;
  }

  /** A transaction in the third copy, committed, or one statement outside of any. */
  async #committing(): Promise<void> {
    const { random } = this.options;
    if (this.#committed === undefined || this.#committedSince > 2_000) await this.#renew();
    const session = this.#committed;
    if (session === undefined) throw new Error('there is no session');
    const course = this.#begin(true);
    if (random.chance(0.3)) {
      const statement = this.grammar.alone();
      course.sent.push(statement.sql);
      await this.#judge(statement, await session.send(statement.sql), course);
    } else {
      await session.send(course.begin);
      const length = 2 + random.below(8);
      for (let nth = 0; nth < length; nth += 1) {
        const statement = this.grammar.next();
        course.sent.push(statement.sql);
        await this.#judge(statement, await this.#guarded(session, statement.sql), course);
      }
      await this.#judge(
        { kind: 'utility', sql: 'COMMIT', comparable: false },
        await session.send('COMMIT'),
        course,
      );
      this.#committedSince += length;
    }
    await session.send('DISCARD ALL');
  }

  #begin(committed: boolean): Course {
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

  /** In a savepoint, so that the next statement finds a transaction that works. */
  async #guarded(session: Session, sql: string): Promise<Heard> {
    const heard = await session.send(`SAVEPOINT fuzz; ${sql}; RELEASE SAVEPOINT fuzz`);
    if (heard.code !== undefined) await session.send('ROLLBACK TO SAVEPOINT fuzz; RELEASE SAVEPOINT fuzz');
    return heard;
  }

  /** Counts a statement and looks for the other tenant in all that came back. */
  async #judge(statement: Statement, heard: Heard, course: Course): Promise<void> {
    this.#done += 1;
    count(this.#ends, heard.code ?? 'ok');
    count(this.#kinds, `${statement.kind} ${heard.code === undefined ? 'ok' : 'failed'}`);
    this.#rows += heard.rows;
    const found = this.tenants.secret.exec(heard.text);
    if (found) {
      const around = heard.text.slice(Math.max(0, found.index - 80), found.index + 80);
      await this.#report(statement, course, `the other tenant's ${found[0]} came back: …${around}…`);
    }
    const { id } = this.tenants.theirs;
    // What is committed may have put the name into the first tenant's own rows.
    const asked = course.committed || course.sent.some((sql) => sql.includes(id.slice(0, 10)));
    if (statement.kind === 'read' && !asked && heard.text.includes(id)) {
      await this.#report(
        statement,
        course,
        `the other tenant's name ${id} came back without being asked for`,
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
          `${table} holds other rows of other tenants than before, in ${database === first ? 'the copy where nothing is committed' : 'the copy where transactions are committed'}: ${before} became ${now.get(table)}`,
        );
      }
    }
  }

  /** Names the statement, and how little of its transaction it needs. */
  async #report(statement: Statement, course: Course, what: string): Promise<never> {
    const before = course.sent.slice(0, -1);
    const told = await this.#needed(statement, course, before);
    throw new Disproved(
      `statement ${this.#done} ${what}\n${[course.begin, ...told, statement.sql].map((sql) => `  ${sql};`).join('\n')}`,
    );
  }

  /** Leaves out what came before, as far as the other tenant's mark still comes back. */
  async #needed(statement: Statement, course: Course, before: readonly string[]): Promise<readonly string[]> {
    let kept = [...before];
    for (const candidate of [[], ...before.map((sql) => [sql])]) {
      const tried = candidate.length === 0 ? [] : kept.filter((sql) => sql !== candidate[0]);
      const session = this.#session(this.databases.first);
      await session.send(course.begin);
      for (const sql of tried) await this.#guarded(session, sql);
      const heard = await this.#guarded(session, statement.sql);
      await session.close();
      if (!this.tenants.secret.test(heard.text)) continue;
      kept = tried;
      if (kept.length === 0) break;
    }
    return kept;
  }

  /** Without what is different between any two databases: keys and times, and the names of the two other tenants. */
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

  /** What is committed wears the first tenant's rows out; begin with all of them again. */
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
