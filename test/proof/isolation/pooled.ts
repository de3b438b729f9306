/**
 * Two tenants share the sessions of a pool. Each leaves in them whatever the server lets it leave, runs random statements
 * and looks for what the other left. After each start of a request the session must be as a new one, the driver's named
 * queries must answer as in a session that nobody else uses, and no output may contain the other tenant's marks.
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
import { transaction } from '../../../runtime/index.ts';
import { count, Disproved, type Log, type Proved, tally } from '../proof.ts';
import { Random } from '../random.ts';
import { Grammar } from './grammar.ts';
import { Leftovers, named } from './leftovers.ts';
import { readNames } from './names.ts';
import { type Heard, Session } from './session.ts';
import { foreignContent, makeTenants, plant, type Tenants } from './tenants.ts';

export interface PooledOptions {
  /** Parallel runs, each with a login and a database of its own and with consecutive seeds. @default 1 */
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

export interface Pooled extends Proved {
  /** Statements by SQLSTATE; successful ones count as 'ok'. */
  readonly ends: ReadonlyMap<string, number>;
  /** Requests in a session that the other tenant had before. */
  readonly handedOn: number;
  /** Answers compared with those of a session that only asks. */
  readonly compared: number;
}

const sessions = 3;

/**
 * Statements with a known way to others that is not the session. docs/isolation.md lists NOTIFY, ALTER ROLE, and the texts of
 * statements that other sessions of the same login are running.
 */
const open = /pg_notify|ALTER ROLE|pg_sleep|pg_stat_(get_)?activity/;

/** State of the session within a transaction that has just begun. Channels end with its commit. */
const state = `
  SELECT 'setting ' || name || ' = ' || setting FROM pg_settings WHERE source = 'session'
     AND name <> ALL ('{app.current_tenant_id,app.current_user_id,app.correlation_id,app.client_address,app.user_agent}')
     AND name !~ '^transaction_'
  UNION ALL SELECT 'transaction ' || name || ' = ' || setting FROM pg_settings
   WHERE name ~ '^transaction_(iso|read|def)' AND setting NOT IN ('read committed', 'off')
  UNION ALL SELECT 'statement ' || name FROM pg_prepared_statements WHERE from_sql
  UNION ALL SELECT 'cursor ' || name FROM pg_cursors WHERE is_holdable
  UNION ALL SELECT 'large object ' || oid FROM pg_largeobject_metadata WHERE lomowner = current_user::regrole
  UNION ALL SELECT 'temporary ' || relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()
  UNION ALL SELECT 'role ' || current_user WHERE current_user <> session_user
  UNION ALL SELECT 'advisory lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
     AND (classid::bigint << 32) | objid::bigint <> hashtextextended('llama.set_tenant_context: large objects', 0)`;

/** @throws Disproved with the last statements of the session in which something of the other tenant was left */
export async function provePooled(options: PooledOptions): Promise<Pooled> {
  const { workers = 1, random, statements } = options;
  const settled = await Promise.allSettled(
    Array.from({ length: workers }, async (_, nth) => {
      const own = new Random(random.seed + nth);
      return proveOne({ ...options, random: own, statements: Math.ceil(statements / workers) }).catch(
        (error) => {
          if (!(error instanceof Disproved)) throw error;
          throw new Disproved(`with --seed ${own.seed} --workers 1: ${error.message}`, { cause: error });
        },
      );
    }),
  );
  const ends = new Map<string, number>();
  let [handedOn, compared] = [0, 0];
  for (const run of settled) {
    if (run.status === 'rejected') throw run.reason;
    for (const [code, times] of run.value.ends) count(ends, code, times);
    handedOn += run.value.handedOn;
    compared += run.value.compared;
  }
  const done = [...ends.values()].reduce((sum, times) => sum + times, 0);
  return {
    ...{ ends, handedOn, compared },
    summary: `${done} statements of two tenants in shared sessions (${ends.get('ok')} succeeded; ${handedOn} times a session went to the other tenant, ${compared} answers compared with a session of their own): 0 leaks`,
  };
}

async function proveOne(options: PooledOptions): Promise<Omit<Pooled, 'summary'>> {
  const { server, template, random } = options;
  const suffix = random.hex(8);
  const database = `pooled_${suffix}`;
  const login = { user: database, password: randomPassword() };
  const asSuperuser = <Result>(work: (client: pg.Client) => Promise<Result>) =>
    within(connectionOf(server, 'superuser', { database }), work);
  const [marks, others] = [makeTenants(random), makeTenants(random)];
  await copyDatabase(server, database, template);
  try {
    const prepared = await asSuperuser(async (client) => {
      await client.query(
        `CREATE ROLE ${login.user} LOGIN PASSWORD '${login.password}';
         GRANT application_role TO ${login.user} WITH INHERIT TRUE, SET FALSE`,
      );
      const first = await plant(client, marks, others);
      if (options.hole) await client.query(options.hole);
      const second: Tenants = { ...first, mine: first.theirs, theirs: first.mine, secret: others.secret };
      const names = await readNames(client, login.user);
      const users = [first, second].map((tenants) => ({
        tenants,
        grammar: new Grammar(random, tenants, names),
      }));
      return {
        users,
        leftovers: await Leftovers.read(random, client),
        content: await foreignContent(client, 'nobody'),
      };
    });
    const run = new Run(
      options,
      prepared.users,
      prepared.leftovers,
      () =>
        new Session({
          ...connectionOf(server, login, { database }),
          ...{ statement_timeout: 1_500, application_name: 'application' },
        }),
    );
    const result = await run.all();
    const after = await asSuperuser((client) => foreignContent(client, 'nobody'));
    for (const [table, before] of prepared.content)
      if (after.get(table) !== before)
        throw new Disproved(`${table} changed: ${before} became ${after.get(table)}`);
    return result;
  } finally {
    await dropDatabase(server, database);
    await within(connectionOf(server, 'superuser', { database: 'postgres' }), (client) =>
      client.query(`DROP ROLE IF EXISTS ${login.user}`),
    );
  }
}

interface User {
  readonly tenants: Tenants;
  readonly grammar: Grammar;
}

interface Pooling {
  readonly session: Session;
  /** The last tenant in it. */
  user?: User;
  /** Messages since the session began. */
  readonly sent: string[];
}

class Run {
  readonly #ends = new Map<string, number>();
  readonly #pool: Pooling[] = [];
  /** A session that runs nothing but named queries. */
  readonly #control: Session;
  readonly #starts = new Map<string, number>();
  #done = 0;
  #handedOn = 0;
  #compared = 0;

  constructor(
    private readonly options: PooledOptions,
    private readonly users: readonly User[],
    private readonly leftovers: Leftovers,
    private readonly connect: () => Session,
  ) {
    this.#control = connect();
  }

  async all(): Promise<Omit<Pooled, 'summary'>> {
    const { statements, log, random } = this.options;
    let next = 10_000;
    try {
      while (this.#done < statements) {
        const nth = random.below(sessions);
        this.#pool[nth] ??= { session: this.connect(), sent: [] };
        const fresh = await this.#request(this.#pool[nth]);
        if (!fresh || random.chance(0.002)) {
          await this.#pool[nth].session.close();
          delete this.#pool[nth];
        }
        if (this.#done >= next) {
          log(
            `${this.#done} of ${statements}: ${this.#handedOn} sessions handed on, ${this.#compared} answers compared`,
          );
          next += 10_000;
        }
      }
    } finally {
      await Promise.all([this.#control.close(), ...this.#pool.map((pooling) => pooling?.session.close())]);
    }
    log(`  ended with SQLSTATE: ${tally(this.#ends)}`);
    log(`  starts of requests: ${tally(this.#starts)}`);
    return { ends: this.#ends, handedOn: this.#handedOn, compared: this.#compared };
  }

  /** @returns whether the session can serve another request */
  async #request(pooling: Pooling): Promise<boolean> {
    const { random } = this.options;
    const user = random.pick(this.users);
    if (pooling.user !== undefined && pooling.user !== user) this.#handedOn += 1;
    pooling.user = user;
    const tenant = user.tenants.mine;
    const work = async () => {
      await this.#requireClean(pooling);
      if (!(await this.#asDriver(pooling))) return false;
      await this.#body(pooling, user);
      return true;
    };
    let usable: boolean;
    if (random.chance(0.5)) {
      // The runtime's transaction starts in every session that is still connected.
      const client = {
        query: (text: string, values?: unknown[]) =>
          this.#must(pooling, { text, ...(values ? { values } : {}) }),
      };
      usable = await transaction(client as unknown as pg.ClientBase, { tenant: tenant.id }, async () => {
        count(this.#starts, 'runtime');
        return work();
      }).catch((error: unknown) => {
        if (error instanceof Lost) return false;
        throw error;
      });
    } else {
      const call = `SELECT llama.set_tenant_context(${quoted(tenant.id)})`;
      const messages = random.pick([
        [`BEGIN; ${call}`],
        ['BEGIN', call],
        [`BEGIN READ WRITE, ISOLATION LEVEL READ COMMITTED; ${call}`],
      ]);
      let begun: Heard | undefined;
      for (const message of messages) begun = await this.#hear(pooling, message);
      count(this.#starts, begun?.code ?? 'plain');
      if (begun?.code !== undefined) {
        // Refused, or ended by a timeout that somebody left.
        if (!/^(55000|57014|25P02)$/.test(begun.code)) return false;
        await this.#hear(pooling, 'ROLLBACK');
        return (await this.#hear(pooling, 'RESET ALL')).code === undefined;
      }
      usable = await work();
      await this.#hear(pooling, random.chance(0.8) ? 'COMMIT' : 'ROLLBACK');
      // A rollback, also one by the tenant's own statements, brings back the settings from before the call (docs/isolation.md).
      await this.#hear(pooling, 'RESET ALL');
    }
    if (!usable) return false;
    for (let nth = random.below(3); nth > 0; nth -= 1) {
      await this.#hear(pooling, random.chance(0.7) ? this.leftovers.leave(tenant) : this.leftovers.seek());
    }
    // Out of any transaction that the last statements may have left open.
    await this.#hear(pooling, 'ROLLBACK');
    return true;
  }

  async #requireClean(pooling: Pooling): Promise<void> {
    const { comparable, rows, code } = await pooling.session.send(state);
    if (code !== undefined || rows > 0)
      await this.#report(pooling, `the session is not as a new one: ${comparable}`);
  }

  /** Runs a named query as the first of the request. @returns false if the driver's statement is gone */
  async #asDriver(pooling: Pooling): Promise<boolean> {
    const query = this.options.random.pick(named);
    const tenant = pooling.user?.tenants.mine.id ?? '';
    const heard = await this.#hear(pooling, { ...query, values: [tenant] });
    if (heard.code === '26000' || heard.code === '57014') return false;
    await this.#control.send(`BEGIN; SELECT llama.set_tenant_context(${quoted(tenant)})`);
    const expected = await this.#control.send({ ...query, values: [tenant] });
    await this.#control.send('ROLLBACK');
    this.#compared += 1;
    if (heard.comparable !== expected.comparable) {
      await this.#report(
        pooling,
        `${query.name} answers\n${heard.comparable}\nbut in a session of its own\n${expected.comparable}`,
      );
    }
    return true;
  }

  async #body(pooling: Pooling, { grammar, tenants }: User): Promise<void> {
    const { random } = this.options;
    for (let nth = 1 + random.below(5); nth > 0; nth -= 1) {
      const [sql, kept] = random.weighted<() => readonly [string, boolean]>([
        [4, () => [this.leftovers.leave(tenants.mine), true]],
        [3, () => [this.leftovers.seek(), false]],
        [3, () => [grammar.next().sql, false]],
      ])();
      if (open.test(sql)) continue;
      // Rows stay as they are, so that answers can be compared.
      const end = kept ? 'RELEASE SAVEPOINT s' : 'ROLLBACK TO SAVEPOINT s; RELEASE SAVEPOINT s';
      const heard = await this.#hear(pooling, `SAVEPOINT s; ${sql}; ${end}`);
      if (heard.code !== undefined) await this.#hear(pooling, 'ROLLBACK TO SAVEPOINT s; RELEASE SAVEPOINT s');
    }
  }

  /** Sends a message, counts it and searches its output for the other tenant. */
  async #hear(pooling: Pooling, message: string | pg.QueryConfig): Promise<Heard> {
    pooling.sent.push(
      typeof message === 'string' ? message : `-- as ${message.name ?? 'unnamed'}: ${message.text}`,
    );
    const heard = await pooling.session.send(message);
    this.#done += 1;
    count(this.#ends, heard.code ?? 'ok');
    const found = pooling.user?.tenants.secret.exec(heard.text);
    if (found) await this.#report(pooling, `the output contains the other tenant's ${found[0]}`);
    return heard;
  }

  async #must(pooling: Pooling, message: pg.QueryConfig): Promise<unknown> {
    const { code, text } = await this.#hear(pooling, message);
    if (code === undefined) return {};
    if (/^(lost|57P0|08|25P0)/.test(code)) throw new Lost(text);
    return this.#report(pooling, `the runtime cannot start or end a transaction: ${text}`);
  }

  #report(pooling: Pooling, what: string): Promise<never> {
    const recent = pooling.sent.slice(-40).map((sql) => `  ${sql};`);
    throw new Disproved(
      `statement ${this.#done}, as ${pooling.user?.tenants.mine.id}: ${what}\n${recent.join('\n')}`,
    );
  }
}

/** The server has ended the session, for example by a timeout that somebody left. */
class Lost extends Error {}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
